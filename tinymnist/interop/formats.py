"""Which reader opens each format, and what to do about a format without a reader.

To add a format: a folder beside this file with ``read(path, architecture)``, a function here that
imports it, and a row of :data:`READERS` instead of one of :data:`ADVICE`.
"""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import TypeAlias

from tinymnist.errors import InputError
from tinymnist.interop.bare.candidates import Candidates, defines_layers
from tinymnist.interop.sniffing import Format, sniff
from tinymnist.nn.sequential import load_model as load_weights
from tinymnist.nn.weights import find

Architecture: TypeAlias = str | PathLike[str] | None
"""A JSON file that describes the layers, or the name of a shipped architecture."""
Reader: TypeAlias = Callable[[Path, Architecture], Candidates]


def read(source: str | PathLike[str], architecture: Architecture = None) -> Candidates:
    """Read a model file; its content decides which reader opens it.

    Args:
        source: the name of a shipped model, or a file.
        architecture: for weights without an architecture.

    Returns:
        The model, or every plan that fits bare weights. Outputs are as in the framework that wrote
        the file, and ``metadata["source"]`` names the format, the framework's version and the file.

    Raises:
        InputError: when the file is missing, damaged or in a format without a reader, when it holds
            something that cannot be mapped exactly, or when the architecture does not fit or is
            already defined.
    """
    path = find(source)
    kind = sniff(path)
    if kind is not None and kind in READERS:
        return READERS[kind](path, architecture)
    if kind is None:
        raise InputError(
            f"{path} is not a model of a known kind; expected weights of tinymnist, .keras, .h5, "
            "ONNX, a PyTorch state_dict or safetensors"
        )
    advice = ADVICE[kind].replace("{path}", str(path))
    raise InputError(f"{path} is {kind.value}, which tinymnist does not read; {advice}")


def _tinymnist(path: Path, architecture: Architecture) -> Candidates:
    if architecture is not None:
        raise defines_layers(path, "architecture")
    return Candidates(path, load_weights(path))


def _keras(path: Path, architecture: Architecture) -> Candidates:
    from tinymnist.interop.keras import read

    return read(path, architecture)


def _onnx(path: Path, architecture: Architecture) -> Candidates:
    from tinymnist.interop.onnx import read

    if architecture is not None:
        raise defines_layers(path, "architecture")
    return Candidates(path, read(path))


def _pytorch(path: Path, architecture: Architecture) -> Candidates:
    from tinymnist.interop.pytorch import read

    return read(path, architecture)


def _safetensors(path: Path, architecture: Architecture) -> Candidates:
    from tinymnist.interop.safetensors import read

    return read(path, architecture)


READERS: dict[Format, Reader] = {
    Format.TINYMNIST: _tinymnist,
    Format.KERAS_ZIP: _keras,
    Format.HDF5: _keras,
    Format.ONNX: _onnx,
    Format.TORCH_ZIP: _pytorch,
    Format.TORCH_LEGACY: _pytorch,
    Format.TORCHSCRIPT: _pytorch,
    Format.SAFETENSORS: _safetensors,
}
_SAVE_FOR_TORCH = (
    "save its arrays as PyTorch names them: `torch.save({'fc1.weight': torch.tensor(W1.T), "
    "'fc1.bias': torch.tensor(b1), ...}, 'weights.pt')`"
)
ADVICE = {
    Format.SAVED_MODEL: (
        "if Keras 2 made it: `tf.keras.models.load_model(FOLDER).save('model.h5')`; else "
        "`python -m tf2onnx.convert --saved-model FOLDER --output model.onnx`"
    ),
    Format.GRAPH_DEF: (
        "convert it: `python -m tf2onnx.convert --graphdef FILE.pb --inputs NAME:0 "
        "--outputs NAME:0 --output model.onnx`"
    ),
    Format.CHECKPOINT: (
        "build the model in Keras, then `model.load_weights(CHECKPOINT); model.save('model.h5')`"
    ),
    Format.TFLITE: "convert it: `python -m tf2onnx.convert --tflite FILE --output model.onnx`",
    Format.TFJS: (
        "convert it: `tensorflowjs_converter --input_format tfjs_layers_model --output_format "
        "keras model.json model.h5`"
    ),
    Format.KERAS_JSON: (
        "convert the weights that belong to it: `tinymnist convert WEIGHTS.h5 DEST.npz "
        "--architecture {path}`"
    ),
    Format.CAFFE: "convert it and its .prototxt to ONNX, with caffe2onnx for instance",
    Format.CAFFE_TEXT: "convert it and its .caffemodel to ONNX, with caffe2onnx for instance",
    Format.PICKLE: (
        "unpickling would run any code in it. If you trust it, load it in Python and "
        + _SAVE_FOR_TORCH
    ),
    Format.TORCH_TAR: "open it with PyTorch and save it again: `torch.save(torch.load(FILE), NEW)`",
    Format.ARRAYS: f"it has no manifest that defines layers; {_SAVE_FOR_TORCH}",
    Format.BROKEN_HDF5: "its bytes are lost; get the file again, in binary mode",
    Format.LFS_POINTER: "get the file itself: `git lfs pull`",
    Format.HTML: "download the file itself, the raw one",
    Format.TEXT: "expected a model",
}
"""What to do about a format without a reader; ``{path}`` is replaced by the file's name."""
