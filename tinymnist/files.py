"""Atomic writing of files, reading within limits, and the pictures in a folder."""

from __future__ import annotations

import errno
import math
import os
import stat
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, Any

from tinymnist.errors import InputError
from tinymnist.limits import check_text, enter, reason

if TYPE_CHECKING:  # its import takes time, and reading one picture does without
    from pathlib import Path

PICTURE_SUFFIXES = frozenset(
    (
        *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".avif", ".gif", ".bmp", ".tif"),
        *(".tiff", ".pgm", ".ppm", ".pbm", ".pnm", ".tga", ".ico"),
    )
)
"""The suffixes of files that count as pictures."""
ZIP = (".zip",)
TAR = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
"""The suffixes of archives of pictures."""
MOST_BYTES = 1 << 28
"""The largest picture in an archive, and the most that is read from a stream."""
NOT_REGULAR = "is not a regular file; pipe it into - instead"
"""What is wrong with pipes and devices."""
_MACHINE = getattr(os, "uname", lambda: ("", "", "", "", ""))()[1]
_OWNER = f"tinymnist-{zlib.crc32(_MACHINE.encode()):08x}"
"""What ends the names of temporary files begins so; the process and a random number follow."""
_LONGEST_NAME = 255  # bytes, on most file systems
_SEARCH_AGAIN = 60.0  # seconds after which a folder is searched for temporary files once more
_searched: dict[str, float] = {}
_EXPECTED = {"labels.csv", "thumbs.db", "desktop.ini", ".txt", ".md"}


@contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary file next to ``path``, and rename it to ``path`` when the block succeeds.

    A file that is replaced passes its permissions on. Several threads or processes may write the
    same path: each writes its own file, and the last one stays.

    Raises:
        InputError: if the file cannot be written; an existing file stays as it was.
    """
    from pathlib import Path

    target = Path(path)
    if not target.name or "\0" in target.name:
        raise InputError(f"cannot write {str(path)!r}: expected the name of a file")
    try:
        if target.exists() and not target.is_file():  # renaming would replace a device
            raise InputError(f"cannot write {target}: not a regular file; choose another name")
        with temporary_file(target) as temporary:
            yield temporary
            with suppress(FileNotFoundError):
                os.chmod(temporary, stat.S_IMODE(os.stat(target).st_mode))
            os.replace(temporary, target)
    except OSError as error:
        raise InputError(f"cannot write {target}: {error.strerror or error}") from None


@contextmanager
def temporary_file(target: Path) -> Iterator[Path]:
    """Create an empty file next to ``target``, and remove it if it is still there after the block.

    Nobody can put a link in its place, as its name is random and it must not exist. Files that
    were left by processes that have been killed are removed.

    Raises:
        OSError: if it cannot be created.
    """
    _remove_orphans(target.parent)
    ending = f".{_OWNER}-{os.getpid()}-{os.urandom(8).hex()}.tmp"
    stem = os.fsencode(target.name)[: _LONGEST_NAME - len(ending) - 1].decode("utf-8", "ignore")
    temporary = target.with_name(f".{stem}{ending}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
    os.close(os.open(temporary, flags, 0o666))
    try:
        yield temporary
    finally:
        with suppress(OSError):
            temporary.unlink()


def _remove_orphans(folder: Path) -> None:
    """Remove temporary files whose processes are gone; a large folder is not searched each time."""
    key, now = os.path.abspath(folder), time.monotonic()
    if now < _searched.get(key, -math.inf) + _SEARCH_AGAIN:
        return
    _searched[key] = now
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            owner, _, rest = entry.name.rpartition(f".{_OWNER}-")
            number = rest.partition("-")[0]
            if owner and rest.endswith(".tmp") and number.isdecimal() and _is_gone(int(number)):
                with suppress(OSError):
                    os.unlink(entry.path)


def _is_gone(process: int) -> bool:
    """Whether a process of this machine has ended."""
    if os.name == "nt":  # where the question would end it
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    return False


def open_regular(path: str | os.PathLike[str]) -> IO[bytes]:
    """Open a file to read it.

    A pipe that nobody writes to would hang, and /dev/zero never ends: both are refused at once.

    Raises:
        InputError: if it is neither a regular file nor a folder.
        OSError: if it cannot be opened, or is a folder.
        ValueError: if its name holds a null character.
    """
    flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
    descriptor = os.open(path, flags | getattr(os, "O_CLOEXEC", 0))
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
        if not stat.S_ISREG(mode):
            raise InputError(f"{os.fspath(path)}: {NOT_REGULAR}")
        return open(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def require_regular(path: str | os.PathLike[str]) -> None:
    """Raise what :func:`open_regular` raises."""
    open_regular(path).close()


def read_bytes(path: str | os.PathLike[str], most: int | None = None) -> bytes:
    """The content of a regular file of at most ``most`` bytes; None: see :mod:`tinymnist.limits`.

    Pipes, devices and sockets are refused: they may never end.

    Raises:
        InputError: if it is larger, not regular, or unreadable.
    """
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            if most is not None and size > most:
                raise InputError(f"{path} has {size:,} bytes; expected at most {most:,}")
            enter(path, size)
            return file.read(size)
    except (OSError, ValueError) as error:  # the latter for a name with a zero byte
        if isinstance(error, InputError):
            raise
        raise InputError(f"cannot read {path}: {reason(error)}") from None


def read_stream(stream: IO[bytes], name: str) -> bytes:
    """All of a stream of at most :data:`MOST_BYTES`; InputError if there is more."""
    content = stream.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise InputError(f"{name}: has more than {MOST_BYTES:,} bytes")
    return content


def regular_size(path: str | os.PathLike[str]) -> int:
    """The size of a file in bytes; raises what :func:`open_regular` raises."""
    with open_regular(path) as file:
        return os.fstat(file.fileno()).st_size


def parse_json(text: str | bytes, name: str) -> Any:
    """Parse JSON of at most :data:`tinymnist.limits.TEXT_BYTES`.

    Args:
        text: letters, or bytes of UTF-8.
        name: what it is, for messages: "model.json", "the header of x".

    Raises:
        InputError: if it is too large, or not JSON.
    """
    import json  # most readers of pictures do without

    check_text(len(text), name)
    try:
        return json.loads(text if isinstance(text, str) else text.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{name} is not JSON, or is damaged: {reason(error)}") from None


def real_path(path: str | os.PathLike[str]) -> Path:
    """Where a path leads, through all links; a loop of links leads to one of its own.

    ``Path.resolve`` raises a RuntimeError for a loop before Python 3.13.

    Raises:
        InputError: if it holds a null character.
    """
    from pathlib import Path

    try:
        return Path(os.path.realpath(path))
    except ValueError as error:
        raise InputError(f"{os.fspath(path)!r} is not a path: {error}") from None


def is_picture(file: str | os.PathLike[str]) -> bool:
    """Whether a file counts as a picture by its suffix."""
    return suffix_of(file) in PICTURE_SUFFIXES


def is_path(name: str) -> bool:
    """Whether a name that does not exist was meant as a file's, as it has a folder or a suffix."""
    return os.path.basename(name) != name or suffix_of(name) != ""


def suffix_of(file: str | os.PathLike[str]) -> str:
    """The suffix of a name in lower case, like ``.png``."""
    return os.path.splitext(file)[1].lower()


def is_expected(name: str) -> bool:
    """Whether a file that is not a picture is usual beside pictures, and needs no mention."""
    return not _EXPECTED.isdisjoint((name.lower(), suffix_of(name)))


def describe_skipped(suffixes: Mapping[str, int]) -> str:
    """Say how many files are not pictures, from counts by suffix, in words; "" if there is none."""
    if not (count := sum(suffixes.values())):
        return ""
    are = "1 file is not a picture" if count == 1 else f"{count:,} files are not pictures"
    return f"{are} by name ({', '.join(sorted(suffix or 'no suffix' for suffix in suffixes))})"


def files_in(folder: Path) -> list[Path]:
    """All files in a folder and its subfolders, sorted by path, without hidden ones.

    Raises OSError if the folder itself cannot be read; subfolders that cannot are left out.
    """
    from pathlib import Path

    os.scandir(folder).close()
    return list(map(Path, walk(folder, lambda error: None)))


def walk(
    folder: str | os.PathLike[str], report: Callable[[OSError], object] | None = None
) -> Iterator[str]:
    """The files of :func:`files_in` one by one: only one folder's names are held at a time.

    ``report`` is called with the error of a folder that cannot be read; None raises it.
    """
    try:
        with os.scandir(folder) as entries:
            found = sorted((e.name, e.is_dir(follow_symlinks=False)) for e in entries)
    except OSError as error:
        if report is None:
            raise
        report(error)
        return
    for name, is_folder in found:
        if is_hidden(name):
            continue
        path = os.path.join(folder, name)
        if is_folder:
            yield from walk(path, report)
        elif os.path.isfile(path):
            yield path


def class_folders(folder: Path) -> list[Path]:
    """The folders in a folder, sorted by name, without hidden ones: one for each class."""
    return sorted(d for d in folder.iterdir() if d.is_dir() and not is_hidden(d.name))


def is_hidden(name: str) -> bool:
    """Whether a file or folder is not meant to be seen."""
    return name.startswith(".") or name == "__MACOSX"  # the latter is in every zip from a Mac


def pictures_in(folder: Path) -> list[Path]:
    """The pictures in a folder and its subfolders, sorted by path; InputError if it has none."""
    files = [file for file in files_in(folder) if is_picture(file)]
    if not files:
        raise InputError(f"{folder}: holds no pictures; expected files such as .png or .jpg")
    return files
