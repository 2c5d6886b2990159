"""What one side of a comparison is: the outputs of its layers, in order, channels last."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tinymnist.nn.arrays import Array

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
"""What a layer does, guessed from the name of its class or its own; the first that fits counts."""


def kind_of(name: str) -> str:
    """What a class, an operator or a layer of that name does; "" where nothing can be guessed."""
    lower = name.lower()
    return next((kind for kind, pattern in _KINDS if re.search(pattern, lower)), "")


@dataclass(frozen=True)
class Output:
    """What one layer gave.

    Attributes:
        name: the layer's, as its own framework says it.
        kind: what the layer does last, see :func:`kind_of`; "" if that is not known.
        values: (n, ...), pictures channels last.
        inner: whether this is a step inside a layer, such as a convolution before the activation
            that is fused with it. Nobody misses it on the other side.
        guessed: whether ``kind`` is but a guess from the layer's name.
        layer: the layer of tinymnist's model that it belongs to; "" elsewhere.
    """

    name: str
    kind: str
    values: Array
    inner: bool = False
    guessed: bool = False
    layer: str = ""
