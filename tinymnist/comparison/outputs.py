"""What one side of a comparison is: the outputs of its layers, in order, channels last."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from tinymnist.nn.arrays import Array
from tinymnist.nn.sequential import Sequential

ATOL, RTOL = 1e-6, 1e-5
"""The tolerances that two float32 runs of one network usually stay within."""
RUNS = ("tinymnist", "keras", "torch", "onnxruntime")
"""What can run a model."""
INPUT_KIND = "input"
_KINDS = (
    ("input", r"input|placeholder"),
    ("batchnorm", r"batch_?norm|(^|_|\.)bn"),
    ("norm", r"(layer|group|instance)_?norm|(^|_|\.)ln\d*$"),
    ("conv", r"conv"),
    ("global_pool", r"global|adaptive"),
    ("max_pool", r"max_?pool"),
    ("average_pool", r"(avg|average)_?pool"),
    ("max_pool", r"pool"),
    ("flatten", r"flatten|reshape|view|squeeze"),
    ("dropout", r"drop"),
    ("log_softmax", r"log_?softmax"),
    ("softmax", r"softmax|prob"),
    ("leaky_relu", r"leaky|prelu"),
    ("relu", r"re_?lu"),
    ("gelu", r"gelu"),
    ("elu", r"elu"),
    ("sigmoid", r"sigmoid"),
    ("tanh", r"tanh"),
    ("pad", r"pad"),
    ("scaling", r"rescal|normaliz"),
    ("dense", r"dense|linear|gemm|mat_?mul|inner_?product|(^|_|\.)fc|logits|head"),
    ("add", r"(^|_|\.)(add|sum|residual)"),
    ("concat", r"concat|(^|_|\.)cat"),
)
"""What a layer does, guessed from the name of its class or its own; the first match counts."""


def kind_of(name: str) -> str:
    """What a class, an operator or a layer of that name does; "" if its name does not say."""
    lower = name.lower()
    return next((kind for kind, pattern in _KINDS if re.search(pattern, lower)), "")


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


@dataclass(frozen=True)
class Side:
    """One side of a comparison: outputs, and the model behind them if tinymnist can read it.

    Attributes:
        name: what to call it.
        outputs: every layer's, in the order of execution, channels last.
        model: tinymnist's own reading of the model: for the float64 run and for experiments.
        x: (n, *input_shape), the examples that the outputs belong to, as that model takes them.
        nondeterministic_layer: the first layer whose output changed in a second run; "" if none.
    """

    name: str
    outputs: tuple[Output, ...]
    model: Sequential | None = None
    x: Array | None = None
    nondeterministic_layer: str = ""


def channels_last(values: Array) -> Array:
    """(n, c, h, w) -> (n, h, w, c); other shapes stay as they are."""
    return values.transpose(0, 2, 3, 1) if values.ndim == 4 else values


def channels_last_vector(values: Array, picture: tuple[int, int, int]) -> Array:
    """(n, c*h*w) -> (n, h*w*c), for flattened pictures (h, w, c)."""
    h, w, c = picture
    by_channel = values.reshape(len(values), c, h, w)
    return np.ascontiguousarray(by_channel.transpose(0, 2, 3, 1)).reshape(values.shape)
