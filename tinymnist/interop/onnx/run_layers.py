"""ONNX's operations of networks, through tinymnist's own functions.

ONNX keeps channels in front, ``nn.functional`` keeps them last: each operation here moves them
there and back. With those of ``arithmetic`` they run a graph as ONNX means it, without making
layers of it, which is what layers are checked against.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinymnist.interop.onnx.nodes import Node, Unmappable
from tinymnist.interop.onnx.run_arrays import (
    ARITHMETIC,
    Operation,
    bounded,
    broadcast,
    old_broadcast,
)
from tinymnist.nn import functional as F
from tinymnist.nn.arrays import FLOATS, Array
from tinymnist.nn.layers import BatchNormalization
from tinymnist.nn.losses import cross_entropy, example_weights, one_hot
from tinymnist.nn.shapes import Pads, Pair, resolve_padding, window_span


def channels_last(x: Array) -> Array:
    """(n, c, ...) -> (n, ..., c)."""
    return np.moveaxis(x, 1, -1)


def channels_first(y: Array) -> Array:
    """(n, ..., c) -> (n, c, ...)."""
    return np.moveaxis(y, -1, 1)


def as_pair(values: Any, name: str) -> Pair:
    """Two numbers; of one along a line, the second is 1."""
    sides = tuple(int(value) for value in values)
    if len(sides) not in (1, 2):
        raise Unmappable(f"it would need {len(sides)}-dimensional pictures")
    return (sides[0], sides[1]) if len(sides) == 2 else (sides[0], 1)


def window_settings(node: Node, size: Pair, kernel: Pair) -> tuple[Pair, Pair, Pads]:
    """Strides, dilation and padding of a window over pictures of this size, as ONNX states them.

    Rounding up the output's size (``ceil_mode``) is more padding behind, which the operations that
    allow it must not count.
    """
    strides = as_pair(node.settings.get("strides") or (1, 1), "strides")
    dilation = as_pair(node.settings.get("dilations") or (1, 1), "dilations")
    word = node.settings.get("auto_pad", "NOTSET") or "NOTSET"
    if word in ("SAME_UPPER", "SAME_LOWER"):
        upper = resolve_padding("same", size, kernel, strides, dilation)
        if word == "SAME_UPPER":
            return strides, dilation, upper
        return strides, dilation, (upper[0][::-1], upper[1][::-1])  # the odd pixel goes first
    pads = node.settings.get("pads") or (0, 0, 0, 0)
    if len(pads) == 2:
        pads = (pads[0], 0, pads[1], 0)
    if len(pads) != 4 or min(pads) < 0:
        raise Unmappable(f"it would need pads {list(pads)}")
    top, left, bottom, right = (0, 0, 0, 0) if word == "VALID" else pads
    if not node.settings.get("ceil_mode"):
        return strides, dilation, ((top, bottom), (left, right))
    axes = zip(size, kernel, strides, dilation, ((top, bottom), (left, right)), strict=True)
    vertical, horizontal = (_rounded_up(*axis) for axis in axes)
    return strides, dilation, (vertical, horizontal)


def _rounded_up(size: int, kernel: int, stride: int, dilation: int, pads: Pair) -> Pair:
    """More padding behind, so that the last window that begins inside fits as well."""
    room = size + sum(pads) - window_span(kernel, dilation)
    windows = -(-room // stride) + 1
    if (windows - 1) * stride >= size + pads[0]:
        windows -= 1  # it would begin in the padding behind
    return pads[0], pads[1] + max(0, (windows - 1) * stride - room)


def pictures(x: Array) -> Array:
    """Channels-first pictures or lines as (n, h, w, c)."""
    if x.ndim not in (3, 4):
        raise Unmappable(f"it would need {x.ndim - 2}-dimensional pictures")
    if x.dtype not in FLOATS:
        raise Unmappable(f"it would need pictures of {x.dtype}")
    return channels_last(x if x.ndim == 4 else x[..., None])


def back(y: Array, rank: int) -> Array:
    """The opposite of :func:`pictures`."""
    first = channels_first(y)
    return first if rank == 4 else first[..., 0]


def conv(node: Node, x: Array, kernel: Array, bias: Array | None = None) -> Array:
    """Convolution; the kernel comes as (out, in / groups, kh, kw)."""
    seen = pictures(x)
    weights = kernel if kernel.ndim == 4 else kernel[..., None]
    size = (seen.shape[1], seen.shape[2])
    strides, dilation, pads = window_settings(node, size, as_pair(weights.shape[2:], "kernel"))
    inner = (side + sum(pair) for side, pair in zip(size, pads, strict=True))
    places = [-(-side // stride) for side, stride in zip(inner, strides, strict=True)]
    bounded(
        (len(seen), *places, max(weights[0].size, len(weights)))
    )  # before and after the product
    y, _ = F.conv2d(
        seen,
        weights.transpose(2, 3, 1, 0),
        bias,
        strides=strides,
        padding=pads,
        dilation=dilation,
        groups=node.settings.get("group", 1),
    )
    return back(y, x.ndim)


def max_pool(node: Node, x: Array) -> Array:
    """The largest number of each window."""
    if len(node.outputs) > 1 and node.outputs[1]:
        raise Unmappable("it would need the places of the maxima")
    kernel, strides, pads = pool_settings(node, x)
    return back(F.max_pool2d(pictures(x), kernel, strides=strides, padding=pads)[0], x.ndim)


def average_pool(node: Node, x: Array) -> Array:
    """The mean of each window."""
    kernel, strides, pads = pool_settings(node, x)
    include = counts_padding(node, pads)
    y, _ = F.average_pool2d(
        pictures(x), kernel, strides=strides, padding=pads, count_include_pad=include
    )
    return back(y, x.ndim)


def pool_settings(node: Node, x: Array) -> tuple[Pair, Pair, Pads]:
    """Window, strides and padding of a pooling over ``x`` (n, c, h, w)."""
    seen = pictures(x)
    kernel = as_pair(node.settings["kernel_shape"], "kernel_shape")
    strides, dilation, pads = window_settings(node, (seen.shape[1], seen.shape[2]), kernel)
    if dilation != (1, 1):
        raise Unmappable("it would need pooling windows with gaps")
    if any(max(sides) >= k for sides, k in zip(pads, kernel, strict=True)):
        raise Unmappable(f"it would need padding as wide as its window, {pads}")
    bounded((len(seen), *(a + sum(b) for a, b in zip(seen.shape[1:3], pads, strict=True))))
    return kernel, strides, pads


def counts_padding(node: Node, pads: Pads) -> bool:
    """Whether an average counts padded zeros."""
    include = bool(node.settings.get("count_include_pad"))
    if include and node.settings.get("ceil_mode"):
        if any(node.settings.get("pads") or ()) and pads != ((0, 0), (0, 0)):
            raise Unmappable("it would need padding that counts beside padding that does not")
        return False
    return include


def global_pool(function: Callable[[Array], tuple[Array, Any]]) -> Operation:
    """Pooling over all pixels, which stay as axes of length 1."""

    def run(node: Node, x: Array) -> Array:
        y = function(pictures(x))[0]
        return y.reshape(*y.shape, *(1,) * (x.ndim - 2))

    return run


def gemm(node: Node, a: Array, b: Array, c: Array | None = None) -> Array:
    """``alpha * a @ b + beta * c``, either matrix transposed."""
    a = a.T if node.settings.get("transA") else a
    kernel = (b.T if node.settings.get("transB") else b) * a.dtype.type(
        node.settings.get("alpha", 1)
    )
    bounded((a.shape[0], kernel.shape[1]))
    if c is None:
        return F.dense(a, kernel)[0]
    if broadcast(c, np.empty((1, kernel.shape[1]))) != (1, kernel.shape[1]):
        y: Array = F.dense(a, kernel)[0] + c * a.dtype.type(node.settings.get("beta", 1))
        return y
    bias = np.broadcast_to(c, (1, kernel.shape[1]))[0] * a.dtype.type(node.settings.get("beta", 1))
    return F.dense(a, kernel, bias)[0]


def matmul(node: Node, a: Array, b: Array) -> Array:
    """The product of matrices, or of stacks of them."""
    if a.ndim == b.ndim == 2 and a.dtype in FLOATS:
        bounded((a.shape[0], b.shape[1]))
        return F.dense(a, b)[0]
    y: Array = ARITHMETIC["MatMul"](node, a, b)
    return y


def add(node: Node, *xs: Array) -> Array:
    """The sum of arrays; of two of one shape through :func:`~tinymnist.nn.functional.add`."""
    if len(xs) > 1 and len({x.shape for x in xs}) == 1:
        return F.add(*xs)[0]
    if len(xs) == 2:
        return ARITHMETIC["Add"](node, *xs)  # type: ignore[no-any-return]
    broadcast(*xs)
    return sum(xs[1:], start=xs[0])


def multiply(node: Node, x: Array, y: Array) -> Array:
    """The product, number by number."""
    if x.shape == y.shape:
        return F.multiply(x, y)[0]
    return np.multiply(*old_broadcast(node, x, y))


def batch_normalization(
    node: Node, x: Array, gamma: Array, beta: Array, mean: Array, variance: Array
) -> Any:
    """In training, with the statistics after the batch, as the layer keeps them."""
    layer = BatchNormalization(
        node.settings.get("momentum", 0.9), node.settings.get("epsilon", 1e-5)
    )
    arrays = (gamma, beta, mean, variance)
    for name, array in zip((*layer.parameters, *layer.statistics), arrays, strict=True):
        setattr(layer, name, array)
    seen = channels_last(x) if x.ndim > 1 else x[:, None]
    y, cache = layer.forward(seen, training=bool(node.settings.get("training_mode")))
    y = channels_first(y) if x.ndim > 1 else y[:, 0]
    statistics = layer.new_statistics(cache)
    return (y, *statistics.values()) if statistics else y


def layer_normalization(node: Node, x: Array, gamma: Array, beta: Array | None = None) -> Any:
    """Over all axes from ``axis`` on, together."""
    axis = node.settings.get("axis", -1) % x.ndim
    rows = x.reshape(*x.shape[:axis], -1)
    scale = np.broadcast_to(gamma, x.shape[axis:]).reshape(-1)
    shift = np.zeros_like(scale) if beta is None else np.broadcast_to(beta, x.shape[axis:])
    y, cache = F.layer_normalization(
        rows, scale, shift.reshape(-1), node.settings.get("epsilon", 1e-5)
    )
    kept = (*x.shape[:axis], *(1,) * (x.ndim - axis))
    mean = rows.mean(axis=-1, keepdims=True)
    return y.reshape(x.shape), mean.reshape(kept), cache.scale.reshape(kept)


def instance_normalization(node: Node, x: Array, gamma: Array, beta: Array) -> Array:
    """Every channel of every example by its own pixels."""
    rows = x.reshape(*x.shape[:2], -1)
    one, zero = np.ones(rows.shape[-1], x.dtype), np.zeros(rows.shape[-1], x.dtype)
    y, _ = F.layer_normalization(rows, one, zero, node.settings.get("epsilon", 1e-5))
    return (y * gamma[:, None] + beta[:, None]).reshape(x.shape)


def along(function: Callable[[Array], tuple[Array, Any]]) -> Operation:
    """Softmax over any axis: over the last one after moving it there.

    Before opset 13 it ran over all axes from the named one on, together.
    """

    def run(node: Node, x: Array) -> Array:
        if node.opset < 13:
            axis = node.settings.get("axis", 1) % x.ndim
            return function(x.reshape(*x.shape[:axis], -1))[0].reshape(x.shape)
        axis = node.settings.get("axis", -1)
        return np.moveaxis(function(np.moveaxis(x, axis, -1))[0], -1, axis)

    return run


def concatenate(node: Node, *xs: Array) -> Array:
    """Side by side along any axis, which is moved to the end and back."""
    if any(x.dtype not in FLOATS for x in xs) or xs[0].ndim < 2:
        y: Array = ARITHMETIC["Concat"](node, *xs)
        return y
    axis = node.settings.get("axis", 1)
    return np.moveaxis(F.concatenate(*(np.moveaxis(x, axis, -1) for x in xs))[0], -1, axis)


def loss(node: Node, scores: Array, labels: Array, weights: Array | None = None) -> Any:
    """Each pixel is an example; the mean divides by the sum of the weights, as in PyTorch."""
    if node.settings.get("ignore_index") is not None:
        raise Unmappable("no label is ignored")
    classes = scores.shape[1]
    logits = channels_last(scores).reshape(-1, classes)
    flat = labels.reshape(-1)
    by_class = None if weights is None else dict(enumerate(weights))
    of_example = example_weights(flat, by_class, dtype=scores.dtype)
    losses = cross_entropy(logits, one_hot(flat, classes, scores.dtype))[0] * of_example
    log_p = channels_first(F.log_softmax(channels_last(scores))[0])
    how = node.settings.get("reduction", "mean")
    if how == "none":
        return losses.reshape(labels.shape), log_p
    return losses.sum() / (of_example.sum() if how == "mean" else 1), log_p


def dropout(node: Node, x: Array, ratio: Array | None = None, training: Any = False) -> Any:
    """At inference nothing is dropped; in training only a rate of 0 means one thing."""
    if training and (ratio is None or float(ratio) != 0):
        raise Unmappable("it drops at random")
    mask = np.ones(x.shape, bool if node.opset >= 10 else x.dtype)
    return F.dropout(x, 0.0, np.random.default_rng(0))[0] if training else x, mask


def elementwise(function: Callable[..., tuple[Array, Any]], **defaults: Any) -> Operation:
    """Functions of one array, with settings by ONNX's name: (our name, default)."""

    def run(node: Node, x: Array) -> Array:
        if x.dtype not in FLOATS:
            raise Unmappable(f"it would need {x.dtype}")
        options = {
            ours: node.settings.get(theirs, value) for theirs, (ours, value) in defaults.items()
        }
        flat = x.reshape(-1, 1) if x.ndim == 0 else x
        return function(flat, **options)[0].reshape(x.shape)

    return run


def gelu(node: Node, x: Array) -> Array:
    """Exact, or by the tanh formula."""
    return F.gelu(x, approximate=node.settings.get("approximate", "none") == "tanh")[0]


def selu(node: Node, x: Array) -> Array:
    """With the constants that everybody means."""
    if not is_plain_selu(node):
        raise Unmappable("it would need other constants than those of Klambauer et al.")
    return elementwise(F.selu)(node, x)  # type: ignore[no-any-return]


def is_plain_selu(node: Node) -> bool:
    """Whether Selu has the constants that it was published with."""
    alpha, gamma = node.settings.get("alpha", 1.67326), node.settings.get("gamma", 1.0507)
    return bool(abs(alpha - 1.67326) < 1e-4 and abs(gamma - 1.0507) < 1e-4)


def hard_sigmoid(node: Node, x: Array) -> Array:
    """``alpha x + beta``, kept within 0 and 1."""
    slope, middle = node.settings.get("alpha", 0.2), node.settings.get("beta", 0.5)
    return F.relu_pieces(F.rescaling(x, slope, middle)[0], max_value=1.0)[0]


def clip_bounds(node: Node, arrays: Sequence[Array | None]) -> tuple[float, float]:
    """The least and the largest that Clip lets through."""
    low = node.settings.get("min", arrays[1] if len(arrays) > 1 else None)
    high = node.settings.get("max", arrays[2] if len(arrays) > 2 else None)
    return (
        -np.inf if low is None else float(np.asarray(low).item()),
        np.inf if high is None else float(np.asarray(high).item()),
    )


def clip(node: Node, x: Array, *bounds: Array | None) -> Array:
    """Kept within bounds."""
    low, high = clip_bounds(node, [x, *bounds])
    if low == 0 and x.dtype in FLOATS:
        return F.relu_pieces(x, max_value=high)[0]
    return np.minimum(np.maximum(x, low), high).astype(x.dtype)


def prelu(node: Node, x: Array, slope: Array) -> Array:
    """A slope below 0 that broadcasts against the tensor."""
    if x.dtype not in FLOATS or x.ndim < 2:
        raise Unmappable(f"it would need {x.ndim} dimensions of {x.dtype}")
    slopes = old_slope(node, slope, x.ndim)
    broadcast(x, slopes)
    return F.prelu(x, slopes)[0]


def old_slope(node: Node, slope: Array, rank: int) -> Array:
    """Before opset 7, a row of slopes was one for each channel of (n, c, ...)."""
    if node.opset >= 7 or slope.ndim != 1:
        return slope
    return slope.reshape(-1, *(1,) * (rank - 2))


OPERATIONS: dict[str, Operation] = ARITHMETIC | {
    "Add": add,
    "AveragePool": average_pool,
    "BatchNormalization": batch_normalization,
    "Clip": clip,
    "Concat": concatenate,
    "Conv": conv,
    "Dropout": dropout,
    "Elu": elementwise(F.elu, alpha=("alpha", 1.0)),
    "Gelu": gelu,
    "Gemm": gemm,
    "GlobalAveragePool": global_pool(F.global_average_pool2d),
    "GlobalMaxPool": global_pool(F.global_max_pool2d),
    "HardSigmoid": hard_sigmoid,
    "HardSwish": elementwise(F.hard_silu),
    "InstanceNormalization": instance_normalization,
    "LayerNormalization": layer_normalization,
    "LeakyRelu": elementwise(F.leaky_relu, alpha=("negative_slope", 0.01)),
    "LogSoftmax": along(F.log_softmax),
    "MatMul": matmul,
    "MaxPool": max_pool,
    "Mish": elementwise(F.mish),
    "Mul": multiply,
    "PRelu": prelu,
    "Relu": elementwise(F.relu),
    "Selu": selu,
    "Sigmoid": elementwise(F.sigmoid),
    "Softmax": along(F.softmax),
    "SoftmaxCrossEntropyLoss": loss,
    "Softplus": elementwise(F.softplus),
    "Softsign": elementwise(F.softsign),
    "Sum": add,
    "Tanh": elementwise(F.tanh),
}
"""Every operation that tinymnist computes, by ONNX's name."""
