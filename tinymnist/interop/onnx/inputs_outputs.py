"""What of a graph is the network: which output, which input, and what one example of it is.

Graphs end in more than scores (classes, accuracies, dictionaries), begin with more than pictures
(labels, flags), and leave sizes open. Each guess here is tried, and stands only if all layers fit.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tinymnist.interop.onnx.nodes import Network, Port, Unmappable, taken_by
from tinymnist.interop.onnx.views import Atom, Axis, View
from tinymnist.nn.arrays import Shape
from tinymnist.nn.graph import INPUT

_DECISIONS = {
    "ArgMax", "TopK", "Hardmax", "ai.onnx.ml.ZipMap", "ai.onnx.ml.ArrayFeatureExtractor",
    "ai.onnx.ml.LabelEncoder",
}  # fmt: skip
"""Operations that turn scores into classes; what comes after them is no part of the network."""
_MANY = 97
"""Stands for a batch of open size: a prime, so that no other axis is taken for it."""
_SIDE = 28
_MOST_PIXELS = 1 << 20
_MOST_EXAMPLES = 1 << 17


@dataclass(frozen=True)
class Ending:
    """An output, cut back to the scores.

    Attributes:
        tensor: the scores.
        output: the output of the graph that is made of them.
        left_out: the nodes in between, which are left out.
    """

    tensor: str
    output: str
    left_out: tuple[str, ...] = ()


def endings(network: Network) -> list[Ending]:
    """The tensors that may be the network's scores, the likeliest first."""
    found = [_cut(network, output) for output in network.outputs]
    found.sort(key=lambda ending: len(ending.left_out) > 0)
    return list({ending.tensor: ending for ending in reversed(found)}.values())[::-1]


def _cut(network: Network, output: str) -> Ending:
    """The output itself, or what the first decision on the way to it takes."""
    part = network.needed_for(output)
    depends = _depending(part)
    for node in part.nodes:
        live = [name for name in node.inputs if name in depends]
        scores = [name for name in live if part.producers.get(name) is not None]
        if node.op in _DECISIONS and scores:
            kept = {name for n in part.needed_for(scores[0]).nodes for name in n.outputs}
            left = tuple(str(n) for n in part.nodes if not kept.intersection(n.outputs))
            return Ending(scores[0], output, left)
    return Ending(output, output)


def _depending(network: Network) -> set[str]:
    """The tensors that are computed from an input."""
    found = {port.name for port in network.inputs}
    for node in network.nodes:
        if found.intersection(taken_by(node)):
            found.update(node.outputs)
    return found


def picture_port(network: Network) -> Port:
    """The one input that is fed with pictures.

    Raises:
        Unmappable: when there is none, or more than one.
    """
    ports = [port for port in network.inputs if port.kind != "bool"]
    if len(ports) != 1:
        names = [port.name for port in network.inputs]
        raise Unmappable(f"it would need one input with pictures, and has {names}")
    return ports[0]


def switched_off(network: Network) -> Network:
    """Flags such as ``is_training`` set to False."""
    flags = {p.name: np.zeros((1,) * len(p.shape or ()), bool)
             for p in network.inputs if p.kind == "bool"}  # fmt: skip
    rest = [port for port in network.inputs if port.name not in flags]
    return Network(network.nodes, network.constants | flags, rest, network.outputs)


@dataclass(frozen=True)
class Beginning:
    """One way to understand the input.

    Attributes:
        shape: the model's own input shape, channels last.
        view: the input tensor over it.
    """

    shape: Shape
    view: View


def beginnings(port: Port, network: Network) -> Iterator[Beginning]:
    """Every way to understand an input, the likeliest first."""
    turned = any(n.op == "Transpose" and port.name in n.inputs for n in network.nodes)
    shapes: list[tuple[int | None, ...]]
    if port.shape is None:
        shapes = [(None, 1, _SIDE, _SIDE), (None, _SIDE * _SIDE), (None, _SIDE, _SIDE, 1)]
    elif len(port.shape) == 4 and port.shape[1] is port.shape[3] is None:
        shapes = [port.shape, (*port.shape[:3], 1)]
    else:
        shapes = [port.shape]
    for open_shape in shapes:
        shape = _completed(open_shape)
        pixels, examples = math.prod(side or 1 for side in shape[1:]), (shape or (1,))[0] or 1
        if pixels > _MOST_PIXELS or examples > _MOST_EXAMPLES:
            raise Unmappable(f"an input of shape {list(shape)} is beyond all measure")
        if not shape:
            raise Unmappable("a single number is no picture")
        if len(shape) > 1:
            yield _with_batch(shape[1:], shape[0] or _MANY, turned)
            if shape[0] is None:
                yield _with_batch(shape[1:], 1, turned)
        # One picture without a batch axis, or one whose rows are called a batch.
        first = shape[0] if shape[0] is not None else shape[-1]
        if first is not None and len(shape) <= 3:
            yield _without_batch((first, *(side or 1 for side in shape[1:])), turned)


def _completed(shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
    """Sides that a file leaves open, as pictures of digits have them."""
    if len(shape) == 4:
        n, a, b, c = shape
        last = c in (1, 3) and a not in (1, 3)
        return (n, a or _SIDE, b or _SIDE, c) if last else (n, a or 1, b or _SIDE, c or _SIDE)
    if len(shape) == 3:
        return (shape[0], *(side or _SIDE for side in shape[1:]))
    return (*shape[:1], *(side or _SIDE * _SIDE for side in shape[1:]))


def _with_batch(sides: tuple[int | None, ...], batch: int, turned: bool) -> Beginning:
    own = tuple(side or 1 for side in sides)
    shape, order, axes = _picture(own, turned)
    return Beginning(shape, View(INPUT, order, axes, batch))


def _without_batch(own: tuple[int, ...], turned: bool) -> Beginning:
    shape, order, axes = _picture(own, turned)
    return Beginning(shape, View(INPUT, order, axes, None))


def _picture(sides: tuple[int, ...], turned: bool) -> tuple[Shape, Axis, tuple[Axis, ...]]:
    """The input shape, the atoms in memory, and the axes of the tensor, for one example.

    A row of a square number of features, 784 for instance, is a square picture. Where sizes do not
    tell the channels, a graph that turns its input at once gets it with channels last.
    """
    axes: list[Axis] = [(Atom(side),) if side != 1 else () for side in sides]
    long = [i for i, side in enumerate(sides) if side != 1]
    last = sides[-1] in (1, 3) or (turned and sides[0] not in (1, 3))
    if len(sides) == 3 and len(long) == 3 and not last:
        moved = [*axes[-2:], axes[-3]]  # channels in front
        shape: Shape = (sides[-2], sides[-1], sides[-3])
    elif len(sides) == 3 and len(long) == 3:
        moved, shape = axes, sides
    elif len(long) == 2:
        moved = [axes[i] for i in long]
        shape = (sides[long[0]], sides[long[1]], 1)
    elif len(long) == 1 and math.isqrt(sides[long[0]]) ** 2 == sides[long[0]] >= 16:
        root = math.isqrt(sides[long[0]])
        pieces = (Atom(root), Atom(root))
        axes[long[0]] = pieces
        moved, shape = [pieces], (root, root, 1)
    else:
        moved, shape = [axes[i] for i in long], tuple(sides[i] for i in long) or (1,)
    order = tuple(atom for axis in moved for atom in axis)
    return shape, order, tuple(axes)
