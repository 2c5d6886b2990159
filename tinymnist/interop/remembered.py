"""What was found out about a file is found once, and kept in the user's cache as a weights file.

To find how a network scales its pixels takes seconds, and some formats take long to read. The
content of the file is the key, with everything else that the answer depends on. A cache that
cannot be read or written only costs the time again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from os import PathLike
from pathlib import Path

from tinymnist.data.mnist import cache_folder
from tinymnist.errors import InputError
from tinymnist.files import whole_file
from tinymnist.nn.sequential import Sequential
from tinymnist.nn.sequential import load_model as load_weights

_FORM = "2"
"""To be raised when a change of the readers or of the search makes old answers wrong."""
_MOST_BYTES = 1 << 28
"""Larger files and models are not kept."""
_MOST_KEPT = 32
_PATH = "{path}"
"""Stands for the file's path in remembered doubts."""


def convert_once(
    source: str | PathLike[str],
    architecture: str | PathLike[str] | None = None,
    plan: int | None = None,
) -> tuple[Sequential, list[str]]:
    """Open a model as :func:`tinymnist.interop.conversion.convert` does; the second time, recall.

    Returns:
        The model, with its scaling, and what the user should know, one sentence each.

    Raises:
        InputError: as ``convert``.
    """
    if not str(source):  # the path of it is the current folder
        raise InputError("the name of the model is empty; expected a shipped model or a file")
    place = None
    with suppress(OSError):
        if key := _key(Path(source), architecture, plan):
            place = cache_folder().with_name("models") / f"{key}.npz"
    if place is not None and (found := _recall(place)):
        model, doubts = found
        return model, [doubt.replace(_PATH, str(source)) for doubt in doubts]
    from tinymnist.interop.conversion import convert

    conversion = convert(source, architecture=architecture, plan=plan)
    model, doubts = conversion.model, list(conversion.doubts)
    if place is not None:
        _remember(place, model, [doubt.replace(str(source), _PATH) for doubt in doubts])
    return model, doubts


def _key(source: Path, architecture: str | PathLike[str] | None, plan: int | None) -> str | None:
    """A hash of all that the answer depends on; None if that is not known or too much."""
    digest, left = hashlib.sha256(), _MOST_BYTES
    for part in (_FORM, source.name, architecture, plan):
        digest.update(f"{part}\n".encode(errors="surrogateescape"))
    described = [Path(architecture)] if architecture and Path(architecture).is_file() else []
    for file in (*_files_of(source), *described):
        left -= (size := file.stat().st_size)
        if left < 0:
            return None
        data = file.read_bytes()
        if source.suffix == ".onnx" and b"location" in data:
            return None  # its numbers are in other files
        digest.update(f"{file.name} {size}\n".encode(errors="surrogateescape") + data)
    return digest.hexdigest()[:40]


def _files_of(source: Path) -> Iterator[Path]:
    """The files that hold a model: one, those in a folder, or a description and its weights."""
    folder = source.parent if source.name == "saved_model.pb" else source
    if folder.is_dir():
        yield from sorted(file for file in folder.rglob("*") if file.is_file())
        return
    if source.is_file():  # not a pipe, which nobody may write to
        yield source
    if source.suffix == ".json":
        yield from sorted(source.parent.glob("*.bin"))


def _recall(place: Path) -> tuple[Sequential, list[str]] | None:
    try:
        doubts = place.with_suffix(".txt").read_text("utf-8").splitlines()
        model = load_weights(place)
        place.touch()  # the longest unused are dropped first
    except (OSError, ValueError):  # an InputError is one
        return None
    return model, doubts


def _remember(place: Path, model: Sequential, doubts: list[str]) -> None:
    if sum(array.nbytes for array in model.weights.values()) > _MOST_BYTES:
        return
    with suppress(OSError, InputError, ValueError):
        place.parent.mkdir(parents=True, exist_ok=True)
        lines = (" ".join(doubt.split()) for doubt in doubts)
        with whole_file(place.with_suffix(".txt")) as temporary:
            temporary.write_text("\n".join(lines), "utf-8")
        model.save(place)
        kept = sorted(place.parent.glob("*.npz"), key=lambda file: -file.stat().st_mtime)
        for old in kept[_MOST_KEPT:]:
            old.unlink()
            old.with_suffix(".txt").unlink()
