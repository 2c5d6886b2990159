"""How the axes of an ONNX tensor lie in the memory of the layer that stands for it.

ONNX graphs spend nodes on moving axes: pictures are transposed from (h, w, c) to (c, h, w),
flattened, squeezed, split in two. None of this has to be computed if it is tracked. A layer's
output is a row of *atoms*, the pieces that no reshape has cut yet, in the order in which they lie
in memory; the tensor's axes are lists of the same atoms. For the output of a convolution, memory is
``h w c`` and the tensor's axes are ``n [c] [h] [w]``. Flattening it gives ``n [c h w]`` over the
same memory, and a Dense layer that follows only has to take its kernel's rows in the order
``h w c``. Sides of length 1 have no atom, so their place does not matter.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from tinymnist.interop.onnx.nodes import Unmappable
from tinymnist.nn.arrays import Array

_COUNTER = itertools.count()


@dataclass(frozen=True)
class Atom:
    """A piece of an axis. The number makes atoms of equal size distinct."""

    size: int
    number: int = field(default_factory=_COUNTER.__next__)


Axis = tuple[Atom, ...]


def size_of(atoms: Iterable[Atom]) -> int:
    """The product of the sizes of atoms."""
    return math.prod(atom.size for atom in atoms)


def joined(axes: Iterable[Axis]) -> Axis:
    """The atoms of several axes, one after the other."""
    return tuple(atom for axis in axes for atom in axis)


def fresh(shape: Sequence[int]) -> list[Axis]:
    """New axes of these sizes."""
    return [(Atom(side),) if side != 1 else () for side in shape]


def in_order(values: Array, atoms: Axis, order: Axis) -> Array:
    """Numbers along ``atoms``, brought into the order in which memory has these atoms."""
    kept = [atom for atom in order if atom in atoms]
    pieces = values.reshape([atom.size for atom in atoms])
    return pieces.transpose([atoms.index(atom) for atom in kept]).reshape(-1)


class Uncut(Unmappable):
    """A reshape that would cut an atom into pieces that do not divide it."""


@dataclass(frozen=True)
class View:
    """An ONNX tensor over the output of a layer.

    Attributes:
        source: the name of the layer.
        order: the atoms in the order of memory, of one example.
        axes: the atoms of each axis of the tensor, the batch axis left out.
        batch: the size of the batch axis, which is the first; None if the tensor has none.
    """

    source: str
    order: Axis
    axes: tuple[Axis, ...]
    batch: int | None

    @property
    def lead(self) -> int:
        """1 with a batch axis, 0 without."""
        return 0 if self.batch is None else 1

    @property
    def rank(self) -> int:
        """The number of axes, batch axis included."""
        return len(self.axes) + self.lead

    @property
    def shape(self) -> tuple[int, ...]:
        """The tensor's shape, batch axis included."""
        own = tuple(size_of(axis) for axis in self.axes)
        return own if self.batch is None else (self.batch, *own)

    def own_axis(self, axis: int) -> int:
        """The number of an axis among those of one example; refused for the batch axis."""
        if not -self.rank <= axis < self.rank:
            raise Unmappable(f"it has no axis {axis} in {self.rank} dimensions")
        index = axis % self.rank - self.lead
        if index < 0:
            raise Unmappable("it would need to work across the examples of a batch")
        return index

    def reshaped(self, shape: Sequence[int]) -> View:
        """The same memory under another shape; refused if examples would mix."""
        batch, own = self._without_batch(tuple(shape))
        flat = list(joined(self.axes))
        axes: list[Axis] = []
        cuts: dict[Atom, Axis] = {}
        for side in own:
            taken: list[Atom] = []
            while (left := side // size_of(taken)) > 1:
                taken.append(_take(flat, left, cuts))
            axes.append(tuple(taken))
        order = self.order
        while any(atom in cuts for atom in order):
            order = joined(cuts.get(atom, (atom,)) for atom in order)
        return View(self.source, order, tuple(axes), batch)

    def _without_batch(self, shape: tuple[int, ...]) -> tuple[int | None, tuple[int, ...]]:
        example = size_of(self.order)
        own = 1 if self.batch is None else self.batch
        if shape and shape[0] == own and math.prod(shape[1:]) == example:
            return own, shape[1:]
        if own == 1 and math.prod(shape) == example:
            return None, shape
        raise Unmappable(f"the shape {list(shape)} mixes the examples of a batch of {own}")

    def transposed(self, perm: Sequence[int]) -> View:
        """The axes in another order; the batch axis must stay the first."""
        if self.batch is not None and perm[0] != 0:
            raise Unmappable("it would need the batch axis in another place than the first")
        return replace(self, axes=tuple(self.axes[p - self.lead] for p in perm[self.lead :]))

    def moved(self, source: str) -> View:
        """The same axes over the output of another layer."""
        return replace(self, source=source)

    def pattern(self) -> tuple[tuple[int, int, int], ...]:
        """How the tensor lies in memory: for each atom there, its axis, place in it, and size."""
        place = {atom: (a, i) for a, axis in enumerate(self.axes) for i, atom in enumerate(axis)}
        return tuple((*place[atom], atom.size) for atom in self.order)

    def tensor_of(self, memory: Array) -> Array:
        """A layer's output (n, ...) as the tensor (n, ...), axes in the tensor's order."""
        wanted = [self.order.index(atom) + 1 for atom in joined(self.axes)]
        pieces = memory.reshape(len(memory), *(atom.size for atom in self.order))
        sides = [size_of(axis) for axis in self.axes]
        return np.ascontiguousarray(pieces.transpose([0, *wanted]).reshape(len(memory), *sides))

    def memory_of(self, tensor: Array) -> Array:
        """A tensor as the output of the layer, (n, ...) with one axis for each atom."""
        own = joined(self.axes)
        pieces = tensor.reshape(-1, *(atom.size for atom in own))
        return pieces.transpose([0, *(own.index(atom) + 1 for atom in self.order)])


def _take(flat: list[Atom], wanted: int, cuts: dict[Atom, Axis]) -> Atom:
    """Take the next atom, or cut off its front if that is all that is wanted."""
    atom = flat.pop(0)
    if wanted % atom.size == 0:
        return atom
    if atom.size % wanted:
        raise Uncut(f"it would need to cut an axis of {atom.size} into pieces of {wanted}")
    front, rest = Atom(wanted), Atom(atom.size // wanted)
    cuts[atom] = (front, rest)
    flat.insert(0, rest)
    return front
