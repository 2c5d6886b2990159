"""What one side of a comparison is: the outputs of its layers, in order; also read from a file.

Any program that runs a model can write its outputs, one array for each layer::

    outputs = {"input": x, "conv1": ..., "relu1": ..., "fc": ...}
    np.savez("captured.npz", **outputs)

- The arrays are in the order of execution, each named after its layer; the last one is the model's
  own output. You may capture some layers only: with more of them, the first layer that differs is
  known more exactly.
- ``input`` is what the model was run on; the other model is run on it, too. It can be left out if
  ``--inputs`` is given.
- Every array is (n, ...), with the same n examples. Pictures may be (n, h, w, c) or (n, c, h, w):
  the layout that matches the other side is used.
- Numbers are floats; float16 and integers are read as float32.
"""

from __future__ import annotations

import functools
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from typing import Any

import numpy as np

from tinymnist.errors import InputError
from tinymnist.files import regular_size
from tinymnist.nn.archive import MANIFEST, read_npz
from tinymnist.nn.arrays import FLOATS, Array
from tinymnist.nn.sequential import Sequential

ATOL, RTOL = 1e-6, 1e-5
"""The tolerances that two float32 runs of one network usually stay within."""
RUNS = ("tinymnist", "keras", "torch", "onnxruntime")
"""What can run a model."""
INPUT_KIND = "input"
INPUT_NAMES = ("input", "inputs", "x", "images")
_KINDS = {
    "input": r"input|placeholder",
    "batchnorm": r"batch_?norm|(^|_|\.)bn",
    "norm": r"(layer|group|instance)_?norm|(^|_|\.)ln\d*$",
    "conv": r"conv",
    "global_pool": r"global|adaptive",
    "average_pool": r"(avg|average)_?pool",
    "max_pool": r"pool",
    "flatten": r"flatten|reshape|view|squeeze",
    "dropout": r"drop",
    "log_softmax": r"log_?softmax",
    "softmax": r"softmax|prob",
    "leaky_relu": r"leaky|prelu",
    "relu": r"re_?lu",
    "gelu": r"gelu",
    "elu": r"elu",
    "sigmoid": r"sigmoid",
    "tanh": r"tanh",
    "pad": r"pad",
    "scaling": r"rescal|normaliz",
    "dense": r"dense|linear|gemm|mat_?mul|inner_?product|(^|_|\.)fc|logits|head",
    "add": r"(^|_|\.)(add|sum|residual)",
    "concat": r"concat|(^|_|\.)cat",
    "permute": r"permute|transpose|moveaxis|movedim",
}
"""What a layer does, guessed from the name of its class or its own; the first match counts."""


@functools.cache
def kind_of(name: str) -> str:
    """What a class, an operator or a layer of that name does; "" if its name does not say."""
    return next((kind for kind, words in _KINDS.items() if re.search(words, name.lower())), "")


@dataclass(frozen=True)
class Output:
    """The output of one layer.

    Attributes:
        name: the layer's name in its own framework.
        kind: what the layer does last, see :func:`kind_of`; "" if that is not known.
        values: (n, ...), pictures channels last.
        inner: whether this is a step inside a layer, such as a convolution before the activation
            that is fused with it. It may lack a counterpart on the other side.
        guessed: whether ``kind`` is only a guess from the layer's name.
        layer: the layer of tinymnist's model that it belongs to; "" for other models.
    """

    name: str
    kind: str
    values: Array
    inner: bool = False
    guessed: bool = False
    layer: str = ""

    @property
    def is_input(self) -> bool:
        """Whether this is what the model was run on."""
        return self.kind == INPUT_KIND


@dataclass(frozen=True)
class Side:
    """One side of a comparison: outputs, and the model behind them if tinymnist can read it.

    Attributes:
        name: what to call it.
        outputs: every layer's, in the order of execution, channels last.
        model: tinymnist's own reading of the model: for the float64 run and for experiments.
        x: (n, *input_shape), the examples that the outputs belong to, as that model takes them.
        nondeterministic_layer: the first layer whose output changed in a second run; "" if none.
        precision: what the framework says it computes with, if not with floats: "int8"; or "".
    """

    name: str
    outputs: tuple[Output, ...]
    model: Sequential | None = None
    x: Array | None = None
    nondeterministic_layer: str = ""
    precision: str = ""


def channels_last(values: Array) -> Array:
    """(n, c, h, w) -> (n, h, w, c); other shapes stay as they are."""
    return values.transpose(0, 2, 3, 1) if values.ndim == 4 else values


def reorder_vector(values: Array, picture: tuple[int, int, int]) -> Array:
    """(n, c*h*w) -> (n, h*w*c), for flattened pictures (h, w, c)."""
    h, w, c = picture
    return channels_last(values.reshape(len(values), c, h, w)).reshape(values.shape)


def is_captured(path: str | PathLike[str]) -> bool:
    """Whether a file is an .npz of arrays and not a weights file of tinymnist."""
    try:
        regular_size(path)
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except Exception:  # zipfile raises whatever its parsing trips over; opening it says what
        return False
    return MANIFEST not in names and bool(names) and all(name.endswith(".npy") for name in names)


def read_arrays(path: str | PathLike[str]) -> dict[str, Array]:
    """Every array of an .npz file, without unpickling anything.

    Raises:
        InputError: when the file cannot be read.
    """
    return read_npz(path)


def as_outputs(arrays: Mapping[str, Any], source: str) -> tuple[Output, ...]:
    """Arrays by name, in the order of execution, as the outputs of one side.

    Args:
        arrays: each (n, ...).
        source: where they come from, for messages.

    Raises:
        InputError: when an array does not hold numbers, or their first axes differ.
    """
    outputs = []
    for name, value in arrays.items():
        array = np.asarray(value)
        if array.dtype.kind not in "fiub" or array.ndim < 1:
            found = f"{array.dtype} of shape {array.shape}"
            raise InputError(f"{source}: {name} is {found}; expected numbers (n, ...)")
        array = array if array.dtype in FLOATS else array.astype(np.float32)
        kind = INPUT_KIND if name in INPUT_NAMES else kind_of(name)
        outputs.append(Output(name, kind, array, guessed=True))
    counts = {len(output.values) for output in outputs}
    if len(counts) > 1:
        raise InputError(f"{source}: arrays of {sorted(counts)} examples; expected one number")
    return tuple(outputs)
