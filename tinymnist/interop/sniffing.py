"""The format of a file, recognized by its content; names are unreliable."""

from __future__ import annotations

import json
import string
import struct
import zipfile
from enum import Enum
from mmap import ACCESS_READ, mmap
from os import PathLike
from pathlib import Path

from tinymnist import limits
from tinymnist.files import open_regular
from tinymnist.interop.wire import Damaged, fields

_HEAD = 1 << 16
_HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
_TORCH_MAGIC = bytes.fromhex("8a0a6cfc9c46f9206aa850192e")
"""PyTorch's number 0x1950a86a20f9469cfc6c, pickled: the beginning of a file before 1.6."""


class Format(Enum):
    """Every format that is recognized, and its name in messages."""

    TINYMNIST = "weights of tinymnist (.npz)"
    KERAS_ZIP = "a Keras model (.keras)"
    HDF5 = "an HDF5 file (Keras's .h5)"
    ONNX = "an ONNX model"
    TORCH_ZIP = "a PyTorch file (zip)"
    TORCH_LEGACY = "a PyTorch file of before 1.6"
    TORCHSCRIPT = "a TorchScript module"
    SAFETENSORS = "a safetensors file"
    SAVED_MODEL = "a TensorFlow SavedModel"
    GRAPH_DEF = "a frozen TensorFlow graph (.pb)"
    CHECKPOINT = "a TensorFlow checkpoint"
    TFLITE = "a TensorFlow Lite model"
    TFJS = "a TensorFlow.js model"
    KERAS_JSON = "a Keras architecture without weights (.json)"
    CAFFE = "a Caffe model"
    CAFFE_TEXT = "a Caffe architecture without weights (.prototxt)"
    PICKLE = "a Python pickle"
    TORCH_TAR = "a PyTorch file of before 0.2 (tar)"
    ARRAYS = "an archive of NumPy arrays"
    BROKEN_HDF5 = "an HDF5 file that was converted as if it were text"
    LFS_POINTER = "a pointer of Git LFS, not the file itself"
    HTML = "a web page, not the file itself"
    TEXT = "a text"


def sniff(path: str | PathLike[str]) -> Format | None:
    """The format of a file or folder; None if it is unknown.

    Raises:
        InputError: when it cannot be read.
    """
    with limits.opening(path, "a model"):
        return _sniff(Path(path))


def _sniff(place: Path) -> Format | None:
    if place.is_dir():
        return _sniff_folder(place)
    with open_regular(place) as file:
        head = file.read(_HEAD)
        size = file.seek(0, 2)
    if head[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        return _sniff_zip(place)
    by_magic = (kind for at, magic, kind in _MAGIC if head.startswith(magic, at))
    return next(by_magic, None) or _sniff_structure(place, head, size) or _sniff_text(head, size)


def _sniff_folder(folder: Path) -> Format | None:
    if (folder / "saved_model.pb").exists():
        return Format.SAVED_MODEL
    if (folder / "model.json").exists():
        return Format.TFJS
    return Format.CHECKPOINT if any(folder.glob("*.index")) else None


def _sniff_zip(path: Path) -> Format | None:
    with limits.opening(path, "a zip archive"), zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    leaves = {name.replace("\\", "/").rpartition("/")[2] for name in names}
    if "manifest.json" in names:
        return Format.TINYMNIST
    if "config.json" in names and {"metadata.json", "model.weights.h5"} & set(names):
        return Format.KERAS_ZIP
    if "constants.pkl" in leaves or ("model.json" in leaves and "code" in " ".join(names)):
        return Format.TORCHSCRIPT
    if "data.pkl" in leaves:
        return Format.TORCH_ZIP
    return Format.ARRAYS if any(name.endswith(".npy") for name in names) else None


_MAGIC = (
    # HDF5 may begin after a block of the user's.
    *((at, _HDF5_MAGIC, Format.HDF5) for at in (0, 512, 1024, 2048)),
    (0, b"\xef\xbf\xbdHDF", Format.BROKEN_HDF5),
    (2, _TORCH_MAGIC, Format.TORCH_LEGACY),
    *((0, bytes([0x80, protocol]), Format.PICKLE) for protocol in (2, 3, 4, 5)),
    (4, b"TFL3", Format.TFLITE),
    (257, b"ustar", Format.TORCH_TAR),
)
"""Position, bytes, and the format; the first match counts."""


def _sniff_structure(path: Path, head: bytes, size: int) -> Format | None:
    if len(head) > 8 and head[8:9] == b"{":
        (length,) = struct.unpack("<Q", head[:8])
        if length <= size - 8 or head[8:11] == b'{"_' or b'"data_offsets"' in head:
            return Format.SAFETENSORS
    return _sniff_protobuf(path, head, size) if size and size < 1 << 31 else None


def _sniff_protobuf(path: Path, head: bytes, size: int) -> Format | None:
    """ONNX, TensorFlow's graphs and Caffe's nets differ in the numbers of their fields."""
    found: set[tuple[int, int]] = set()
    try:
        with open(path, "rb") as file, mmap(file.fileno(), size, access=ACCESS_READ) as data:
            for number, kind, _, _ in fields(data, 0, size):
                found.add((number, kind))
    except (Damaged, OSError):
        pass  # cut off: the fields before may be enough
    if (1, 0) in found and (7, 2) in found:
        return Format.ONNX  # ir_version, graph
    if (1, 0) in found and (2, 2) in found and len(found) <= 2:
        return Format.SAVED_MODEL  # schema version, graphs
    if (100, 2) in found:
        return Format.CAFFE  # layers
    graph_words = (b"Placeholder", b"Const", b"dtype", b"VariableV2")
    if (1, 2) in found and any(word in head[:256] for word in graph_words):
        return Format.GRAPH_DEF  # a list of nodes, each beginning with its name and operation
    # Caffe's first version: name, layers
    return Format.CAFFE if {(1, 2), (2, 2)} <= found and (1, 0) not in found else None


def _sniff_text(head: bytes, size: int) -> Format | None:
    text = head.decode("utf-8", "replace").lstrip("\ufeff \t\r\n")
    if text.startswith("version https://git-lfs"):
        return Format.LFS_POINTER
    if text[:14].lower().startswith(("<!doctype html", "<html")):
        return Format.HTML
    if text.startswith("{"):
        return _sniff_json(text, complete=size <= len(head))
    if "layer {" in text or "layers {" in text or "layer{" in text:
        return Format.CAFFE_TEXT
    printable = sum(letter in string.printable for letter in text)
    return Format.TEXT if text and printable > 0.95 * len(text) else None


def _sniff_json(text: str, complete: bool) -> Format | None:
    if '"class_name"' in text:
        return Format.KERAS_JSON if '"weightsManifest"' not in text else Format.TFJS
    if complete:
        try:
            if not isinstance(json.loads(text), dict):
                return Format.TEXT
        except (ValueError, RecursionError):
            return Format.TEXT
    return Format.TFJS if '"modelTopology"' in text or '"weightsManifest"' in text else Format.TEXT
