"""The parameters that Keras's generator draws for each image, number by number."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Shift: TypeAlias = "float | Sequence[float]"
Numbers: TypeAlias = NDArray[Any]
"""(n,), one for each image."""
Parameters: TypeAlias = Mapping[str, Numbers]
"""Keras's parameters of transforms, by name."""


@dataclass(frozen=True)
class Ranges:
    """Keras's ranges by Keras's names; see :class:`ImageDataGenerator`.

    Rotation and shear are in degrees; ``zoom_range`` holds the lower and the upper limit.
    """

    rotation_range: float = 0.0
    width_shift_range: Shift = 0.0
    height_shift_range: Shift = 0.0
    brightness_range: tuple[float, ...] | None = None
    shear_range: float = 0.0
    zoom_range: tuple[float, ...] = (1.0, 1.0)
    channel_shift_range: float = 0.0
    horizontal_flip: bool = False
    vertical_flip: bool = False

    def draw(
        self, n: int, height: int, width: int, random: np.random.RandomState
    ) -> dict[str, Numbers]:
        """Draw the parameters of ``n`` images: exactly the numbers that Keras draws.

        Returns:
            theta, tx, ty, shear, zx, zy, flip_horizontal, flip_vertical and, if their ranges are
            set, channel_shift_intensity and brightness, (n,) each.
        """
        if not (_is_choice(self.width_shift_range) or _is_choice(self.height_shift_range)):
            table = random.random_sample((n, self._numbers_per_image))
            return self._parameters(_Draws(n, iter(table.T), random), height, width)
        # Choosing a shift takes other numbers in between, so each image is drawn by itself.
        draws = _Draws(1, (random.random_sample(1) for _ in count()), random)
        each = [self._parameters(draws, height, width) for _ in range(n)]
        names = each[0] if each else {}
        return {name: np.concatenate([one[name] for one in each]) for name in names}

    @property
    def _numbers_per_image(self) -> int:
        """How many uniform numbers an image takes if no shift is a choice."""
        moves = (self.rotation_range, self.height_shift_range, self.width_shift_range)
        others = (self.shear_range, self.channel_shift_range, self.brightness_range)
        return sum(map(bool, moves + others)) + 2 * self._zooms + 2

    @property
    def _zooms(self) -> bool:
        return self.zoom_range != (1, 1)

    def _parameters(self, draws: _Draws, height: int, width: int) -> dict[str, Numbers]:
        """All parameters, drawn in Keras's order."""
        zoom = self.zoom_range
        drawn = {
            "theta": draws.within(self.rotation_range),
            "tx": draws.shift(self.height_shift_range, height),
            "ty": draws.shift(self.width_shift_range, width),
            "shear": draws.within(self.shear_range),
            "zx": draws.between(*zoom) if self._zooms else np.ones(draws.n),
            "zy": draws.between(*zoom) if self._zooms else np.ones(draws.n),
            "flip_horizontal": (next(draws.numbers) < 0.5) & bool(self.horizontal_flip),
            "flip_vertical": (next(draws.numbers) < 0.5) & bool(self.vertical_flip),
        }
        if self.channel_shift_range:
            drawn["channel_shift_intensity"] = draws.within(self.channel_shift_range)
        if self.brightness_range is not None:
            drawn["brightness"] = draws.between(*self.brightness_range)
        return drawn


@dataclass(frozen=True)
class _Draws:
    """Random numbers for ``n`` images at a time; ``numbers`` yields uniform ones in 0..1."""

    n: int
    numbers: Iterator[Numbers]
    random: np.random.RandomState

    def between(self, low: float, high: float) -> Numbers:
        return low + (high - low) * next(self.numbers)

    def within(self, limit: float) -> Numbers:
        """Numbers in -limit..limit; a limit of 0 draws nothing."""
        return self.between(-limit, limit) if limit else np.zeros(self.n)

    def shift(self, shift: Any, side: int) -> Numbers:
        """Shifts in pixels; a limit below 1 is a fraction of the side."""
        if not shift:
            return np.zeros(self.n)
        if _is_choice(shift):
            steps = range(shift) if isinstance(shift, int) else shift
            step = steps[self.random.randint(len(steps))]
            shifts = np.array([step * (-1, 1)[self.random.randint(2)]])
        else:
            shifts = self.within(shift)
        return shifts * (side if np.max(shift) < 1 else 1)


def _is_choice(shift: Shift) -> bool:
    """Whether Keras chooses from a list, or, for an integer, from the whole pixels below it."""
    return isinstance(shift, Sequence) or (isinstance(shift, int) and shift > 0)
