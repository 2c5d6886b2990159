"""A plan: one architecture that a list of weights may belong to, and how likely it is."""

from __future__ import annotations

from dataclasses import dataclass

from tinymnist.interop.bare.blocks import Group
from tinymnist.nn.arrays import Shape

PICTURE_SIDES = (28, 32)
"""Sides of the pictures that networks for MNIST take; 32 is LeNet's, padded or enlarged."""


@dataclass(frozen=True)
class Pool:
    """A max-pool; ``size`` 1 is none."""

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
        pool: what follows.
    """

    padding: int = 0
    strides: int = 1
    pool: Pool = NO_POOL

    def __str__(self) -> str:
        parts = [f"padding {self.padding}" if self.padding else "",
                 f"stride {self.strides}" if self.strides > 1 else "", str(self.pool)]  # fmt: skip
        return " ".join(part for part in parts if part) or "plain"


ORDERS = ("norm, activation, pool", "activation, norm, pool", "activation, pool, norm",
          "pool, norm, activation")  # fmt: skip
"""Where batch normalization may stand. With a max-pool and ReLU, no other order differs."""


@dataclass(frozen=True)
class Plan:
    """One architecture that fits.

    Attributes:
        input_shape: of one picture.
        groups: the blocks, each with what belongs to it.
        steps: one for each convolution.
        head: "flatten" or "average" (global average pooling) between convolutions and Dense
            layers, or "" without convolutions.
        order: one of :data:`ORDERS`, where there is a norm.
        activation: after every hidden layer.
        pooling: "max" or "average".
    """

    input_shape: Shape
    groups: tuple[Group, ...]
    steps: tuple[Step, ...]
    head: str = ""
    order: str = ORDERS[0]
    activation: str = "relu"
    pooling: str = "max"

    def __str__(self) -> str:
        size = "x".join(map(str, self.input_shape))
        convolutions = [
            f"{g.main.name or 'conv'}: {step}"
            for g, step in zip(self.groups, self.steps, strict=False)
        ]
        parts = [f"input {size}", *convolutions]
        if self.head == "average":
            parts.append("global average pool")
        order = f", order {self.order}" if self.has_norms else ""
        pools = f", {self.pooling} pools" if any(s.pool.size > 1 for s in self.steps) else ""
        return f"{'; '.join(parts)}; {self.activation}{pools}{order}"

    @property
    def has_norms(self) -> bool:
        """Whether any hidden layer has a norm, so that ``order`` matters."""
        return any(group.norms for group in self.groups)

    @property
    def is_even(self) -> bool:
        """Whether all convolutions are padded, or none."""
        return len({step.padding > 0 for step in self.steps}) < 2

    @property
    def cost(self) -> tuple[int, ...]:
        """What likelier plans have less of."""
        pools = [i for i, s in enumerate(self.steps) if s.pool.size > 1]
        gaps = [b - a for a, b in zip([-1, *pools], pools, strict=False)]
        straggling = len(self.steps) - 1 - pools[-1] if pools else 0
        odd = sum(s.pool not in (NO_POOL, POOL_2) for s in self.steps)
        strides = sum(s.strides > 1 for s in self.steps)
        padded = sum(s.padding > 0 for s in self.steps)
        strange = sum(
            s.padding not in (0, g.main.side[0] // 2)
            for g, s in zip(self.groups, self.steps, strict=False)
        )
        uneven = not self.is_even and (padded > 1 or len(self.steps) > 3)
        return (self.input_shape[0] != PICTURE_SIDES[0], strange, odd, strides,
                self.head == "average", uneven, padded, straggling, len(set(gaps)),
                ORDERS.index(self.order))  # fmt: skip
