"""Files that are written completely or not at all, and the pictures in a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
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
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        os.replace(temporary, target)
    except OSError as error:
        raise InputError(f"cannot write {target}: {error.strerror or error}") from None
    finally:
        temporary.unlink(missing_ok=True)


def pictures_in(folder: Path) -> list[Path]:
    """The picture files in a folder and below, in the order of their names, hidden ones left out.

    Raises:
        InputError: when there is none.
    """
    files = [
        file
        for file in sorted(folder.rglob("*"))
        if file.suffix.lower() in PICTURE_SUFFIXES
        and file.is_file()
        and not any(part.startswith(".") for part in file.relative_to(folder).parts)
    ]
    if not files:
        raise InputError(f"{folder}: holds no pictures; expected files such as .png or .jpg")
    return files
