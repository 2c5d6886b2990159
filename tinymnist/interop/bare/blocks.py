"""Blocks: the arrays of a file, grouped into the layers that they belong to.

A state_dict or a file of bare weights is a list of blocks. The layers between them (activations,
pooling) are found by :mod:`tinymnist.interop.bare.match_shapes`, or given by a description.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from tinymnist.nn.arrays import Array

Kind = Literal["conv", "dense", "norm", "layernorm", "prelu"]


@dataclass(frozen=True)
class Block:
    """The arrays of one layer.

    Attributes:
        name: its name in the file, ``features.3`` for instance.
        kind: "conv", "dense", "norm" (batch normalization), "layernorm" or "prelu".
        arrays: in tinymnist's layouts and under its names: ``kernel`` (kh, kw, in / groups, out) or
            (in, out) and ``bias``; ``gamma, beta, moving_mean, moving_variance``; for a prelu
            ``alpha``, (c,), or () for one slope shared by all channels.
        epsilon: of a norm.
    """

    name: str
    kind: Kind
    arrays: Mapping[str, Array]
    epsilon: float = 1e-5

    @property
    def inputs(self) -> int:
        """Features that a dense block takes, or channels of one group of a convolution."""
        return int(self.arrays["kernel"].shape[-2])

    @property
    def outputs(self) -> int:
        """Features or channels that come out; 1 for a prelu with a single slope."""
        first = next(iter(self.arrays.values()))
        return int(first.shape[-1]) if first.ndim else 1

    @property
    def side(self) -> tuple[int, int]:
        """Height and width of a convolution's kernel."""
        kh, kw = self.arrays["kernel"].shape[:2]
        return int(kh), int(kw)

    @property
    def is_main(self) -> bool:
        """Whether it is a convolution or a dense layer."""
        return self.kind in ("conv", "dense")

    def __str__(self) -> str:
        size = tuple(self.arrays["kernel"].shape) if self.is_main else f"({self.outputs})"
        return f"{self.name} {self.kind} {size}"


@dataclass(frozen=True)
class Group:
    """A convolution or dense block, and the norms and the prelu that follow it."""

    main: Block
    norms: tuple[Block, ...] = ()
    prelu: Block | None = None

    @property
    def last(self) -> Block:
        """The last block of the group in the order of the file."""
        return self.prelu or (self.norms[-1] if self.norms else self.main)


def modules_between(before: Block, after: Block) -> int | None:
    """The number of modules without weights between two blocks of one ``nn.Sequential``.

    ``features.0`` and ``features.3`` have two between them. None if the names are not numbered.
    """
    (a, _, first), (b, _, second) = (block.name.rpartition(".") for block in (before, after))
    if a != b or not all(re.fullmatch("[0-9]{1,4}", number) for number in (first, second)):
        return None
    return int(second) - int(first) - 1 if int(second) > int(first) else None


def natural(name: str) -> list[tuple[int, int, str]]:
    """A sorting key that puts ``layers.10`` after ``layers.2``."""
    parts = re.findall(r"[0-9]{1,9}|[^0-9]+", name)
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts]


def grouped(blocks: Iterable[Block]) -> list[Group]:
    """Attach every norm and prelu to the convolution or dense block before it.

    Raises:
        ValueError: when one comes first, or does not fit the block before it.
    """
    groups: list[Group] = []
    for block in blocks:
        if block.is_main:
            groups.append(Group(block))
            continue
        if not groups:
            raise ValueError(f"{block} comes first, before any convolution or dense layer")
        group = groups[-1]
        _check_follower(block, group.main)
        prelu = block if block.kind == "prelu" else group.prelu
        norms = group.norms if block.kind == "prelu" else (*group.norms, block)
        groups[-1] = Group(group.main, norms, prelu)
    return groups


def _check_follower(block: Block, main: Block) -> None:
    if block.outputs not in (main.outputs, 1):
        raise ValueError(f"{block} follows {main}, and has another width")
    if block.kind == "layernorm" and main.kind == "conv":
        kinds = "GroupNorm, InstanceNorm, LayerNorm over everything ..."
        raise ValueError(f"{block.name} normalizes pictures without running statistics ({kinds})")
    if block.kind == "prelu" and block.outputs > 1 and "relu" not in block.name.lower():
        raise ValueError(f"{block.name} may be a PReLU, or a norm without bias")


def convolutions_first(blocks: Sequence[Block]) -> list[Block]:
    """Put convolutions before dense layers, in the order in which they run.

    A class may define its layers in another order than it runs them.
    """
    kinds = [block.kind for block in blocks if block.is_main]
    if "conv" not in kinds or kinds == sorted(kinds):
        return list(blocks)
    parts: dict[str, list[Block]] = {"conv": [], "dense": []}
    place = "conv"
    for block in blocks:
        place = block.kind if block.kind in parts else place
        parts[place].append(block)
    return parts["conv"] + parts["dense"]


def associated(blocks: Sequence[Block]) -> list[Block]:
    """Put norms and prelus after their layers again, if blocks were sorted by name.

    Sorted by name, ``bn1, bn2`` come before ``conv1, conv2``. A norm belongs to the layer with the
    same number, else to the first layer of its width that has no norm yet.
    """
    try:
        if all(len(group.norms) < 2 for group in grouped(blocks)):
            return list(blocks)
    except ValueError:
        pass
    mains = sorted((block for block in blocks if block.is_main), key=lambda block: block.kind)
    followers: dict[str, list[Block]] = {main.name: [] for main in mains}
    for block in blocks:
        if block.is_main:
            continue
        fitting = [
            main for main in mains
            if block.outputs in (main.outputs, 1)
            and block.kind not in {follower.kind for follower in followers[main.name]}
        ]  # fmt: skip
        number = re.findall("[0-9]+", block.name)[-1:]
        numbered = [main for main in fitting if re.findall("[0-9]+", main.name)[-1:] == number]
        if not fitting:
            return list(blocks)
        followers[(numbered or fitting)[0].name].append(block)
    return [block for main in mains for block in (main, *followers[main.name])]
