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
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

In = TypeVar("In")
Out = TypeVar("Out")

THREADS_VARIABLE = "TINYMNIST_THREADS"


def available_workers() -> int:
    """How many threads to use: ``$TINYMNIST_THREADS``, or every core this process may run on.

    1 if BLAS's own threads cannot be limited, since BLAS uses all cores then.
    """
    if blas_thread_control() is None:
        return 1
    wanted = os.environ.get(THREADS_VARIABLE, "")
    if wanted.isdigit() and int(wanted) > 0:
        return int(wanted)
    if hasattr(os, "sched_getaffinity"):  # Linux: respects taskset and containers
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@functools.cache
def blas_thread_control() -> tuple[Callable[[], int], Callable[[int], None]] | None:
    """Functions that get and set the threads of NumPy's OpenBLAS; None with any other BLAS.

    NumPy's wheels carry OpenBLAS beside the package, with names that depend on the version.
    """
    folder = os.path.dirname(np.__file__)
    places = ("../numpy.libs/*openblas*", ".dylibs/*openblas*", "../numpy.libs/*.dll")
    for path in (p for place in places for p in glob.glob(os.path.join(folder, place))):
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


class _BlasThreads:
    """Counts, over all Python threads, who needs BLAS single-threaded now."""

    lock = threading.Lock()
    users = 0
    before = 1


@contextmanager
def single_threaded_blas() -> Iterator[None]:
    """Limit BLAS to one thread inside the block; the last user to leave restores the number."""
    control = blas_thread_control()
    if control is None:
        yield
        return
    get, set_ = control
    with _BlasThreads.lock:
        if _BlasThreads.users == 0:
            _BlasThreads.before = get()
            set_(1)
        _BlasThreads.users += 1
    try:
        yield
    finally:
        with _BlasThreads.lock:
            _BlasThreads.users -= 1
            if _BlasThreads.users == 0:
                set_(_BlasThreads.before)


class Workers:
    """A few threads that map a function over pieces and return the results in order.

    Used as a context manager. The results do not depend on ``count``: the pieces are the same, and
    each is computed by a single thread.
    """

    def __init__(self, count: int | None = None) -> None:
        """Plan ``count`` threads; None takes :func:`available_workers`."""
        self.count = available_workers() if count is None else count
        self._pool: ThreadPoolExecutor | None = None

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
