"""The meaning of a node's attributes, shared by running it on arrays and mapping it to layers.

Later versions of ONNX turned many attributes into inputs; :func:`option` looks in both places.
Rules: https://onnx.ai/onnx/operators/.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinymnist.interop.onnx.nodes import Node, Unmappable
from tinymnist.nn.arrays import Array
from tinymnist.nn.layers import ELU, GELU, Activation, Layer, LeakyReLU, ReLU
from tinymnist.nn.shapes import Pads, Pair, resolve_padding, window_span

GENERAL_RELU = "tinymnist.Relu"
"""A ReLU with the attributes "max_value", "slope" and "threshold", which ``fusing`` finds."""


def option(node: Node, name: str, arrays: Sequence[Array | None], index: int) -> Any:
    """An attribute in old versions that is input ``index`` in new ones; None without it."""
    if name in node.attributes:
        return node.attributes[name]
    given = arrays[index] if index < len(arrays) else None
    return None if given is None else given.tolist()


def axes_of(value: Any, rank: int) -> tuple[int, ...] | None:
    """Axes counted from 0; None if none are given.

    Raises:
        Unmappable: for an axis outside ``-rank <= axis < rank``.
    """
    if value is None:
        return None
    listed = [value] if isinstance(value, int) else list(value)
    if any(not -rank <= axis < rank for axis in listed):
        raise Unmappable(f"axes {listed} do not exist in {rank} dimensions")
    return tuple(axis % rank for axis in listed)


def cast_target(node: Node) -> np.dtype[Any]:
    """The dtype that Cast converts to."""
    kinds = {1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64",
             9: "bool", 10: "float16", 11: "float64", 12: "uint32", 13: "uint64"}  # fmt: skip
    to = node.get("to")
    name = to.lower() if isinstance(to, str) else kinds.get(to or 0)  # before opset 6, a word
    name = {"float": "float32", "double": "float64"}.get(str(name), name)
    if name not in kinds.values():
        raise Unmappable(f"it would need the number type {to}")
    return np.dtype(name)


# Shapes ------------------------------------------------------------------------------------------


def new_shape(
    node: Node, shape: tuple[int, ...], arrays: Sequence[Array | None]
) -> tuple[int, ...]:
    """The shape after Reshape, Flatten, Squeeze or Unsqueeze."""
    if node.op == "Reshape":
        return _resolved(node, shape, option(node, "shape", arrays, 1))
    if node.op == "Flatten":
        axis = node.get("axis", 1)
        axis += len(shape) if axis < 0 else 0
        return math.prod(shape[:axis]), math.prod(shape[axis:])
    axes = option(node, "axes", arrays, 1)
    if node.op == "Squeeze":
        chosen = axes_of(axes, len(shape))
        if chosen is None:
            return tuple(side for side in shape if side != 1)
        if any(shape[axis] != 1 for axis in chosen):
            raise Unmappable(f"{shape} does not have length 1 at {axes}")
        return tuple(side for axis, side in enumerate(shape) if axis not in chosen)
    rank = len(shape) + len(axes)
    new, sides = axes_of(axes, rank) or (), iter(shape)
    return tuple(1 if axis in new else next(sides) for axis in range(rank))


def _resolved(node: Node, shape: tuple[int, ...], wanted: Any) -> tuple[int, ...]:
    """The target of a Reshape: 0 keeps the side, -1 takes what is left."""
    if wanted is None:
        raise Unmappable("it has no target shape")
    wanted, keep = list(wanted), not node.get("allowzero")
    if any(side < -1 for side in wanted) or wanted.count(-1) > 1:
        raise Unmappable(f"{wanted} is not a valid shape")
    sides = [
        shape[i] if side == 0 and keep and i < len(shape) else side for i, side in enumerate(wanted)
    ]
    known, total = math.prod(side for side in sides if side != -1), math.prod(shape)
    resolved = tuple(total // max(known, 1) if side == -1 else int(side) for side in sides)
    if math.prod(resolved) != total:
        raise Unmappable(f"{total} numbers do not fit into {wanted}")
    return resolved


def slices_of(node: Node, arrays: Sequence[Array | None], rank: int) -> tuple[slice, ...]:
    """The part of each axis that Slice takes."""
    starts, ends = (option(node, name, arrays, i) for i, name in ((1, "starts"), (2, "ends")))
    axes = axes_of(option(node, "axes", arrays, 3), rank) or tuple(range(len(starts)))
    steps = option(node, "steps", arrays, 4) or [1] * len(axes)
    taken = [slice(None)] * rank
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        # With a negative step, an end far below 0 means "to the first", which is None in Python.
        stop = None if step < 0 and end < -(1 << 30) else int(end)
        taken[axis] = slice(int(start), stop, int(step))
    return tuple(taken)


def pads_of(node: Node, arrays: Sequence[Array | None], rank: int) -> list[tuple[int, int]]:
    """(before, after) for each axis of a Pad."""
    given = node.get("paddings") or option(node, "pads", arrays, 1)
    axes = axes_of(option(node, "axes", arrays, 3), rank)
    pads = [(0, 0)] * rank
    chosen = tuple(range(rank)) if axes is None else axes
    if given is None or len(given) != 2 * len(chosen):
        raise Unmappable(f"pads {given} do not fit {rank} dimensions")
    for axis, before, after in zip(chosen, given[: len(chosen)], given[len(chosen) :], strict=True):
        pads[axis] = (int(before), int(after))
    return pads


# Windows -----------------------------------------------------------------------------------------


def as_pair(values: Any) -> Pair:
    """Two numbers; for a window along a line, the second is 1."""
    sides = tuple(int(value) for value in values)
    if len(sides) not in (1, 2):
        raise Unmappable(f"it would need {len(sides)}-dimensional pictures")
    return (sides[0], sides[1]) if len(sides) == 2 else (sides[0], 1)


def window_settings(node: Node, size: Pair, kernel: Pair) -> tuple[Pair, Pair, Pads]:
    """Strides, dilation and padding of a window over pictures of this size.

    Rounding up the output's size (``ceil_mode``) becomes more padding behind.
    """
    strides, dilation = (as_pair(node.get(name) or (1, 1)) for name in ("strides", "dilations"))
    word = node.get("auto_pad", "NOTSET") or "NOTSET"
    if word in ("SAME_UPPER", "SAME_LOWER"):
        upper = resolve_padding("same", size, kernel, strides, dilation)
        lower = (upper[0][::-1], upper[1][::-1])  # the odd pixel goes first
        return strides, dilation, upper if word == "SAME_UPPER" else lower
    pads = node.get("pads") or (0, 0, 0, 0)
    if len(pads) == 2:
        pads = (pads[0], 0, pads[1], 0)
    if len(pads) != 4 or min(pads) < 0:
        raise Unmappable(f"it would need pads {list(pads)}")
    top, left, bottom, right = (0, 0, 0, 0) if word == "VALID" else pads
    if not node.get("ceil_mode"):
        return strides, dilation, ((top, bottom), (left, right))
    axes = zip(size, kernel, strides, dilation, ((top, bottom), (left, right)), strict=True)
    vertical, horizontal = (_rounded_up(*axis) for axis in axes)
    return strides, dilation, (vertical, horizontal)


def _rounded_up(size: int, kernel: int, stride: int, dilation: int, pads: Pair) -> Pair:
    """More padding behind, so that the last window that begins inside fits too."""
    room = size + sum(pads) - window_span(kernel, dilation)
    windows = -(-room // stride) + 1
    if (windows - 1) * stride >= size + pads[0]:
        windows -= 1  # it would begin in the padding behind
    return pads[0], pads[1] + max(0, (windows - 1) * stride - room)


def pool_settings(node: Node, size: Pair) -> tuple[Pair, Pair, Pads]:
    """Window, strides and padding of a pooling over pictures of this size."""
    kernel = as_pair(node.get("kernel_shape") or ())
    strides, dilation, pads = window_settings(node, size, kernel)
    if dilation != (1, 1):
        raise Unmappable("it would need pooling windows with gaps")
    if any(max(sides) >= side for sides, side in zip(pads, kernel, strict=True)):
        raise Unmappable(f"it would need padding as wide as its window, {pads}")
    return kernel, strides, pads


def counts_padding(node: Node, pads: Pads) -> bool:
    """Whether AveragePool counts padded zeros; those of ``ceil_mode`` never count."""
    include = bool(node.get("count_include_pad"))
    if include and node.get("ceil_mode"):
        if any(node.get("pads") or ()) and pads != ((0, 0), (0, 0)):
            raise Unmappable("it would need padding that counts beside padding that does not")
        return False
    return include


# Activations -------------------------------------------------------------------------------------


def shortest(value: Any) -> float:
    """The shortest decimal number that rounds to this float32: 0.1 for 0.10000000149."""
    return float(np.format_float_positional(np.float32(value), unique=True))


def _general_relu(node: Node) -> Layer:
    highest = node.get("max_value")
    top = None if highest is None else shortest(highest)
    return ReLU(top, shortest(node.get("slope")), shortest(node.get("threshold")))


def _selu(node: Node) -> Layer:
    alpha, gamma = node.get("alpha", 1.67326), node.get("gamma", 1.0507)
    if abs(alpha - 1.67326) >= 1e-4 or abs(gamma - 1.0507) >= 1e-4:
        raise Unmappable("it would need constants other than those of Klambauer et al.")
    return Activation("selu")


def _gelu(node: Node) -> Layer:
    return GELU(node.get("approximate", "none") == "tanh")


ACTIVATIONS: dict[str, Callable[[Node], Layer]] = {
    "Elu": lambda node: ELU(shortest(node.get("alpha", 1.0))),
    "Exp": lambda node: Activation("exponential"),
    "Gelu": _gelu,
    "HardSwish": lambda node: Activation("hard_silu"),
    "LeakyRelu": lambda node: LeakyReLU(shortest(node.get("alpha", 0.01))),
    "Mish": lambda node: Activation("mish"),
    "Relu": lambda node: ReLU(),
    "Selu": _selu,
    "Sigmoid": lambda node: Activation("sigmoid"),
    "Softplus": lambda node: Activation("softplus"),
    "Softsign": lambda node: Activation("softsign"),
    "Tanh": lambda node: Activation("tanh"),
    "com.microsoft.Gelu": _gelu,
    GENERAL_RELU: _general_relu,
}
"""The layer for each operation on single numbers whose settings are attributes."""


def clip_bounds(node: Node, arrays: Sequence[Array | None]) -> tuple[float, float]:
    """The lowest and the highest number that Clip lets through."""
    low, high = option(node, "min", arrays, 1), option(node, "max", arrays, 2)
    return (
        -np.inf if low is None else float(np.asarray(low).item()),
        np.inf if high is None else float(np.asarray(high).item()),
    )


def old_slope(node: Node, slope: Array, rank: int) -> Array:
    """PRelu's slopes; before opset 7, a row of them was one for each channel of (n, c, ...)."""
    if node.opset >= 7 or slope.ndim != 1:
        return slope
    return slope.reshape(-1, *(1,) * (rank - 2))
