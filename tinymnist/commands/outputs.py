"""One check of what every command writes, before any work is done: nothing gets lost."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from pathlib import Path

from tinymnist.errors import InputError
from tinymnist.files import PICTURE_SUFFIXES, real_path
from tinymnist.interop.sniffing import Format, sniff

_MODELS = {
    ".npz": {Format.TINYMNIST},
    ".keras": {Format.KERAS_ZIP},
    ".h5": {Format.HDF5},
    ".hdf5": {Format.HDF5},
    ".onnx": {Format.ONNX},
    ".safetensors": {Format.SAFETENSORS},
}
"""What a model file is by its content, by the suffix of its name."""


class Kind(Enum):
    """What a command writes; its value is a name of it."""

    PAGE = "an HTML page"
    PICTURE = "a picture that tinymnist drew"
    MODEL = "a model of this format"
    STATE = "the state of a training"
    HISTORY = "a history of epochs"
    LABELS = "a table of labels (file,label)"


Outputs = Mapping[str, tuple[Kind, Path | Sequence[Path] | None]]
"""By the option that names them: what is written, and where; None for no file."""


def check_outputs(outputs: Outputs, inputs: Iterable[str | Path | None] = ()) -> None:
    """Make sure, before any work is done, that files can be written and nothing is lost by it.

    A file that exists is only replaced by one of its own kind, such as an older report.

    Args:
        outputs: see :data:`Outputs`.
        inputs: what must not be overwritten; of a folder its pictures and its table of labels.
            Names that do not exist do no harm.

    Raises:
        InputError: when an output has no name, no folder, a folder that cannot be written into,
            or the place of an input, of another output, of a file of another kind, or of something
            that is not a file.
    """
    taken = {real_path(path) for path in inputs if path is not None}
    folders = set()
    for option, (kind, paths) in outputs.items():
        for path in [paths] if isinstance(paths, Path) else paths or ():
            folders.add(folder := path.absolute().parent)
            if not path.name:
                raise InputError(f"{option} expects the name of a file; received {str(path)!r}")
            if not folder.is_dir():
                raise InputError(f"there is no folder {path.parent} to write {path} into")
            if path.exists() and not path.is_file():
                raise InputError(f"{path} is not a regular file; give {option} another name")
            real = real_path(path)
            if real.is_symlink():  # all others have been followed
                raise InputError(f"{path} is one of several links in a loop; give {option} another")
            is_data = real.suffix.lower() in PICTURE_SUFFIXES or real.name == "labels.csv"
            if real in taken or (is_data and real.exists() and taken.intersection(real.parents)):
                raise InputError(
                    f"{option} {path} would overwrite an input or another output; give another name"
                )
            if real.exists() and real.stat().st_size and not _CHECKS[kind](real):
                rule = f"{option} {path} would overwrite a file that is not {kind.value}"
                raise InputError(f"{rule}; give another name")
            taken.add(real)
    for folder in folders:
        try:
            tempfile.TemporaryFile(dir=folder).close()
        except OSError as error:
            raise InputError(f"cannot write into {folder}: {error.strerror}") from None


def check_weights_name(path: Path) -> None:
    """Raise an InputError if the name of a weights file does not end in .npz."""
    if path.suffix != ".npz":
        raise InputError(f"{path} should end with .npz; `tinymnist export` writes other formats")


def _sniffed(path: Path) -> Format | None:
    try:
        return sniff(path)
    except InputError:  # damaged
        return None


def _is_model(path: Path) -> bool:
    if path.suffix.lower() in (".py", ".c"):
        return b"a neural network in one" in _head(path)
    return _sniffed(path) in _MODELS.get(path.suffix.lower(), set())


def _is_own_picture(path: Path) -> bool:
    from tinymnist.reporting.figures import is_own_figure

    return is_own_figure(path)


def _head(path: Path) -> bytes:
    with open(path, "rb") as file:
        return file.read(1 << 12)


_CHECKS: dict[Kind, Callable[[Path], bool]] = {
    Kind.PAGE: lambda path: _sniffed(path) is Format.HTML,
    Kind.PICTURE: _is_own_picture,
    Kind.MODEL: _is_model,
    Kind.STATE: lambda path: _sniffed(path) is Format.TINYMNIST,
    Kind.HISTORY: lambda path: _head(path).startswith(b"epoch,"),
    Kind.LABELS: lambda path: _head(path).removeprefix(b"\xef\xbb\xbf").startswith(b"file,label"),
}
