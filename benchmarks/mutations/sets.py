"""Kinds of labelled sets: tables, archives of arrays, MNIST's own form, captured outputs."""

from __future__ import annotations

import gzip
import io
import struct
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.mutations.kinds import Kind, Seed
from benchmarks.mutations.mutators import (
    BYTES,
    any_bytes,
    inside_gzip,
    inside_zip,
    npy,
    replace_text,
)


def kinds() -> list[Kind]:
    """Every kind of labelled set."""
    archive = (*BYTES, *[inside_zip(lambda name: npy)] * 4)
    return [
        Kind("set-npz", _arrays, archive, _evaluate),
        Kind("set-zip", _archives, (*BYTES, inside_zip(lambda name: any_bytes)), _evaluate),
        Kind("set-csv", _tables, (any_bytes, replace_text, replace_text), _evaluate),
        Kind("idx", _idx, (*BYTES, inside_gzip), _read_idx),
        Kind("captured", _captured, archive, _compare),
    ]


def _pictures() -> tuple[NDArray[Any], NDArray[Any]]:
    images = np.zeros((4, 28, 28), np.uint8)
    for number, image in enumerate(images):
        image[5:23, 10 + number : 13 + number] = 255
    return images, np.array([1, 1, 7, 1])


def _arrays() -> list[Seed]:
    images, labels = _pictures()
    buffer = io.BytesIO()
    np.savez_compressed(buffer, images=images, labels=labels)
    return [Seed("set.npz", {"set.npz": buffer.getvalue()})]


def _tables() -> list[Seed]:
    files = {"labels.csv": b"file,label,kind\na.pgm,1,x\nb/b.pgm,7,y\n"}
    for name in ("a.pgm", "b/b.pgm"):
        files[name] = b"P5 28 28 255\n" + _pictures()[0][0].tobytes()
    return [Seed("table", files)]


def _archives() -> list[Seed]:
    seeds = []
    for name in ("a.zip", "a.tar"):
        file = io.BytesIO()
        if name == "a.zip":
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
                for inner, content in _tables()[0].files.items():
                    archive.writestr(f"my/{inner}", content)
        else:
            with tarfile.open(fileobj=file, mode="w") as packed:
                for label in ("1", "7"):
                    content = _tables()[0].files["a.pgm"]
                    info = tarfile.TarInfo(f"{label}/a.pgm")
                    info.size = len(content)
                    packed.addfile(info, io.BytesIO(content))
        seeds.append(Seed(name, {name: file.getvalue()}))
    return seeds


def _evaluate(path: Path) -> None:
    """Measure a small model on the set."""
    import tinymnist

    place = path / "labels.csv" if (path / "labels.csv").exists() else path
    tinymnist.evaluate(place, "mlp", workers=1).as_record()


def _idx() -> list[Seed]:
    images, labels = _pictures()
    plain = struct.pack(">4B3I", 0, 0, 8, 3, *images.shape) + images.tobytes()
    plain_labels = struct.pack(">4BI", 0, 0, 8, 1, 4) + labels.astype(np.uint8).tobytes()
    return [
        Seed("images.idx", {"images.idx": plain}),
        Seed("labels.idx", {"labels.idx": plain_labels}),
        Seed("images.idx.gz", {"images.idx.gz": gzip.compress(plain)}),
    ]


def _read_idx(path: Path) -> None:
    from tinymnist.data.mnist import read_idx

    read_idx(path)


def _captured() -> list[Seed]:
    import tinymnist

    model = tinymnist.load_model("mlp")
    x = (_pictures()[0][..., None] / np.float32(255)).astype(np.float32)
    buffer = io.BytesIO()
    outputs: dict[str, Any] = tinymnist.layer_outputs(model, x)
    np.savez(buffer, **outputs)
    return [Seed("captured.npz", {"captured.npz": buffer.getvalue()})]


def _compare(path: Path) -> None:
    """Compare captured outputs with the model that they come from."""
    import tinymnist

    tinymnist.compare(path, "mlp")
