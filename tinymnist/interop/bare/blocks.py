"""The layers with weights of a file that tells no more than weights: kind, name, and arrays.

A state_dict or a file of bare weights is a list of such blocks. What lies between them
(activations, pooling, padding) is for :mod:`tinymnist.interop.bare.plans` to find out, or for a
description to say.
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
    """One layer that has weights.

    Attributes:
        name: what the file calls it, ``features.3`` for instance.
        kind: "conv", "dense", "norm" (batch normalization), "layernorm" or "prelu".
        arrays: in tinymnist's layouts and under its names: ``kernel`` (kh, kw, in / groups, out) or
            (in, out) and ``bias``; ``gamma, beta, moving_mean, moving_variance``; of a prelu
            ``alpha``, (c,) or () where one slope goes for all.
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
        """Features or channels that come out; 1 for a prelu of one slope."""
        first = next(iter(self.arrays.values()))
        return int(first.shape[-1]) if first.ndim else 1

    @property
    def side(self) -> tuple[int, int]:
        """Height and width of a convolution's kernel."""
        kh, kw = self.arrays["kernel"].shape[:2]
        return int(kh), int(kw)

    def __str__(self) -> str:
        if self.kind in ("conv", "dense"):
            return f"{self.name} {self.kind} {tuple(self.arrays['kernel'].shape)}"
        return f"{self.name} {self.kind} ({self.outputs})"


@dataclass(frozen=True)
class Group:
    """A convolution or dense block, and the norms and prelus that follow it."""

    main: Block
    norms: tuple[Block, ...] = ()
    prelu: Block | None = None

    @property
    def last(self) -> Block:
        """The last block of the group in the order of the file."""
        return self.prelu or (self.norms[-1] if self.norms else self.main)


def modules_between(before: Block, after: Block) -> int | None:
    """How many modules without weights lie between two blocks of one ``nn.Sequential``.

    ``features.0`` and ``features.3`` have two between them. None where the names do not tell.
    """
    (a, first), (b, second) = (_split(block.name) for block in (before, after))
    if a != b or first is None or second is None or second <= first:
        return None
    return second - first - 1


def _split(name: str) -> tuple[str, int | None]:
    prefix, _, last = name.rpartition(".")
    return prefix, int(last) if re.fullmatch("[0-9]{1,4}", last) else None


def natural(name: str) -> list[tuple[int, int, str]]:
    """A key that sorts ``layers.10`` behind ``layers.2``."""
    parts = re.findall(r"[0-9]{1,9}|[^0-9]+", name)
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts]


def grouped(blocks: Iterable[Block]) -> list[Group]:
    """Put every norm and prelu to the convolution or dense block before it.

    Raises:
        ValueError: when one comes first, or does not fit the block before it.
    """
    groups: list[Group] = []
    for block in blocks:
        if block.kind in ("conv", "dense"):
            groups.append(Group(block))
            continue
        if not groups:
            raise ValueError(f"{block} comes first, before any convolution or dense layer")
        group = groups[-1]
        if block.outputs not in (group.main.outputs, 1):
            raise ValueError(f"{block} follows {group.main}, and has another width")
        if block.kind == "layernorm" and group.main.kind == "conv":
            raise ValueError(
                f"{block.name} normalizes pictures without running statistics (GroupNorm, "
                "InstanceNorm, LayerNorm over everything ...)"
            )
        if block.kind == "prelu" and block.outputs > 1 and "relu" not in block.name.lower():
            raise ValueError(f"{block.name} may be a PReLU, or a norm without bias")
        if block.kind != "prelu":
            groups[-1] = Group(group.main, (*group.norms, block), group.prelu)
        else:
            groups[-1] = Group(group.main, group.norms, block)
    return groups


def associated(blocks: Sequence[Block]) -> list[Block]:
    """Put norms and prelus behind their layers again, where names alone gave the order.

    Sorted by name, ``bn1, bn2`` come before ``conv1, conv2``. A norm belongs to the layer of the
    same number, else to the first of its width that has none.
    """
    mains = [block for block in blocks if block.kind in ("conv", "dense")]
    mains.sort(key=lambda block: block.kind)  # stable: convolutions first
    try:
        groups = grouped(blocks)
        if all(len(group.norms) < 2 for group in groups):
            return list(blocks)
    except ValueError:
        pass
    followers: dict[str, list[Block]] = {main.name: [] for main in mains}
    for block in blocks:
        if block.kind not in ("conv", "dense"):
            home = _home(block, mains, followers)
            if home is None:
                return list(blocks)
            followers[home.name].append(block)
    return [block for main in mains for block in (main, *followers[main.name])]


def _home(
    block: Block, mains: Sequence[Block], followers: Mapping[str, list[Block]]
) -> Block | None:
    """The layer that a norm or a prelu follows."""
    kinds = {block.kind}
    fitting = [
        main
        for main in mains
        if block.outputs in (main.outputs, 1)
        and not kinds & {follower.kind for follower in followers[main.name]}
    ]
    number = re.findall("[0-9]+", block.name)[-1:]
    numbered = [main for main in fitting if re.findall("[0-9]+", main.name)[-1:] == number]
    return next(iter(numbered or fitting), None)
