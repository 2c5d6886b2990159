"""Threads for the pieces of a batch, each with a BLAS of its own.

NumPy releases Python's lock while it computes, so threads are enough. A large matrix product can
use all cores by itself, but then everything between the products still runs on one, and the arrays
of a whole batch do not fit into the caches. So the batch is cut into pieces, BLAS is limited to
one thread, and each thread carries a piece from the first layer to the last.
"""

from __future__ import annotations

import ctypes
import functools
import glob
import os
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from tinymnist.errors import InputError
from tinymnist.threads import BLAS_VARIABLES, SETTING, THREADS_VARIABLE, thread_limit, threads

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

In = TypeVar("In")
Out = TypeVar("Out")
Control = tuple[Callable[[], int], Callable[[int], object]]
"""Functions that get and set the number of BLAS's threads."""


def set_threads(count: int | None) -> None:
    """Use at most ``count`` cores from now on: in threads, in BLAS, and in worker processes.

    Args:
        count: at least 1; None returns to ``$TINYMNIST_THREADS``, or to every core.

    Raises:
        ValueError: if it is below 1.
        InputError: if NumPy's BLAS cannot be limited any more; see :mod:`tinymnist.threads`.
    """
    if count is not None and count < 1:
        raise ValueError(f"count must be at least 1. Received: {count=}")
    control = blas_thread_control()
    limited = {os.environ.get(variable) for variable in BLAS_VARIABLES}
    if control is None and count is not None and str(count) not in limited:
        raise InputError(
            "the threads of this NumPy's BLAS cannot be limited now; pip install threadpoolctl, or "
            f"set {THREADS_VARIABLE} and MKL_NUM_THREADS or VECLIB_MAXIMUM_THREADS before the start"
        )
    SETTING.threads = count
    if control is not None:
        with _BlasThreads.lock:
            if _BlasThreads.users:
                _BlasThreads.before = threads()
            else:
                control[1](threads())


def available_workers() -> int:
    """How many threads to use: :func:`tinymnist.threads.threads`.

    If BLAS's own threads cannot be limited, 1, since BLAS uses the cores then; unless the
    environment limits it to one.
    """
    if blas_thread_control() is None and "1" not in map(os.environ.get, BLAS_VARIABLES):
        return 1
    return threads()


@functools.cache
def blas_thread_control() -> Control | None:
    """Functions that get and set the threads of NumPy's BLAS; None if there are none.

    The setting takes effect by the first call.
    """
    if (control := _openblas() or _by_threadpoolctl()) is None:
        return None
    get, set_ = control
    if SETTING.threads is not None or THREADS_VARIABLE in os.environ:
        set_(min(thread_limit() or get(), get()))
    return control


def _openblas() -> Control | None:
    """Those of OpenBLAS. NumPy's wheels carry it, with names that depend on the version."""
    folder = os.path.dirname(np.__file__)
    places = ("../numpy.libs/*openblas*", ".dylibs/*openblas*", "../numpy.libs/*.dll")
    for place in places:
        for path in glob.glob(os.path.join(folder, place)):
            try:
                library = ctypes.CDLL(path)
            except OSError:
                continue
            for pattern in ("scipy_openblas_{}64_", "openblas_{}64_", "openblas_{}"):
                get = getattr(library, pattern.format("get_num_threads"), None)
                set_ = getattr(library, pattern.format("set_num_threads"), None)
                if get is not None and set_ is not None:
                    return get, set_
    return None


def _by_threadpoolctl() -> Control | None:
    """Those of any BLAS that the optional package knows: MKL, BLIS, a system's OpenBLAS."""
    try:
        from threadpoolctl import ThreadpoolController
    except ImportError:
        return None
    libraries = ThreadpoolController().select(user_api="blas").lib_controllers
    if not libraries:
        return None

    def get() -> int:
        return max(int(library.get_num_threads()) for library in libraries)

    def set_(count: int) -> None:
        for library in libraries:
            library.set_num_threads(count)

    return get, set_


class _BlasThreads:
    """Counts, over all Python threads, who needs BLAS single-threaded now."""

    lock = threading.Lock()
    users = 0
    before = 1


class single_threaded_blas:
    """Limit BLAS to one thread inside the block; the last user to leave restores the number.

    Used like a function. ``contextlib.contextmanager`` would take twice the time, which counts when
    a single picture is read.
    """

    def __enter__(self) -> None:
        self.control = blas_thread_control()
        if self.control is None:
            return
        get, set_ = self.control
        with _BlasThreads.lock:
            if _BlasThreads.users == 0:
                _BlasThreads.before = get()
                if _BlasThreads.before != 1:
                    set_(1)
            _BlasThreads.users += 1

    def __exit__(self, *_: object) -> None:
        if self.control is None:
            return
        with _BlasThreads.lock:
            _BlasThreads.users -= 1
            if _BlasThreads.users == 0 and _BlasThreads.before != 1:
                self.control[1](_BlasThreads.before)


class Workers:
    """A few threads that map a function over pieces and return the results in order.

    Used as a context manager. The results do not depend on ``count``: the pieces are the same, and
    each is computed by a single thread.
    """

    def __init__(self, count: int | None = None) -> None:
        """Plan ``count`` threads; None takes :func:`available_workers`."""
        self._count = count
        self._pool: ThreadPoolExecutor | None = None

    @functools.cached_property
    def count(self) -> int:
        """The number of threads."""
        return available_workers() if self._count is None else self._count

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown()

    def map(self, function: Callable[[In], Out], pieces: Sequence[In]) -> list[Out]:
        """``[function(p) for p in pieces]``; a single piece gets all of BLAS's threads instead."""
        if len(pieces) == 1:
            return [function(pieces[0])]
        with single_threaded_blas():  # also for one worker: with more threads BLAS rounds otherwise
            if self.count <= 1:
                return [function(piece) for piece in pieces]
            if self._pool is None:
                # Imported here, since predicting one picture does not need it.
                from concurrent.futures import ThreadPoolExecutor

                self._pool = ThreadPoolExecutor(self.count, thread_name_prefix="tinymnist")
            return list(self._pool.map(function, pieces))


def pieces(n: int, size: int) -> list[slice]:
    """Cut ``n`` examples into slices of ``size``; the last may be shorter. Empty for n = 0."""
    return [slice(start, min(start + size, n)) for start in range(0, n, size)]
