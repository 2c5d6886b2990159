"""Atomic writing of files, and the pictures in a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from tinymnist.errors import InputError

if TYPE_CHECKING:  # its import takes time, and reading one picture does without
    from pathlib import Path

PICTURE_SUFFIXES = frozenset(
    (
        *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".avif", ".gif", ".bmp", ".tif"),
        *(".tiff", ".pgm", ".ppm", ".pbm", ".pnm", ".tga", ".ico"),
    )
)
"""The suffixes of files that count as pictures."""


@contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary file next to ``path``, and rename it to ``path`` when the block succeeds.

    Raises:
        InputError: if the file cannot be written; an existing file stays as it was.
    """
    from pathlib import Path

    target = Path(path)
    if not target.name:
        raise InputError(f"cannot write {str(path)!r}: expected the name of a file")
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        if target.exists() and not target.is_file():  # renaming would replace a device
            raise InputError(f"cannot write {target}: not a regular file; choose another name")
        yield temporary
        os.replace(temporary, target)
    except OSError as error:
        raise InputError(f"cannot write {target}: {error.strerror or error}") from None
    finally:
        with suppress(OSError):  # an invalid name cannot be looked up either
            temporary.unlink()


def read_bytes(path: str | os.PathLike[str], most: int) -> bytes:
    """The content of a file of at most ``most`` bytes; InputError if it is larger or unreadable."""
    try:
        if (size := os.stat(path).st_size) > most:
            raise InputError(f"{path} has {size:,} bytes; expected at most {most:,}")
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from None


def is_picture(file: Path) -> bool:
    """Whether a file counts as a picture by its suffix."""
    return file.suffix.lower() in PICTURE_SUFFIXES


def files_in(folder: Path) -> list[Path]:
    """All files in a folder and its subfolders, sorted by path, without hidden ones."""
    os.scandir(folder).close()  # rglob would treat an unreadable folder as empty
    found = [f for f in sorted(folder.rglob("*")) if f.is_file()]
    return [f for f in found if not any(map(_is_hidden, f.relative_to(folder).parts))]


def class_folders(folder: Path) -> list[Path]:
    """The folders in a folder, sorted by name, without hidden ones: one for each class."""
    return sorted(d for d in folder.iterdir() if d.is_dir() and not _is_hidden(d.name))


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"  # the latter is in every zip from a Mac


def pictures_in(folder: Path) -> list[Path]:
    """The pictures in a folder and its subfolders, sorted by path; InputError if it has none."""
    files = [file for file in files_in(folder) if is_picture(file)]
    if not files:
        raise InputError(f"{folder}: holds no pictures; expected files such as .png or .jpg")
    return files
