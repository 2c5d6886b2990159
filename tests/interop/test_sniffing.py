from __future__ import annotations

import json
import struct
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tinymnist import InputError
from tinymnist.interop import open_model
from tinymnist.interop.formats import ADVICE
from tinymnist.interop.sniffing import Format, sniff

MAGIC = bytes.fromhex("80028a0a6cfc9c46f9206aa850192e")


def protobuf(*entries: Any) -> Any:
    """Fields below 16 or not; whole numbers become varints, bytes and texts their own kind."""
    out = b""
    for number, value in entries:
        key = number << 3 | (0 if isinstance(value, int) else 2)
        out += bytes([key]) if key < 128 else bytes([key & 127 | 128, key >> 7])
        out += bytes([value]) if isinstance(value, int) else bytes([len(value)]) + value
    return out


def zipped(path: Path, *names: Any) -> Any:
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, "")
    return path.read_bytes()


FILES = {
    "hdf5": (b"\x89HDF\r\n\x1a\n" + bytes(90), Format.HDF5),
    "hdf5 behind a block": (bytes(512) + b"\x89HDF\r\n\x1a\n", Format.HDF5),
    "hdf5 as text": (b"\xef\xbf\xbdHDF\r\n", Format.BROKEN_HDF5),
    "legacy torch": (MAGIC, Format.TORCH_LEGACY),
    "pickle": (b"\x80\x03}q\x00.", Format.PICKLE),
    "tflite": (b"\x1c\0\0\0TFL3" + bytes(8), Format.TFLITE),
    "onnx": (protobuf((1, 7), (2, b"pytorch"), (7, b"graph")), Format.ONNX),
    "saved_model.pb": (protobuf((1, 1), (2, b"graphs")), Format.SAVED_MODEL),
    "graph": (protobuf((1, b"\x0a\x01x\x12\x0bPlaceholder"), (4, b"v")), Format.GRAPH_DEF),
    "caffe": (protobuf((1, b"LeNet"), (100, b"layer")), Format.CAFFE),
    "old caffe": (protobuf((1, b"LeNet"), (2, b"layer")), Format.CAFFE),
    "prototxt": (b'name: "LeNet"\nlayer {\n', Format.CAFFE_TEXT),
    "safetensors": (struct.pack("<Q", 2) + b"{}", Format.SAFETENSORS),
    "keras json": (b'{"class_name": "Sequential", "config": []}', Format.KERAS_JSON),
    "tfjs": (b'{"modelTopology": {}, "weightsManifest": []}', Format.TFJS),
    "json": (b'{"a": 1}', Format.TEXT),
    "lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", Format.LFS_POINTER),
    "html": (b"\n<!DOCTYPE html><html>", Format.HTML),
    "text": (b"Real ONNX model would go here...", Format.TEXT),
    "noise": (bytes(range(128, 256)), None),
    "nothing": (b"", None),
}
ARCHIVES = {
    ("manifest.json", "weights/a.npy"): Format.TINYMNIST,
    ("config.json", "metadata.json", "model.weights.h5"): Format.KERAS_ZIP,
    ("net/data.pkl", "net/data/0"): Format.TORCH_ZIP,
    ("net/data.pkl", "net/constants.pkl", "net/code/x.py"): Format.TORCHSCRIPT,
    ("a.npy", "b.npy"): Format.ARRAYS,
    ("word/document.xml",): None,
}


@pytest.mark.parametrize("name", FILES)
def test_files_are_recognized_by_their_content(name: str, tmp_path: Path) -> None:
    data, kind = FILES[name]
    (tmp_path / "model.keras").write_bytes(data)
    assert sniff(tmp_path / "model.keras") is kind


@pytest.mark.parametrize("names", ARCHIVES, ids=str)
def test_archives_are_recognized_by_their_entries(names: Any, tmp_path: Path) -> None:
    zipped(tmp_path / "model.h5", *names)
    assert sniff(tmp_path / "model.h5") is ARCHIVES[names]


def test_folders(tmp_path: Path) -> None:
    assert sniff(tmp_path) is None
    (tmp_path / "model.ckpt.index").touch()
    assert sniff(tmp_path) is Format.CHECKPOINT
    (tmp_path / "model.json").touch()
    assert sniff(tmp_path) is Format.TFJS
    (tmp_path / "saved_model.pb").touch()
    assert sniff(tmp_path) is Format.SAVED_MODEL


@pytest.mark.parametrize(
    "name", [name for name, (_, kind) in FILES.items() if kind is None or kind in ADVICE]
)
def test_what_is_not_read_is_refused_in_one_line_that_helps(name: str, tmp_path: Path) -> None:
    path = tmp_path / "model"
    path.write_bytes(FILES[name][0])
    with pytest.raises(InputError) as caught:
        open_model(path)
    kind, message = FILES[name][1], str(caught.value)
    assert str(path) in message and "\n" not in message
    assert (kind.value if kind else "a known kind") in message


def test_missing_and_damaged_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        open_model(tmp_path / "nothing")
    whole = zipped(tmp_path / "a", "data.pkl")
    (tmp_path / "a").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="zip"):
        open_model(tmp_path / "a")


def test_a_description_cannot_be_given_to_what_tells_its_layers(tmp_path: Path) -> None:
    (tmp_path / "layers.json").write_text(json.dumps({"input_shape": [1], "layers": []}))
    with pytest.raises(InputError, match="drop --architecture"):
        open_model("mlp", architecture=tmp_path / "layers.json")
    with pytest.raises(InputError, match="drop --plan"):
        open_model("mlp", plan=1)
