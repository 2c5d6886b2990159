"""Which reader opens each format, and what to do about a format without a reader.

To add a format: a module beside this one with ``read(path, architecture)``, a branch in
:func:`read`, and no row in :data:`ADVICE`.
"""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any, TypeAlias

from tinymnist import limits
from tinymnist.errors import InputError
from tinymnist.interop.bare.candidates import Candidates, defines_layers
from tinymnist.interop.sniffing import Format, sniff
from tinymnist.nn.metadata import check_finite, check_model
from tinymnist.nn.sequential import load_model as load_weights
from tinymnist.nn.weights import find

Architecture: TypeAlias = str | PathLike[str] | None
"""A JSON file that describes the layers, or the name of a shipped architecture."""


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
    with limits.opening(path, "a model"):
        found = _read(path, architecture)
        if found.model is not None:
            check_model(found.model, path)
        for block in found.blocks:
            check_finite(block.arrays, path)
        return found


def _read(path: Path, architecture: Architecture) -> Candidates:
    kind = sniff(path)
    if kind is None:
        raise InputError(
            f"{path} is not a model of a known kind; expected weights of tinymnist, .keras, .h5, "
            "ONNX, a PyTorch state_dict, safetensors, or a SavedModel, .pb, .tflite or model.json "
            "of TensorFlow"
        )
    if kind in ADVICE:
        advice = ADVICE[kind].replace("{path}", str(path))
        raise InputError(f"{path} is {kind.value}, which tinymnist does not read; {advice}")
    if kind in (Format.TINYMNIST, Format.ONNX) and architecture is not None:
        raise defines_layers(path, "architecture")
    if kind is Format.TINYMNIST:
        return Candidates(path, load_weights(path))
    if kind is Format.ONNX:
        from tinymnist.interop.onnx import read as read_onnx

        return Candidates(path, read_onnx(path))
    if kind in (Format.KERAS_ZIP, Format.HDF5):
        from tinymnist.interop.keras import read as read_file
    elif kind in (Format.SAVED_MODEL, Format.GRAPH_DEF, Format.TFLITE, Format.TFJS):
        from tinymnist.interop.tensorflow import read as read_file
    elif kind is Format.SAFETENSORS:
        from tinymnist.interop.safetensors import read as read_file
    else:
        from tinymnist.interop.pytorch import read as read_file
    return read_file(path, architecture)


def provenance(metadata: Mapping[str, Any]) -> str:
    """Put ``metadata["source"]`` into words.

    Args:
        metadata: a model's; its source is a text, or a dict for an ONNX file.

    Returns:
        ``"Keras 2.3.1 (.h5), lenet.h5"``, ``"ONNX of pytorch 2.9.1 (opset 20), mnist.onnx"``, or
        ``"unknown"``.
    """
    source = metadata.get("source", "unknown")
    if not isinstance(source, Mapping):
        return str(source)
    framework = f" of {source['framework']}" if source.get("framework") else ""
    opset = f" (opset {source['opset']})" if source.get("opset") else ""
    return f"{source.get('format', 'unknown')}{framework}{opset}, {source.get('file', '?')}"


ADVICE = {
    Format.CHECKPOINT: (
        "build the model in Keras, then `model.load_weights(CHECKPOINT); model.save('model.h5')`"
    ),
    Format.KERAS_JSON: (
        "convert the weights that belong to it: `tinymnist convert WEIGHTS.h5 DEST.npz "
        "--architecture {path}`"
    ),
    Format.CAFFE: "convert it and its .prototxt to ONNX, with caffe2onnx for instance",
    Format.CAFFE_TEXT: "convert it and its .caffemodel to ONNX, with caffe2onnx for instance",
    Format.TORCH_TAR: "open it with PyTorch and save it again: `torch.save(torch.load(FILE), NEW)`",
    Format.ARRAYS: (
        "it has no manifest that defines layers; save its arrays as PyTorch names them: "
        "`torch.save({'fc1.weight': torch.tensor(W1.T), 'fc1.bias': torch.tensor(b1), ...}, "
        "'weights.pt')`"
    ),
    Format.BROKEN_HDF5: "its bytes are lost; get the file again, in binary mode",
    Format.LFS_POINTER: "get the file itself: `git lfs pull`",
    Format.HTML: "download the file itself, the raw one",
    Format.TEXT: "expected a model",
}
"""What to do about a format without a reader; ``{path}`` is replaced by the file's name."""
