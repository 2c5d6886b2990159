"""Transforms of whole batches, each with a probability, one after the other.

A transform is anything that is called as ``transform(images, rng)`` and gives new images, so
``fit(..., augment=transform)`` takes it, and so do other transforms.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

Images: TypeAlias = NDArray[Any]
"""(n, h, w, c): floats in 0..1, or whole numbers of all that their dtype holds."""

Limits: TypeAlias = Mapping[str, tuple[float, float]]
Step: TypeAlias = Callable[[Images, np.random.Generator], Images]

_OVERSHOOT = 1e-3
"""What interpolation may have added to 0..1 elsewhere."""


@dataclass(frozen=True)
class Transform(ABC):
    """What all transforms share.

    Shape, dtype and range of the images are kept, and the images themselves are left alone. For a
    given generator the result is always the same.

    Attributes:
        probability: of each picture to be changed; the others are copied.

    Raises:
        ValueError: for a setting that is out of its :attr:`limits`.
    """

    limits: ClassVar[Limits] = {}
    """The least and the most that a setting may be, by its name."""

    probability: float = field(default=1.0, kw_only=True)

    def __post_init__(self) -> None:
        for name, (least, most) in {"probability": (0, 1), **self.limits}.items():
            value = getattr(self, name)
            if not least <= value <= most:
                raise ValueError(
                    f"{name} must be in {least:g}..{most:g}. Received: {name}={value!r}"
                )
        low, high = getattr(self, "low", 0), getattr(self, "high", math.inf)
        if low > high:
            raise ValueError(f"low must not be above high. Received: {low=}, {high=}")

    def __call__(self, images: Images, rng: np.random.Generator) -> Images:
        """Draw a variant of every picture.

        Args:
            images: (n, h, w, c), light ink on dark where that matters.
            rng: where the variants come from.

        Returns:
            A new array like ``images``.

        Raises:
            ValueError: for floats outside of 0..1, or another number of axes.
        """
        images = np.asarray(images)
        if images.ndim != 4:
            raise ValueError(f"images must be (n, h, w, c). Received: shape={images.shape}")
        chosen = rng.random(len(images)) < self.probability
        varied = images.copy()
        if chosen.any():
            values = np.clip(self._vary(_to_unit(images[chosen]), rng), 0, 1)
            varied[chosen] = _from_unit(values, images.dtype)
        return varied

    @abstractmethod
    def _vary(self, images: Images, rng: np.random.Generator) -> Images:
        """Variants of pictures (n, h, w, c), n > 0, floats in 0..1; they may leave that range."""


@dataclass(frozen=True)
class Compose(Transform):
    """Several transforms in a row: ``Compose([Blur(probability=0.2), Noise()])``.

    Attributes:
        transforms: anything that is called as ``transform(images, rng)``.
        probability: of a picture to go through all of them.
    """

    transforms: Sequence[Step]

    def _vary(self, images: Images, rng: np.random.Generator) -> Images:
        for transform in self.transforms:
            images = transform(images, rng)
        return images


@dataclass(frozen=True)
class EachPicture(Transform):
    """A function of one grey picture, such as those of ``imaging.damage``, for whole batches.

    Attributes:
        function: ``function(picture, rng) -> picture`` for (h, w) in 0..1; called for every
            channel of every picture.
    """

    function: Step

    def _vary(self, images: Images, rng: np.random.Generator) -> Images:
        planes = np.moveaxis(images, -1, 1)  # (n, c, h, w)
        varied = [[self.function(plane, rng) for plane in picture] for picture in planes]
        return np.moveaxis(np.array(varied, images.dtype), 1, -1)


def per_picture(numbers: NDArray[Any], like: Images) -> Images:
    """(n,) -> (n, 1, 1, 1) in the images' dtype."""
    return numbers.reshape(-1, 1, 1, 1).astype(like.dtype)


def _to_unit(images: Images) -> Images:
    """Floats in 0..1: a new array."""
    if images.dtype.kind == "b":
        return images.astype(np.float32)
    if images.dtype.kind in "iu":
        wide = np.float32 if images.dtype.itemsize <= 2 else np.float64
        scaled: Images = images.astype(wide)
        scaled /= np.iinfo(images.dtype).max
        return scaled
    if images.size and not -_OVERSHOOT <= images.min() <= images.max() <= 1 + _OVERSHOOT:
        raise ValueError(
            "images must be floats in 0..1, or whole numbers. "
            f"Received: values {images.min():g}..{images.max():g}"
        )
    return images.astype(np.promote_types(images.dtype, np.float32))


def _from_unit(values: Images, dtype: np.dtype[Any]) -> Images:
    if dtype.kind == "b":
        return values > 0.5
    if dtype.kind in "iu":
        values = np.rint(values * np.iinfo(dtype).max)
    converted: Images = values.astype(dtype)
    return converted
