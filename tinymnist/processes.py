"""Worker processes that map a function over a stream, in order.

A process of ``multiprocessing`` either copies this one, whose threads may hold locks at that moment
(fork), or runs the user's own script once more (spawn), which goes wrong unless the script is
written for it. The workers here are new interpreters that know this package alone: they get a
function and its arguments through a pipe, and end with it. Ctrl-C reaches only this process, which
ends them; and if this process is killed, they see the end of their input.
"""

from __future__ import annotations

import os
import pickle
import sys
import time
import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any, Generic, TypeVar

from tinymnist.errors import InputError
from tinymnist.threads import BLAS_VARIABLES, THREADS_VARIABLE, threads

if TYPE_CHECKING:
    from concurrent.futures import Future

In = TypeVar("In")
Out = TypeVar("Out")

ALONE = 0.5
"""Seconds of work after which workers are started; a start takes about half as long."""
_CHUNK, _CHUNK_BYTES = 16, 1 << 20
"""Items that a worker gets at once: at most this many, and about this many bytes."""
_NO_WORKERS = "a worker process has ended, and no other can be started"


def map_in_order(
    function: Callable[[In], Out],
    items: Iterable[In],
    workers: int | None = None,
    *,
    alone: float | None = None,
    stays: Callable[[In], bool] = lambda item: False,
) -> Generator[Out | InputError]:
    """The results of a function for a stream of items, in their order, by worker processes.

    Items are taken only a few chunks ahead, so the stream may be endless. A few items are mapped
    in this process, as the workers are started only when that has taken ``alone`` seconds; it also
    works on until they are ready. A generator that is closed or interrupted ends its workers.

    Args:
        function: of one item. Workers get it by pickle; if that fails, this process does the work.
        items: what to map.
        workers: how many processes; None takes one per core, see :mod:`tinymnist.threads`.
        alone: None for :data:`ALONE`; 0 leaves everything to the workers.
        stays: which items this process has to map itself: what cannot be sent, like an open file.

    Yields:
        For every item its result, or the InputError that the function raised. If the process ends
        on an item, for example as the system is out of memory, that is an InputError too.

    Raises:
        Exception: what else the function raises.
    """
    count = threads() if workers is None else workers
    alone = ALONE if alone is None else alone
    mine = _Mine(function, items)
    if count > 1 and sys.executable:
        began = time.monotonic()
        yield from mine.map_while(lambda: time.monotonic() - began < alone)
        if mine.ended:
            return
        with _Pool(function, count) as pool:
            yield from mine.map_while(lambda: alone > 0 and pool.is_starting)
            if not mine.ended and pool.works:
                yield from pool.map(mine.stream, stays)
    yield from mine.map_while(lambda: True)


class _Mine(Generic[In, Out]):
    """A stream of items, as far as this process maps them."""

    def __init__(self, function: Callable[[In], Out], items: Iterable[In]) -> None:
        self.function, self.stream, self.ended = function, iter(items), False

    def map_while(self, goes_on: Callable[[], bool]) -> Iterator[Out | InputError]:
        """Map one item after the other until the condition fails or the stream ends."""
        while not self.ended and goes_on():
            for item in self.stream:
                yield _attempt(self.function, item)
                break
            else:
                self.ended = True


def _attempt(function: Callable[[In], Out], item: In) -> Out | InputError:
    try:
        return function(item)
    except InputError as error:
        return error


class _Pool(Generic[In, Out]):
    """Several workers, each fed by a thread of this process."""

    def __init__(self, function: Callable[[In], Out], count: int) -> None:
        from concurrent.futures import ThreadPoolExecutor
        from queue import SimpleQueue

        self.function, self.count = function, count
        self.closing = False
        self._idle: SimpleQueue[_Worker] = SimpleQueue()
        self._alive: set[_Worker] = set()
        try:
            self._pickled = pickle.dumps(function)
        except Exception:  # a part of it cannot be pickled; pickle raises whatever that trips over
            self._pickled = b""
        self._threads = ThreadPoolExecutor(count, thread_name_prefix="tinymnist-worker")
        self._starts = [self._threads.submit(self._start) for _ in range(count)]

    def __enter__(self) -> _Pool[In, Out]:
        return self

    def __exit__(self, *_: object) -> None:
        self.closing = True
        for worker in [*self._alive]:
            worker.end()
        self._threads.shutdown(cancel_futures=True)
        for worker in [*self._alive]:  # one that was just being started
            worker.end()

    @property
    def is_starting(self) -> bool:
        """Whether no worker is ready yet, but one may still be."""
        return self._idle.empty() and not all(start.done() for start in self._starts)

    @property
    def works(self) -> bool:
        """Whether a worker gets ready."""
        return any(start.result() for start in self._starts)

    def _start(self) -> bool:
        """Start a worker. Without success (no more processes, an unknown function) others do."""
        if self.closing or not self._pickled:
            return False
        try:
            worker = _Worker()
        except OSError:
            return False
        self._alive.add(worker)
        try:
            is_ready: bool = worker.ask(self._pickled)
        except (EOFError, OSError):
            is_ready = False
        if is_ready:
            self._idle.put(worker)
        else:
            self._end(worker)
        return is_ready

    def _take(self) -> _Worker:
        """Wait for an idle worker."""
        from queue import Empty

        while True:
            with suppress(Empty):
                return self._idle.get(timeout=0.2)
            if self.closing or not self._alive:
                raise RuntimeError(_NO_WORKERS)

    def _end(self, worker: _Worker) -> None:
        worker.end()
        self._alive.discard(worker)

    def map(self, stream: Iterator[In], stays: Callable[[In], bool]) -> Iterator[Out | InputError]:
        """Keep two chunks per worker in flight, and yield the results of the oldest."""
        window: deque[Future[list[Out | InputError]]] = deque()
        for part in self._parts(stream, stays):
            window.append(part)
            if len(window) > 2 * self.count:
                yield from window.popleft().result()
        while window:
            yield from window.popleft().result()

    def _parts(
        self, stream: Iterator[In], stays: Callable[[In], bool]
    ) -> Iterator[Future[list[Out | InputError]]]:
        """The stream in chunks that are sent to workers; what stays is done before it goes on."""
        from concurrent.futures import Future

        chunk: list[In] = []
        size = 0
        for item in stream:
            if stays(item):
                if chunk:
                    yield self._threads.submit(self._run, chunk)
                    chunk, size = [], 0
                done: Future[list[Out | InputError]] = Future()
                done.set_result([_attempt(self.function, item)])
                yield done
                continue
            chunk.append(item)
            size += _size(item)
            if len(chunk) == _CHUNK or size >= _CHUNK_BYTES:
                yield self._threads.submit(self._run, chunk)
                chunk, size = [], 0
        if chunk:
            yield self._threads.submit(self._run, chunk)

    def _run(self, chunk: list[In]) -> list[Out | InputError]:
        """Let a worker map a chunk; if it ends on it, find out by which item."""
        try:
            message = pickle.dumps(chunk)
        except Exception:  # as above
            return [_attempt(self.function, item) for item in chunk]
        worker = self._take()
        try:
            answer = worker.ask(message)
        except (EOFError, OSError):
            self._end(worker)
            if not self._start():
                raise RuntimeError(_NO_WORKERS) from None
            if len(chunk) == 1:
                reason = "the process that read it has ended; is the memory sufficient?"
                return [InputError(reason)]
            return [result for item in chunk for result in self._run([item])]
        self._idle.put(worker)
        if answer is None:  # classes that only this process knows
            return [_attempt(self.function, item) for item in chunk]
        if isinstance(answer, Exception):
            raise answer
        results: list[Out | InputError] = answer
        return results


def _size(item: object) -> int:
    return getattr(item, "nbytes", 0) or (len(item) if isinstance(item, bytes) else 0)


class _Worker:
    """Another interpreter that runs :func:`serve`, with one BLAS thread."""

    def __init__(self) -> None:
        import subprocess

        path = [entry for entry in sys.path if isinstance(entry, str)]
        program = f"import sys; sys.path[:] = {path!r}; from {__name__} import serve; serve()"
        environment = os.environ | dict.fromkeys((*BLAS_VARIABLES, THREADS_VARIABLE), "1")
        self._process = subprocess.Popen(
            [sys.executable, "-c", program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            start_new_session=True,  # the terminal's Ctrl-C does not reach it
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),  # nor on Windows
        )

    def ask(self, message: bytes) -> Any:
        """Send a message and wait for the answer; EOFError or OSError if the process has ended."""
        if self._process.stdin is None or self._process.stdout is None:
            raise EOFError
        _send(self._process.stdin, message)
        return pickle.loads(_receive(self._process.stdout))

    def end(self) -> None:
        """Kill the process: it only computes, so nothing is lost."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            with suppress(OSError):  # what was still to be sent
                if stream is not None:
                    stream.close()


def serve() -> None:
    """The life of a worker: receive the function, then map one chunk after another.

    The first answer is whether it can be used. The others are lists of results, an exception, or
    None if a chunk cannot be unpickled here.
    """
    warnings.filterwarnings("ignore", module="PIL")  # about metadata; not the user's process
    source, sink = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what is printed must not mix with the answers
    try:
        function = pickle.loads(_receive(source))
        _send(sink, pickle.dumps(True))
        while True:
            _send(sink, _answer(function, _receive(source)))
    except (EOFError, BrokenPipeError):
        return
    except Exception:
        _send(sink, pickle.dumps(False))


def _answer(function: Callable[[Any], Any], message: bytes) -> bytes:
    try:
        chunk = pickle.loads(message)
    except Exception:  # a class that is not importable here
        return pickle.dumps(None)
    try:
        return pickle.dumps([_attempt(function, item) for item in chunk])
    except Exception as error:
        try:
            pickle.loads(message := pickle.dumps(error))
        except Exception:  # its class cannot be pickled, or not be made again
            message = pickle.dumps(RuntimeError(repr(error)))
        return message


def _send(stream: IO[bytes], message: bytes) -> None:
    stream.write(len(message).to_bytes(8, "little") + message)
    stream.flush()


def _receive(stream: IO[bytes]) -> bytes:
    """One message; EOFError if the other side has ended."""
    length = stream.read(8)
    message = stream.read(int.from_bytes(length, "little"))
    if len(length) < 8 or len(message) < int.from_bytes(length, "little"):
        raise EOFError
    return message
