"""Files that are written completely or not at all, and the pictures in a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tinymnist.errors import InputError

PICTURE_SUFFIXES = frozenset(
    f".{suffix}"
    for suffix in (
        *("png", "jpg", "jpeg", "jpe", "jfif", "webp", "avif", "gif", "bmp", "tif", "tiff"),
        *("pgm", "ppm", "pbm", "pnm", "tga", "ico"),
    )
)
"""What counts as a picture in a folder, by the end of its name."""


@contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary neighbour of ``path`` to write, and rename it when the block is through.

    Raises:
        InputError: when the file cannot be written; what lay there before stays.
    """
    target = Path(path)
    if not target.name:
        raise InputError(f"cannot write {str(path)!r}: expected the name of a file")
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        if target.exists() and not target.is_file():  # renaming would replace a device
            raise InputError(f"cannot write {target}: is no regular file; choose another name")
        yield temporary
        os.replace(temporary, target)
    except OSError as error:
        raise InputError(f"cannot write {target}: {error.strerror or error}") from None
    finally:
        with suppress(OSError):  # a name that cannot be written cannot be looked up either
            temporary.unlink()


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name is none of the user's own: ``.git``, ``__MACOSX``."""
    return name.startswith(".") or name == "__MACOSX"  # the latter is in every zip from a Mac


def is_picture(file: Path) -> bool:
    """Whether a file counts as a picture, by the end of its name."""
    return file.suffix.lower() in PICTURE_SUFFIXES


def files_in(folder: Path) -> list[Path]:
    """The files in a folder and below, in the order of their names, hidden ones left out.

    Raises:
        OSError: when the folder cannot be read.
    """
    os.scandir(folder).close()  # what follows takes a folder that is locked for an empty one
    return [
        file
        for file in sorted(folder.rglob("*"))
        if not any(is_hidden(part) for part in file.relative_to(folder).parts) and file.is_file()
    ]


def pictures_in(folder: Path) -> list[Path]:
    """The pictures among :func:`files_in`.

    Raises:
        InputError: when there is none.
        OSError: when the folder cannot be read.
    """
    files = [file for file in files_in(folder) if is_picture(file)]
    if not files:
        raise InputError(f"{folder}: holds no pictures; expected files such as .png or .jpg")
    return files
