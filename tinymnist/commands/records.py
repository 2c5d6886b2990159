"""A file of results that grows by a line per picture, and copies of pictures sorted by digit."""

from __future__ import annotations

import io
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from tinymnist.errors import InputError
from tinymnist.files import is_picture, real_path, temporary_file

_START = b'{"file": '


class ResultFile:
    """A file of JSON lines, one per input; every line is written at once, so a kill cuts one."""

    def __init__(self, path: Path, resume: bool = False, by: str = "") -> None:
        """Open the file to append to it.

        Args:
            path: a new file, or with ``resume`` an older one, whose last line may be cut off.
            resume: whether to continue a file that exists.
            by: what reads the pictures: every record says so, and nothing else may continue it.

        Raises:
            InputError: if it exists and is not to be continued, holds anything else than results,
                holds those of another model, or cannot be written.
        """
        self.path, self.by = path, by
        self.names: set[str] = set()
        if path.suffix.lower() == ".csv":
            raise InputError(f"--out {path}: JSON lines are written; name it .jsonl, or use --csv")
        if path.exists() and not path.is_file():
            raise InputError(f"--out {path} exists and is not a regular file; give another name")
        if path.exists() and not resume:
            raise InputError(f"--out {path} exists; use --resume to continue it, or another name")
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0)
        try:
            self._file = os.open(path, flags if path.exists() else flags | os.O_EXCL, 0o666)
        except OSError as error:
            raise InputError(f"--out {path}: cannot be written: {error.strerror}") from None
        if resume:
            try:
                os.ftruncate(self._file, os.lseek(self._file, self._read(), os.SEEK_SET))
            except InputError:
                self.close()
                raise

    def _read(self) -> int:
        """Note the names in the file; return where its last whole line ends."""
        end = 0
        with open(self.path, "rb") as lines:
            for number, line in enumerate(lines, 1):
                if not line.endswith(b"\n") and _START[: len(line)] == line[: len(_START)]:
                    break  # cut by a kill; anything else is not ours to cut
                try:
                    record = json.loads(line)
                    self.names.add(str(record["file"]))
                    by = record.get("by", self.by)
                except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                    rule = "is not a result of predict or read; give another name"
                    raise InputError(f"--out {self.path}: line {number} {rule}") from None
                if by != self.by:
                    rule = f"was written by {by}, not by {self.by}; give another name"
                    raise InputError(f"--out {self.path}: line {number} {rule}")
                end += len(line)
        return end

    def write(self, record: Mapping[str, Any]) -> None:
        """Append a line."""
        record = {**record, "by": self.by} if self.by else record
        line = memoryview(json.dumps(record).encode() + b"\n")
        while line:  # a disk that is nearly full takes a part
            line = line[os.write(self._file, line) :]

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


@contextmanager
def result_file(path: str | None, resume: bool, by: str = "") -> Iterator[ResultFile | None]:
    """A :class:`ResultFile` for the block, or None without a path."""
    if path is None:
        if resume:
            raise InputError("--resume needs --out FILE, the results to continue")
        yield None
        return
    file = ResultFile(Path(path), resume, by)
    try:
        yield file
    finally:
        file.close()


def check_sorted_folder(folder: Path, inputs: Iterable[str]) -> None:
    """Raise an InputError if the copies would lie among the pictures that are still to be read."""
    real = real_path(folder)
    for name in inputs:
        place = real_path(name)
        if place.is_dir() and real.is_relative_to(place):
            raise InputError(f"--sort-into {folder} lies in {name}; choose a folder outside of it")


def copy_sorted(name: str, source: Any, label: str, folder: Path) -> Path:
    """Copy a picture to ``folder/label/``; if its name is taken there, the copy is numbered.

    A file with the same content that is there already, as after an interruption, is kept.

    Args:
        name: of the picture, see :class:`tinymnist.sources.Inputs`.
        source: a path, the bytes of a file, or an array.
        label: the name of a class.
        folder: is made if needed.

    Returns:
        The copy.

    Raises:
        InputError: if it cannot be written.
    """
    place = folder / (re.sub(r'[/\\:*?"<>|\0]', "_", label).strip(".") or "_")
    try:
        content = _content(source)
        file = Path(_file_name(name, source, content))
        place.mkdir(parents=True, exist_ok=True)
        for number in count(1):
            target = place / (file.stem + f"-{number}" * (number > 1) + file.suffix)
            try:
                with temporary_file(target) as whole:
                    whole.write_bytes(content)
                    _rename_to_new(whole, target)
                break
            except FileExistsError:
                if target.is_file() and target.read_bytes() == content:
                    break
    except OSError as error:
        raise InputError(f"{error.filename or place}: {error.strerror or error}") from None
    return target


def _rename_to_new(file: Path, target: Path) -> None:
    """Rename a file; FileExistsError if there is one of that name."""
    try:
        os.link(file, target)
    except FileExistsError:
        raise
    except (OSError, NotImplementedError):  # a file system without links
        if target.exists():
            raise FileExistsError from None
        os.replace(file, target)


def _content(source: Any) -> bytes:
    if isinstance(source, str):
        return Path(source).read_bytes()
    if isinstance(source, bytes):
        return source
    from tinymnist.imaging.picture.decode import decode
    from tinymnist.reporting.figures import to_picture

    file = io.BytesIO()
    to_picture(decode(source)).save(file, "PNG")
    return file.getvalue()


def _file_name(name: str, source: Any, content: bytes) -> str:
    """The file's own name; for a page or a picture of an array one like ``scan-2.png``."""
    file = Path(name).name
    if isinstance(source, str) or is_picture(file):
        return file
    found = re.fullmatch(r"(.*?)(?:\.\w+)?(?:[#\[](\d+)\]?)?", file, re.DOTALL)
    stem, page = found.groups() if found else (file, None)
    endings = {b"\x89PNG": ".png", b"\xff\xd8": ".jpg", b"II*\0": ".tif", b"MM\0*": ".tif"}
    ending = next((end for start, end in endings.items() if content.startswith(start)), "")
    return (stem.strip("-") or "picture") + (f"-{page}" if page else "") + ending
