"""Which output of a graph holds the scores, which input the pictures, and what one example is.

Graphs end in more than scores (classes, accuracies, dictionaries), begin with more than pictures
(labels, flags), and leave sizes open. Each guess made here is tried, and kept only if all layers
fit.
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
"""Operations that turn scores into classes; what follows them is not part of the network."""
_OPEN_BATCH = 97
"""Stands for a batch of open size: a prime, so that no other axis is taken for it."""
_SIDE = 28
_MAX_PIXELS = 1 << 20
_MAX_EXAMPLES = 1 << 17


@dataclass(frozen=True)
class Ending:
    """An output, cut back to the scores.

    Attributes:
        tensor: the scores.
        output: the output of the graph that depends on them.
        left_out: the nodes between the two.
    """

    tensor: str
    output: str
    left_out: tuple[str, ...] = ()


def endings(network: Network) -> list[Ending]:
    """The tensors that may be the network's scores, the most likely first."""
    found = [_cut(network, output) for output in network.outputs]
    found.sort(key=lambda ending: len(ending.left_out) > 0)
    return list({ending.tensor: ending for ending in reversed(found)}.values())[::-1]


def _cut(network: Network, output: str) -> Ending:
    """The output itself, or the input of the first decision on the way to it."""
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
        Unmappable: if there is none, or more than one.
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
    """Every way to understand an input, the most likely first."""
    transposed = any(n.op == "Transpose" and port.name in n.inputs for n in network.nodes)
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
        if pixels > _MAX_PIXELS or examples > _MAX_EXAMPLES:
            limits = f"limit {_MAX_EXAMPLES:,} examples of {_MAX_PIXELS:,} numbers"
            raise Unmappable(f"input of shape {list(shape)} too large ({limits})")
        if not shape:
            raise Unmappable("its input is a single number, not a picture")
        if len(shape) > 1:
            yield _beginning(shape[1:], shape[0] or _OPEN_BATCH, transposed)
            if shape[0] is None:
                yield _beginning(shape[1:], 1, transposed)
        # One picture without a batch axis, or one whose rows are called a batch.
        first = shape[0] if shape[0] is not None else shape[-1]
        if first is not None and len(shape) <= 3:
            yield _beginning((first, *shape[1:]), None, transposed)


def _completed(shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
    """The shape, with open sides as pictures of digits have them."""
    if len(shape) == 4:
        n, a, b, c = shape
        last = c in (1, 3) and a not in (1, 3)
        return (n, a or _SIDE, b or _SIDE, c) if last else (n, a or 1, b or _SIDE, c or _SIDE)
    if len(shape) == 3:
        return (shape[0], *(side or _SIDE for side in shape[1:]))
    return (*shape[:1], *(side or _SIDE * _SIDE for side in shape[1:]))


def _beginning(
    open_sides: tuple[int | None, ...], batch: int | None, transposed: bool
) -> Beginning:
    """The input shape, the atoms in memory, and the axes of the tensor.

    A row of a square number of features, such as 784, is a square picture. If the sizes do not
    show which axis holds the channels, a graph that transposes its input takes channels last.
    """
    sides = tuple(side or 1 for side in open_sides)
    axes: list[Axis] = [(Atom(side),) if side != 1 else () for side in sides]
    long = [i for i, side in enumerate(sides) if side != 1]
    last = sides[-1] in (1, 3) or (transposed and sides[0] not in (1, 3))
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
    return Beginning(shape, View(INPUT, order, tuple(axes), batch))
