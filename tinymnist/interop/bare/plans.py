"""A plan: one architecture that blocks may belong to, how likely it is, and its layers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from tinymnist.interop.bare.architecture import TENSORS, Description
from tinymnist.interop.bare.blocks import Block, Group, modules_between
from tinymnist.nn.arrays import Shape

PICTURE_SIDES = (28, 32)
"""Sides of the pictures that networks for MNIST take; 32 is LeNet's, padded or enlarged."""


@dataclass(frozen=True)
class Pool:
    """A pooling layer; ``size`` 1 stands for none."""

    size: int = 1
    strides: int = 1

    def __str__(self) -> str:
        if self.size == 1:
            return ""
        same = self.size == self.strides
        return f"pool {self.size}" if same else f"pool {self.size} stride {self.strides}"


NO_POOL, POOL_2 = Pool(), Pool(2, 2)


@dataclass(frozen=True)
class Step:
    """How one convolution is applied.

    Attributes:
        padding: zeros on each side.
        strides: of the convolution.
        pool: the pool that follows.
    """

    padding: int = 0
    strides: int = 1
    pool: Pool = NO_POOL

    def __str__(self) -> str:
        parts = [f"padding {self.padding}" if self.padding else "",
                 f"stride {self.strides}" if self.strides > 1 else "", str(self.pool)]  # fmt: skip
        return " ".join(part for part in parts if part) or "plain"


NORM_ORDERS = ("norm, activation, pool", "activation, norm, pool", "activation, pool, norm",
               "pool, norm, activation")  # fmt: skip
"""Possible places of batch normalization. With a max-pool and ReLU, no other order differs."""
SLOPES = {"leaky_relu": 0.01}
"""PyTorch's LeakyReLU, unlike Keras's, has this slope."""


@dataclass(frozen=True)
class Plan:
    """One architecture that fits.

    Attributes:
        input_shape: of one picture.
        groups: the blocks, in the order in which they run.
        steps: one per convolution.
        head: "flatten" or "average" (global average pooling) between convolutions and Dense
            layers, or "" without convolutions.
        norm_order: one of :data:`NORM_ORDERS`; it matters if there is a norm.
        activation: after every hidden layer.
        pooling: "max" or "average".
    """

    input_shape: Shape
    groups: tuple[Group, ...]
    steps: tuple[Step, ...]
    head: str = ""
    norm_order: str = NORM_ORDERS[0]
    activation: str = "relu"
    pooling: str = "max"

    def __str__(self) -> str:
        size = "x".join(map(str, self.input_shape))
        pairs = zip(self.groups, self.steps, strict=False)
        parts = [f"input {size}", *(f"{g.main.name or 'conv'}: {step}" for g, step in pairs)]
        parts += ["global average pool"] * (self.head == "average")
        order = f", order {self.norm_order}" if any(g.norms for g in self.groups) else ""
        pools = f", {self.pooling} pools" if any(s.pool.size > 1 for s in self.steps) else ""
        return f"{'; '.join(parts)}; {self.activation}{pools}{order}"

    @property
    def is_even(self) -> bool:
        """Whether all convolutions are padded, or none."""
        return len({step.padding > 0 for step in self.steps}) < 2

    @property
    def cost(self) -> tuple[int, ...]:
        """A sorting key: the more likely plan costs less."""
        pools = [i for i, s in enumerate(self.steps) if s.pool.size > 1]
        gaps = [b - a for a, b in zip([-1, *pools], pools, strict=False)]
        straggling = len(self.steps) - 1 - pools[-1] if pools else 0
        odd = sum(s.pool not in (NO_POOL, POOL_2) for s in self.steps)
        strides = sum(s.strides > 1 for s in self.steps)
        padded = sum(s.padding > 0 for s in self.steps)
        pairs = zip(self.groups, self.steps, strict=False)
        strange = sum(s.padding not in (0, g.main.side[0] // 2) for g, s in pairs)
        uneven = not self.is_even and (padded > 1 or len(self.steps) > 3)
        return (self.input_shape[0] != PICTURE_SIDES[0], strange, odd, strides,
                self.head == "average", uneven, padded, straggling, len(set(gaps)),
                NORM_ORDERS.index(self.norm_order))  # fmt: skip

    def describe(self) -> Description:
        """The layers, without an activation at the end: the outputs stay what they are."""
        layers: list[Config] = []
        head: list[Config] = [{"class": "Flatten"}] if len(self.input_shape) > 1 else []
        if self.head == "average":
            head = [{"class": "GlobalAveragePooling2D"}]
        channels = self.input_shape[-1]
        for group, after, step in zip_longest(self.groups, self.groups[1:], self.steps):
            if step is not None:
                layers.append(_convolution(group.main, step, channels))
            else:
                dense = {"class": "Dense", TENSORS: group.main.name, "units": group.main.outputs}
                layers += [*head, dense]
                head = []
            parts = {
                "norm": [_norm(norm) for norm in group.norms],
                "activation": self._activation(group) if _is_activated(group, after) else [],
                "pool": [] if step is None else self._pool(step.pool),
            }
            for part in self.norm_order.split(", "):
                layers += parts[part]
            channels = group.main.outputs
        return Description(self.input_shape, layers + head)

    def _activation(self, group: Group) -> list[Config]:
        if group.prelu is not None and group.prelu.outputs > 1:
            shared = [1, 2] if group.main.kind == "conv" else []
            return [{"class": "PReLU", TENSORS: group.prelu.name, "shared_axes": shared}]
        if group.prelu is not None:
            return [{"class": "LeakyReLU", TENSORS: group.prelu.name}]
        if self.activation in SLOPES:
            return [{"class": "LeakyReLU", "negative_slope": SLOPES[self.activation]}]
        if self.activation == "linear":
            return []
        return [{"class": "Activation", "activation": self.activation}]

    def _pool(self, pool: Pool) -> list[Config]:
        if pool.size == 1:
            return []
        name = "MaxPooling2D" if self.pooling == "max" else "AveragePooling2D"
        return [{"class": name, "pool_size": pool.size, "strides": pool.strides}]


Config = Mapping[str, Any]


def _is_activated(group: Group, after: Group | None) -> bool:
    """Whether an activation follows: not after the last layer, nor if names leave no room."""
    if after is None:
        return False
    rooms = [modules_between(group.last, after.main)]
    rooms += [modules_between(group.main, norm) for norm in group.norms[:1]]
    return any(room is None or room > 0 for room in rooms)


def _convolution(block: Block, step: Step, channels: int) -> Config:
    return {
        "class": "Conv2D",
        TENSORS: block.name,
        "filters": block.outputs,
        "kernel_size": list(block.side),
        "strides": step.strides,
        "padding": [step.padding if side > 1 else 0 for side in block.side],
        "groups": channels // block.inputs,
    }


def _norm(block: Block) -> Config:
    kind = "BatchNormalization" if block.kind == "norm" else "LayerNormalization"
    own = {"momentum": 0.9} if block.kind == "norm" else {}
    return {"class": kind, TENSORS: block.name, "epsilon": block.epsilon, **own}
