"""The pictures and tables in .zip and .tar files, read one after the other.

Nothing is unpacked to disk, and what an entry is called decides only how it is named in messages.
"""

from __future__ import annotations

import os
import zipfile
from collections import Counter
from collections.abc import Iterator
from typing import IO

from tinymnist import limits
from tinymnist.errors import InputError
from tinymnist.files import (
    MOST_BYTES,
    TAR,
    ZIP,
    is_expected,
    is_hidden,
    is_picture,
    read_stream,
    suffix_of,
)

TABLE = "labels.csv"
_MOST_EXPANSION, _ALWAYS_EXPANDED = 200, 1 << 29
"""Archives that expand more than this many times are read up to this many bytes only."""
_MOST_HEADER = 1 << 20  # bytes of a name or of further properties in a tar file

Entry = tuple[str, bytes | InputError]
"""The name of a picture in an archive, and its content, or what is wrong with it."""


class FileContent(bytes):
    """The content of a file that is not on disk by itself; ``str`` is what it is called."""

    name: str

    def __new__(cls, content: bytes, name: str) -> FileContent:
        made = super().__new__(cls, content)
        made.name = name
        return made

    def __getnewargs__(self) -> tuple[bytes, str]:  # type: ignore[override]
        return bytes(self), self.name

    def __str__(self) -> str:
        return self.name


def is_archive(name: str | os.PathLike[str]) -> bool:
    """Whether a file is a .zip or a .tar, by its name."""
    return os.fspath(name).lower().endswith((*ZIP, *TAR))


def read_archive(archive: str | os.PathLike[str], skipped: Counter[str]) -> list[FileContent]:
    """All pictures and tables of labels in an archive, called ``archive/entry``.

    The content is charged to the input that is being opened, see :mod:`tinymnist.limits`.

    Raises:
        InputError: if any of them cannot be read, or they are too many.
    """
    path, found = os.fspath(archive), []
    limits.enter(path, os.stat(path).st_size)
    for name, content in entries(path, skipped, TABLE):
        if isinstance(content, InputError):
            raise content
        limits.charge(len(content), name)
        found.append(FileContent(content, f"{path}/{name}"))
    return found


def entries(archive: str, skipped: Counter[str], *others: str) -> Iterator[Entry]:
    """The pictures in an archive, and files that have one of the ``others`` as their name.

    Args:
        archive: the path of a .zip or .tar.
        skipped: counts, by suffix, the files that are left out as they are not pictures by name.
        others: see above.

    Raises:
        InputError: if it cannot be read as an archive.
    """
    by_format = _zip_entries if archive.lower().endswith(ZIP) else _tar_entries
    return by_format(archive, skipped, others)


def zip_names(archive: str) -> list[str]:
    """What the pictures in a .zip are called; raises what :func:`entries` raises."""
    with _opened_zip(archive) as opened:
        return [name for name in opened.namelist() if _is_wanted(name, Counter(), ())]


def check_expansion(name: str, file: str | os.PathLike[str], size: int) -> None:
    """Raise an InputError if a compressed file expands to a size that no pictures have."""
    if size > max(_ALWAYS_EXPANDED, _MOST_EXPANSION * os.stat(file).st_size):
        raise InputError(f"{name}: expands to {size:,} bytes or more, which is not read")


def _is_wanted(name: str, skipped: Counter[str], others: tuple[str, ...]) -> bool:
    *folders, file = name.split("/")
    if not file or any(map(is_hidden, (*folders, file))):
        return False
    if is_picture(file) or file in others:
        return True
    if not is_expected(file):
        skipped[suffix_of(file)] += 1
    return False


def _opened_zip(archive: str) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(archive)
    except OSError:
        raise
    except Exception as error:  # zipfile raises whatever its parsing trips over
        rule = "is not a zip file, or is damaged"
        raise InputError(f"{archive}: {rule}: {limits.reason(error)}") from None


def _zip_entries(archive: str, skipped: Counter[str], others: tuple[str, ...]) -> Iterator[Entry]:
    with _opened_zip(archive) as opened:
        for member in opened.infolist():
            if _is_wanted(member.filename, skipped, others):
                yield member.filename, _zip_content(archive, opened, member)


def _zip_content(
    archive: str, opened: zipfile.ZipFile, member: zipfile.ZipInfo
) -> bytes | InputError:
    name = f"{archive}/{member.filename}"
    try:
        if member.file_size > MOST_BYTES:
            raise InputError(f"{name}: has more than {MOST_BYTES:,} bytes")
        with opened.open(member) as stream:
            return read_stream(stream, name)
    except InputError as error:
        return error
    except Exception as error:  # damaged, encrypted, by an unknown method
        return InputError(f"{name}: cannot be read: {limits.reason(error)}")


def _tar_entries(archive: str, skipped: Counter[str], others: tuple[str, ...]) -> Iterator[Entry]:
    import tarfile

    class Header(tarfile.TarInfo):
        """A header that is refused if it is damaged, where tarfile would end the file."""

        @classmethod
        def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Header:
            try:
                found = super().frombuf(buf, encoding, errors)
            except tarfile.EOFHeaderError:  # type: ignore[attr-defined]  # the mark of its end
                raise
            except tarfile.HeaderError as error:
                raise tarfile.ReadError(str(error)) from None
            if not (found.isfile() or found.isdir()) and found.size > _MOST_HEADER:
                raise tarfile.ReadError(f"a header of {found.size:,} bytes")
            return found

    try:
        with tarfile.open(archive, "r|*", tarinfo=Header) as opened:
            for member in opened:
                opened.members.clear()  # type: ignore[attr-defined]  # it would keep the headers of all
                check_expansion(archive, archive, member.offset_data + member.size)
                name = member.name.removeprefix("./")  # as of "tar -c ."
                if not member.isfile() or not _is_wanted(name, skipped, others):
                    continue
                stream: IO[bytes] | None = opened.extractfile(member)
                if stream is not None:
                    yield name, read_stream(stream, f"{archive}/{name}")
    except InputError:
        raise
    except Exception as error:  # tarfile raises whatever its parsing trips over
        rule = "is not a tar file, or is cut off"
        raise InputError(f"{archive}: {rule}: {limits.reason(error)}") from None
