"""Pictures by the hundred thousand, on engines that exist: joblib, dask, Ray and Spark.

One machine needs none of them: ``Reader.predict_many`` uses all its cores. For more,
:func:`make_predict_fn` makes a function that reads a batch of pictures, is as small as the model's
weights when it is sent to another process, and reads every picture to the same bits whatever else
is in its batch and whichever engine runs it. (Processors of different makes may round the last bit
differently.) Each program below reads a folder ``scans``; the tests run all that they can.

joblib::

    from pathlib import Path
    from joblib import Parallel, delayed
    import tinymnist

    predict = tinymnist.make_predict_fn()
    files = sorted(map(str, Path("scans").iterdir()))
    parts = [files[i : i + 64] for i in range(0, len(files), 64)]
    for part, found in zip(parts, Parallel(n_jobs=2)(delayed(predict)(part) for part in parts)):
        for file, digit, confidence in zip(part, found["digit"], found["confidence"]):
            print(Path(file).name, digit, confidence)

dask, where ``Client("scheduler:8786")`` would use a cluster whose workers see the same files. The
command ``tinymnist predict scans --dask scheduler:8786`` sends their contents along, by itself::

    from pathlib import Path
    from dask.distributed import Client
    import tinymnist

    if __name__ == "__main__":
        predict = tinymnist.make_predict_fn()
        files = sorted(map(str, Path("scans").iterdir()))
        parts = [files[i : i + 64] for i in range(0, len(files), 64)]
        with Client(n_workers=2, threads_per_worker=1, dashboard_address=None) as client:
            for part, found in zip(parts, client.gather(client.map(predict, parts))):
                for file, digit, confidence in zip(part, found["digit"], found["confidence"]):
                    print(Path(file).name, digit, confidence)

Ray Data::

    from pathlib import Path
    import ray
    import tinymnist

    ray.init(include_dashboard=False)
    predict = tinymnist.make_predict_fn()
    scans = ray.data.read_binary_files("scans", include_paths=True)
    found = scans.map_batches(
        lambda batch: {"path": batch["path"], **predict(batch["bytes"])}, batch_size=64
    )
    for row in found.sort("path").iter_rows():
        print(Path(row["path"]).name, row["digit"], row["confidence"])

Spark, which needs Java::

    from pathlib import Path
    from pyspark.ml.functions import predict_batch_udf
    from pyspark.sql import SparkSession
    from pyspark.sql.types import DoubleType, LongType, StringType, StructType
    import tinymnist

    spark = SparkSession.builder.master("local[2]").getOrCreate()
    schema = StructType().add("digit", LongType()).add("confidence", DoubleType())
    schema = schema.add("error", StringType())
    predict = predict_batch_udf(tinymnist.make_predict_fn, return_type=schema, batch_size=64)
    scans = spark.read.format("binaryFile").load("scans")
    found = scans.select("path", predict("content").alias("found")).orderBy("path")
    for path, (digit, confidence, _) in found.collect():
        print(Path(path).name, digit, confidence)
"""

from __future__ import annotations

import logging
import pickle
from asyncio import TimeoutError as AsyncTimeout
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack, suppress
from functools import partial
from operator import length_hint
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinymnist.adapter import Prediction
from tinymnist.errors import InputError
from tinymnist.files import read_stream
from tinymnist.imaging.picture.decode import describe, open_binary
from tinymnist.nn.parallel import single_threaded_blas
from tinymnist.nn.sequential import Sequential
from tinymnist.reader import DEFAULT_MODEL, MANY, Reader
from tinymnist.threads import threads

Found = dict[str, NDArray[Any]]

_PART_LENGTH, _PART_BYTES = 64, 8 << 20
"""Pictures that a dask worker gets at once: at most this many, and about this many bytes."""
_RETRIES = 3
_WAIT = 20
"""Seconds to wait for dask's scheduler and its first worker."""


def make_predict_fn(
    model: str | PathLike[str] | Sequential = DEFAULT_MODEL, recipe: str | None = None
) -> Callable[[Iterable[Any]], Found]:
    """A function that reads a batch of pictures, for engines that send it to other processes.

    It can be pickled. The function takes any number of pictures, each as for
    :meth:`tinymnist.Reader.predict`, and returns columns by name, one entry per picture::

        {"digit": int64, or names; -1 or "" if the picture cannot be read
         "confidence": float64; 0 if it cannot be read
         "error": why it cannot be read, or ""}

    Args:
        model: see :data:`tinymnist.api.Model`.
        recipe: ``"mnist"``, ``"resize"`` or ``"none"``; None takes the model's own.

    Raises:
        InputError: when the model cannot be used.
    """
    return partial(_columns, Reader(model, recipe))


def _columns(reader: Reader, pictures: Iterable[Any]) -> Found:
    found = _read_part(reader, list(pictures), is_all=False)
    are_digits = set(reader.class_names) <= set("0123456789")
    read = [one if isinstance(one, Prediction) else None for one in found]
    digits = [one.digit if one else -1 if are_digits else "" for one in read]
    return {
        "digit": np.array(digits, np.int64 if are_digits else object),
        "confidence": np.array([one.confidence if one else 0.0 for one in read]),
        "error": np.array(
            ["" if isinstance(one, Prediction) else str(one) for one in found], object
        ),
    }


def _read_part(
    reader: Reader, pictures: list[Any], *, is_all: bool
) -> list[Prediction | InputError]:
    """What a worker does: read pictures one by one, in one thread.

    ``is_all`` if there are no other parts: then a few are rounded as ``predict_many`` does it.
    """
    given = map(_present, pictures)
    with single_threaded_blas():
        return list(reader.predict_many(list(given) if is_all else given, workers=1))


def _present(picture: Any) -> Any:
    return InputError("no picture: the entry is empty") if picture is None else picture


def predict_on_dask(
    reader: Reader, sources: Iterable[Any], address: str, workers: int | None = None
) -> Generator[Prediction | InputError]:
    """:meth:`tinymnist.Reader.predict_many` by the workers of dask.

    The contents of files are sent, so workers need tinymnist, but not the files. The stream is
    taken a little ahead, in parts; a part whose worker ends is read by another one.

    Args:
        reader, sources: as there.
        address: of dask's scheduler, like "scheduler:8786"; "local" starts workers here.
        workers: how many to start here; None takes one per core.

    Yields:
        As ``predict_many``, in the same order and to the same bits.

    Raises:
        InputError: when dask or its scheduler is missing, or the connection is lost.
    """
    with ExitStack() as open_ones:
        client = _connect(address, workers, open_ones)
        is_all = length_hint(sources, MANY) < MANY
        yield from _Parts(client, reader, is_all=is_all).results(sources)


def _connect(address: str, workers: int | None, open_ones: ExitStack) -> Any:
    """A client of a scheduler that has a worker; ``open_ones`` closes what was opened for it."""
    try:
        from distributed import Client, LocalCluster
    except ImportError:
        raise InputError("--dask needs dask; pip install 'dask[distributed]'") from None
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what fails is reported here
    try:
        if address == "local":
            cluster = LocalCluster(
                n_workers=workers or threads(),
                threads_per_worker=1,
                dashboard_address=None,
                silence_logs=logging.CRITICAL,
            )
            open_ones.callback(_close, cluster)
        client = Client(
            cluster if address == "local" else address, timeout=_WAIT, set_as_default=False
        )
        open_ones.callback(_close, client)
        client.wait_for_workers(1, timeout=_WAIT)
    except (OSError, ValueError, AsyncTimeout) as error:
        rule = "expected the address of a dask scheduler that has workers, or local"
        raise InputError(f"--dask {address}: {rule}: {error}") from None
    return client


def _close(one: Any) -> None:
    with suppress(Exception):  # the other side may be gone already
        one.close(timeout=_WAIT)


class _Parts:
    """A stream of pictures in parts, a few of which are on their way to and from workers."""

    def __init__(self, client: Any, reader: Reader, *, is_all: bool) -> None:
        self.client, self.is_all = client, is_all
        self.most = 2 * sum(client.nthreads().values()) + 2
        # Made again from its bytes if the worker that holds it ends.
        self.reader = client.submit(pickle.loads, pickle.dumps(reader), pure=False)

    def results(self, sources: Iterable[Any]) -> Iterator[Prediction | InputError]:
        """Send and receive."""
        window: deque[tuple[_Part, Any]] = deque()
        for part in _parts(sources):
            window.append((part, self._submit(part)))
            if len(window) > self.most:
                yield from self._receive(*window.popleft())
        while window:
            yield from self._receive(*window.popleft())

    def _submit(self, part: _Part) -> Any:
        contents = [content for _, content in part]
        return self.client.submit(
            _read_part, self.reader, contents, is_all=self.is_all, retries=_RETRIES, pure=False
        )

    def _receive(self, part: _Part, future: Any) -> list[Prediction | InputError]:
        """The results of a part; if workers end on it, find out by which picture."""
        from concurrent.futures import CancelledError

        from distributed import KilledWorker

        try:
            found = future.result()
        except KilledWorker:
            if len(part) == 1:
                reason = "the process that read it has ended; is the memory sufficient?"
                return [InputError(reason)]
            # One after the other, since dask suspects whatever a worker has when it ends.
            return [self._receive([one], self._submit([one]))[0] for one in part]
        except ModuleNotFoundError as error:
            rule = "install the same version of tinymnist for dask's workers"
            raise InputError(f"{rule}; they report: {error}") from None
        except CancelledError:
            raise InputError("the connection to dask's scheduler was lost") from None
        return [_named(source, one) for (source, _), one in zip(part, found, strict=True)]


_Part = list[tuple[Any, Any]]
"""Sources, and what is sent of each."""


def _parts(sources: Iterable[Any]) -> Iterator[_Part]:
    part: _Part = []
    size = 0
    for source in sources:
        content = _content(source)
        part.append((source, content))
        size += len(content) if isinstance(content, bytes) else getattr(content, "nbytes", 0)
        if len(part) == _PART_LENGTH or size >= _PART_BYTES:
            yield part
            part, size = [], 0
    if part:
        yield part


def _content(source: Any) -> Any:
    """The bytes of a file; everything else as it is; the error if a file cannot be opened."""
    if not isinstance(source, (str, PathLike)):
        return source
    try:
        with open_binary(source) as stream:
            return read_stream(stream, describe(source))
    except InputError as error:
        return error
    except OSError as error:
        return InputError(f"{describe(source)}: cannot be read: {error.strerror}")


def _named(source: Any, found: Prediction | InputError) -> Prediction | InputError:
    """An error that names the file, not the bytes that were sent."""
    if isinstance(found, InputError) and isinstance(source, (str, PathLike)):
        return type(found)(str(found).replace(describe(b""), describe(source), 1))
    return found
