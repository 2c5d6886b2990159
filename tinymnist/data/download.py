"""Get MNIST from its public mirrors: resumed when cut off, checked, in place only when whole."""

from __future__ import annotations

import hashlib
import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import IO

from tinymnist.data.mnist import cache_folder
from tinymnist.errors import InputError

MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
"""PyTorch's mirror and TensorFlow's; the page of its authors asks not to be used for downloads."""

SHA256 = {
    "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea37026"
    "5605f56be210a4024d2ca8f203523609",
    "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cc"
    "a23d567ec52cac8be1a0730e8010255c",
    "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
}
"""The four files and their hashes."""

Progress = Callable[[str, int, int], None]
"""``progress(file, bytes so far, bytes in all or 0)``."""

_STEP = 1 << 16
_LARGEST = 1 << 26  # bytes; the largest file has 10 million
_TIMEOUT = 30.0  # seconds without a byte


def download_mnist(
    destination: str | PathLike[str] | None = None,
    *,
    mirrors: Sequence[str] = MIRRORS,
    files: Mapping[str, str] = SHA256,
    progress: Progress = lambda file, done, total: None,
    timeout: float = _TIMEOUT,
) -> Path:
    """Download what is not there yet.

    Args:
        destination: a folder; None takes tinymnist's cache.
        mirrors: addresses that the file names are appended to, tried in order.
        files: name to SHA-256.
        progress: called while bytes come in.
        timeout: seconds of silence after which the next mirror is tried.

    Returns:
        The folder.

    Raises:
        InputError: when no mirror gave a file whose hash is right. What came in whole stays, and
            what was cut off is gone on with the next time.
    """
    folder = Path(destination) if destination is not None else cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the folder {folder}: {error.strerror or error}") from None
    for name, digest in files.items():
        if not _is_right(folder / name, digest):
            _download(folder / name, digest, mirrors, progress, timeout)
    return folder


def _download(
    target: Path, digest: str, mirrors: Sequence[str], progress: Progress, timeout: float
) -> None:
    part = target.with_name(target.name + ".part")
    troubles = []
    for mirror in mirrors:
        try:
            _fetch(mirror + target.name, part, progress, timeout)
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", None) or error
            troubles.append(f"{mirror}: {reason}")
            continue
        if _is_right(part, digest):
            os.replace(part, target)
            return
        part.unlink(missing_ok=True)  # wrong bytes must not be gone on with
        troubles.append(f"{mirror}: the SHA-256 of what came is wrong")
    raise InputError(f"{target.name} could not be downloaded; {'; '.join(troubles)}")


def _fetch(address: str, part: Path, progress: Progress, timeout: float) -> None:
    """Append what is missing to ``part``, or begin anew where the server cannot resume."""
    done = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(address, headers={"Range": f"bytes={done}-"} if done else {})
    try:
        response = urllib.request.urlopen(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
            return  # there is nothing beyond what we have; the hash will tell
        raise OSError(f"HTTP {error.code} {error.msg}") from None
    with response:
        resumed = response.status == http.client.PARTIAL_CONTENT
        total = int(response.headers.get("Content-Length") or 0) + (done if resumed else 0)
        with open(part, "ab" if resumed else "wb") as file:
            _copy(response, file, lambda size: progress(part.stem, size, total))
    if total and part.stat().st_size < total:
        raise OSError(f"cut off after {part.stat().st_size:,} of {total:,} bytes")


def _copy(response: IO[bytes], file: IO[bytes], tell: Callable[[int], None]) -> None:
    while chunk := response.read(_STEP):
        file.write(chunk)
        tell(file.tell())
        if file.tell() > _LARGEST:
            raise OSError(f"more than {_LARGEST:,} bytes came, which is not MNIST")


def _is_right(path: Path, digest: str) -> bool:
    if not path.is_file():
        return False
    return hashlib.sha256(path.read_bytes()).hexdigest() == digest
