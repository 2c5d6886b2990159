"""Download MNIST from public mirrors: resumes, verifies hashes, and renames only complete files."""

from __future__ import annotations

import hashlib
import http.client
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from pathlib import Path

from tinymnist.data.mnist import cache_folder
from tinymnist.errors import InputError

MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
"""PyTorch's mirror and TensorFlow's; the authors ask not to download from their own page."""

SHA256 = {
    "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea37026"
    "5605f56be210a4024d2ca8f203523609",
    "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cc"
    "a23d567ec52cac8be1a0730e8010255c",
    "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
}
"""The four files and their SHA-256."""

Progress = Callable[[str, int, int], None]
"""``progress(file, bytes so far, total bytes or 0)``."""

_CHUNK_BYTES = 1 << 16
_SLOWEST = 2000  # bytes per second; a server that sends less is given up
_MAX_BYTES = 1 << 26  # the largest file has 10 million


def download_mnist(
    destination: str | PathLike[str] | None = None,
    *,
    mirrors: Sequence[str] = MIRRORS,
    files: Mapping[str, str] = SHA256,
    progress: Progress = lambda file, done, total: None,
    timeout: float = 30.0,
) -> Path:
    """Download the files that are missing, and return their folder.

    Args:
        destination: a folder; None uses tinymnist's cache.
        mirrors: base addresses, tried in order.
        files: names and their SHA-256.
        progress: called as bytes arrive.
        timeout: seconds without data, or with hardly any, before the next mirror is tried.

    Raises:
        InputError: if no mirror has a file with the right hash. Complete files stay, and the
            next call resumes incomplete ones.
    """
    folder = Path(destination) if destination is not None else cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot create the folder {folder}: {error.strerror or error}") from None
    for name, digest in files.items():
        if not _has_hash(folder / name, digest):
            _download(folder / name, digest, mirrors, progress, timeout)
    return folder


def _download(
    target: Path, digest: str, mirrors: Sequence[str], progress: Progress, timeout: float
) -> None:
    part = target.with_name(target.name + ".part")
    failures = []
    for mirror in mirrors:
        try:
            _fetch(mirror + target.name, part, progress, timeout)
        except (OSError, ValueError, http.client.HTTPException) as error:
            reason = " ".join(str(getattr(error, "reason", None) or error).split())
            failures.append(f"{mirror}: {reason}")
            continue
        if _has_hash(part, digest):
            os.replace(part, target)
            return
        part.unlink(missing_ok=True)  # never resume from wrong bytes
        failures.append(f"{mirror}: the SHA-256 of the download is wrong")
    raise InputError(f"{target.name} could not be downloaded; {'; '.join(failures)}")


def _fetch(address: str, part: Path, progress: Progress, timeout: float) -> None:
    """Append the rest to ``part``, or start over if the server cannot resume."""
    done = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(address, headers={"Range": f"bytes={done}-"} if done else {})
    try:
        response = urllib.request.urlopen(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
            return  # already complete; the hash decides
        raise OSError(f"HTTP {error.code} {error.msg}") from None
    with response:
        resumed = response.status == http.client.PARTIAL_CONTENT
        length = response.headers.get("Content-Length") or ""
        total = (int(length) if length.isdecimal() else 0) + (done if resumed else 0)
        began, before = time.monotonic(), done if resumed else 0
        with open(part, "ab" if resumed else "wb", opener=_open_own) as file:
            while chunk := response.read1(_CHUNK_BYTES):
                file.write(chunk)
                elapsed = time.monotonic() - began
                if elapsed > timeout and file.tell() - before < _SLOWEST * elapsed:
                    raise OSError(f"sends less than {_SLOWEST:,} bytes per second")
                progress(part.stem, file.tell(), total)
                if file.tell() > _MAX_BYTES:
                    raise OSError(f"received more than {_MAX_BYTES:,} bytes, which cannot be MNIST")
    if total and part.stat().st_size < total:
        raise OSError(f"cut off after {part.stat().st_size:,} of {total:,} bytes")


def _open_own(path: str, flags: int) -> int:
    """Open a file, but do not follow a link that lies there: it may lead to somebody else's."""
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o666)


def _has_hash(path: Path, digest: str) -> bool:
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == digest
