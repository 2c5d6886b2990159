"""Operations on pixels: convolution, pooling, and sums over axes.

ONNX has channels in front, ``nn.functional`` and layers have them last: running an operation moves
them there and back, mapping it lays the picture out as (h, w, c).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from tinymnist.interop.onnx.mapping import Mapper, finite
from tinymnist.interop.onnx.nodes import Node, Unmappable
from tinymnist.interop.onnx.running import Operation, bounded
from tinymnist.interop.onnx.views import View, joined, size_of
from tinymnist.nn import functional as F
from tinymnist.nn import layers as L
from tinymnist.nn.arrays import FLOATS, Array, Padding, Pads, Pair, fit_windows


def channels_last(x: Array) -> Array:
    """(n, c, ...) -> (n, ..., c)."""
    return np.moveaxis(x, 1, -1)


def channels_first(y: Array) -> Array:
    """(n, ..., c) -> (n, c, ...)."""
    return np.moveaxis(y, -1, 1)


def _pictures(x: Array) -> Array:
    """(n, c, h, w) or (n, c, length) -> (n, h, w, c), with w = 1 for lines."""
    if x.ndim not in (3, 4):
        raise Unmappable(f"it would need {x.ndim - 2}-dimensional pictures")
    if x.dtype not in FLOATS:
        raise Unmappable(f"it would need pictures of {x.dtype}")
    return channels_last(x if x.ndim == 4 else x[..., None])


def _back(y: Array, rank: int) -> Array:
    """The opposite of :func:`_pictures`."""
    first = channels_first(y)
    return first if rank == 4 else first[..., 0]


def _map_picture(mapper: Mapper, view: View) -> tuple[str, Pair]:
    """The tensor (n, c, h, w) or (n, c, length) as a layer's (h, w, c), and its size."""
    if view.batch is None and len(view.axes) in (3, 4):  # one picture, without a batch axis
        view = replace(view, batch=1, axes=view.axes[-3:])
    if view.batch is None or view.rank not in (3, 4):
        raise Unmappable(f"it would need pictures, and the tensor is of shape {view.shape}")
    channels, high, wide = (*view.axes, ())[:3]
    return mapper.as_picture(view, high, wide, channels), (size_of(high), size_of(wide))


def _picture_view(mapper: Mapper, source: str, view: View) -> View:
    """The view (n, c, h, w) of a layer's (h, w, c), or (n, c, length) if it was so before."""
    axes_from = (2, 0, 1) if len(view.axes) >= 3 else (2, 0)
    return mapper.new_view(source, axes_from, view.batch or 1)


def _as_pair(values: Any) -> Pair:
    """Two numbers; for a window along a line, the second is 1."""
    sides = tuple(int(value) for value in values)
    if len(sides) not in (1, 2):
        raise Unmappable(f"it would need {len(sides)}-dimensional pictures")
    return (sides[0], sides[1]) if len(sides) == 2 else (sides[0], 1)


def _window_settings(node: Node, size: Pair, kernel: Pair) -> tuple[Pair, Pair, Pads]:
    """Strides, dilation and padding of a window over pictures of this size.

    Rounding up the output's size (``ceil_mode``) becomes more padding behind.
    """
    strides, dilation = (_as_pair(node.get(name) or (1, 1)) for name in ("strides", "dilations"))
    word = node.get("auto_pad", "NOTSET") or "NOTSET"
    if word in ("SAME_UPPER", "SAME_LOWER"):
        upper = fit_windows(size, kernel, strides, "same", dilation).pads
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
    room = size + sum(pads) - ((kernel - 1) * dilation + 1)
    windows = -(-room // stride) + 1
    if (windows - 1) * stride >= size + pads[0]:
        windows -= 1  # it would begin in the padding behind
    return pads[0], pads[1] + max(0, (windows - 1) * stride - room)


def _pool_settings(node: Node, size: Pair) -> tuple[Pair, Pair, Pads, bool]:
    """Window, strides and padding of a pooling, and whether padding counts in a mean."""
    kernel = _as_pair(node.get("kernel_shape") or ())
    strides, dilation, pads = _window_settings(node, size, kernel)
    if dilation != (1, 1):
        raise Unmappable("it would need pooling windows with gaps")
    if any(max(sides) >= side for sides, side in zip(pads, kernel, strict=True)):
        raise Unmappable(f"it would need padding as wide as its window, {pads}")
    include = node.op == "AveragePool" and bool(node.get("count_include_pad"))
    if include and node.get("ceil_mode"):  # whose padding never counts
        if any(node.get("pads") or ()) and pads != ((0, 0), (0, 0)):
            raise Unmappable("it would need padding that counts beside padding that does not")
        include = False
    return kernel, strides, pads, include


def _padding_word(pads: Pads, size: Pair, kernel: Pair, strides: Pair, dilation: Pair) -> Padding:
    """Padding as Keras's word, if one means the same, else in pixels."""
    if pads == ((0, 0), (0, 0)):
        return "valid"
    if strides == (1, 1) and pads == fit_windows(size, kernel, 1, "same", dilation).pads:
        return "same"
    return [list(pads[0]), list(pads[1])]


def _conv(node: Node, x: Array, kernel: Array, bias: Array | None = None) -> Array:
    """The kernel is (out, in / groups, kh, kw)."""
    seen = _pictures(x)
    weights = kernel if kernel.ndim == 4 else kernel[..., None]
    size = (seen.shape[1], seen.shape[2])
    strides, dilation, pads = _window_settings(node, size, _as_pair(weights.shape[2:]))
    inner = (side + sum(pair) for side, pair in zip(size, pads, strict=True))
    places = [-(-side // stride) for side, stride in zip(inner, strides, strict=True)]
    # The larger of the rows before the product and the outputs behind it.
    bounded((len(seen), *places, max(weights[0].size, len(weights))))
    kernel, groups = weights.transpose(2, 3, 1, 0), node.get("group", 1)
    y, _ = F.conv2d(
        seen, kernel, bias, strides=strides, padding=pads, dilation=dilation, groups=groups
    )
    return _back(y, x.ndim)


def _map_conv(mapper: Mapper, node: Node, view: View) -> View:
    """Depthwise if each channel is a group."""
    weights = finite(mapper.constant(node.inputs[1]))
    kernel = _as_pair(weights.shape[2:])
    weights = weights if weights.ndim == 4 else weights[..., None]
    bias = mapper.optional(node, 2)
    source, size = _map_picture(mapper, view)
    strides, dilation, pads = _window_settings(node, size, kernel)
    padding = _padding_word(pads, size, kernel, strides, dilation)
    out, channels, groups = len(weights), mapper.shapes[source][2], node.get("group", 1)
    if groups < 1 or channels % groups or out % groups:
        raise Unmappable(f"{groups} groups do not divide {channels} channels")
    window = (list(kernel), list(strides), padding)
    settings: dict[str, Any] = {"dilation_rate": list(dilation), "use_bias": bias is not None}
    layer: L.Layer = (
        L.DepthwiseConv2D(*window, depth_multiplier=out // channels, **settings)
        if groups == channels > 1
        else L.Conv2D(out, *window, groups=groups, **settings)
    )
    # (out, in / groups, kh, kw) -> (kh, kw, in / groups, out)
    arrays = {"kernel": weights.transpose(2, 3, 1, 0)}
    arrays |= {} if bias is None else {"bias": finite(bias)}
    return _picture_view(mapper, mapper.add_for(node, layer, source, **arrays), view)


def _pool(node: Node, x: Array) -> Array:
    seen = _pictures(x)
    kernel, strides, pads, include = _pool_settings(node, (seen.shape[1], seen.shape[2]))
    bounded((len(seen), *(a + sum(b) for a, b in zip(seen.shape[1:3], pads, strict=True))))
    if node.op == "MaxPool":
        return _back(F.max_pool2d(seen, kernel, strides=strides, padding=pads)[0], x.ndim)
    y, _ = F.average_pool2d(seen, kernel, strides=strides, padding=pads, count_include_pad=include)
    return _back(y, x.ndim)


def _map_pool(mapper: Mapper, node: Node, view: View) -> View:
    source, size = _map_picture(mapper, view)
    kernel, strides, pads, include = _pool_settings(node, size)
    padding = _padding_word(pads, size, kernel, strides, (1, 1))
    layer: L.Layer = L.MaxPooling2D(list(kernel), list(strides), padding)
    if node.op == "AveragePool":
        layer = L.AveragePooling2D(list(kernel), list(strides), padding, count_include_pad=include)
    return _picture_view(mapper, mapper.add(layer, source), view)


def _global_pool(function: Callable[[Array], tuple[Array, Any]]) -> Operation:
    """Pooling over all pixels, which stay as axes of length 1."""

    def run(node: Node, x: Array) -> Array:
        y = function(_pictures(x))[0]
        return y.reshape(*y.shape, *(1,) * (x.ndim - 2))

    return Operation(run, _map_reduction)


def _reduction(function: Callable[..., Array]) -> Callable[..., Any]:
    """An operation over some axes, by default over all."""

    def run(node: Node, x: Array, axes: Array | None = None) -> Array:
        chosen = node.axes([x, axes], 1, x.ndim)
        if not chosen:
            if node.get("noop_with_empty_axes"):
                return x
            chosen = tuple(range(x.ndim))
        if not x.size and function in (np.max, np.min):
            raise Unmappable("max or min of an empty array")
        return function(x, axis=chosen, keepdims=bool(node.get("keepdims", 1))).astype(x.dtype)

    return run


def _map_reduction(mapper: Mapper, node: Node, view: View) -> View:
    """Global pooling over some axes, once these are in front; the others are the channels."""
    pools = node.op.startswith("Global")
    given = None if pools else node.axes(mapper.arrays(node), 1, view.rank)
    axes = tuple(range(2, view.rank)) if pools else given
    if axes is None:
        raise Unmappable("it would need to work across the examples of a batch")
    own = sorted({view.own_axis(axis) for axis in axes})
    high, *more = [view.axes[axis] for axis in own] or [()]
    rest = joined(axis for i, axis in enumerate(view.axes) if i not in own)
    if not rest and view.order and not own:
        raise Unmappable("it has no axes to work on")
    source = mapper.as_picture(view, high, joined(more), rest)
    is_max = node.op in ("GlobalMaxPool", "ReduceMax")
    pooled = mapper.add(L.GlobalMaxPooling2D() if is_max else L.GlobalAveragePooling2D(), source)
    keep = pools or node.get("keepdims", 1)
    left = [() if i in own else axis for i, axis in enumerate(view.axes) if keep or i not in own]
    result = View(pooled, rest, tuple(left), view.batch)
    if node.op != "ReduceSum":
        return result
    return mapper.append(L.Rescaling(float(math.prod(view.shape[axis] for axis in axes))), result)


WINDOWS: dict[str, Operation] = {
    "AveragePool": Operation(_pool, _map_pool),
    "Conv": Operation(_conv, _map_conv),
    "GlobalAveragePool": _global_pool(F.global_average_pool2d),
    "GlobalMaxPool": _global_pool(F.global_max_pool2d),
    "MaxPool": Operation(_pool, _map_pool),
    "ReduceMax": Operation(_reduction(np.max), _map_reduction),
    "ReduceMean": Operation(_reduction(np.mean), _map_reduction),
    "ReduceMin": Operation(_reduction(np.min)),
    "ReduceProd": Operation(_reduction(np.prod)),
    "ReduceSum": Operation(_reduction(np.sum), _map_reduction),
}
"""Every such operation by ONNX's name."""
