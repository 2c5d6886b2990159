"""Transforms of whole batches, each applied with a probability, one after another.

A transform is anything called as ``transform(images, rng)`` that returns new images; both
``fit(..., augment=transform)`` and :class:`Compose` take it.
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
"""(n, h, w, c): floats in 0..1, or integers over the whole range of their dtype."""

Limits: TypeAlias = Mapping[str, tuple[float, float]]
Step: TypeAlias = Callable[[Images, np.random.Generator], Images]

_OVERSHOOT = 1e-3
"""How far outside of 0..1 values may be, as interpolation elsewhere may overshoot."""


@dataclass(frozen=True)
class Transform(ABC):
    """The base of all transforms.

    Shape, dtype and range of the images are kept, and the input is not modified. The same
    generator state always gives the same result.

    Attributes:
        probability: of each image to be transformed; the others are copied.

    Raises:
        ValueError: for a setting outside of its :attr:`limits`.
    """

    limits: ClassVar[Limits] = {}
    """The lowest and the highest value of each setting, by name."""

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
        """Draw a variant of every image.

        Args:
            images: (n, h, w, c), light ink on a dark background.
            rng: the source of randomness.

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
        """Variants of images (n, h, w, c), n > 0, floats in 0..1; the result may leave 0..1."""


@dataclass(frozen=True)
class Compose(Transform):
    """Several transforms, one after another: ``Compose([Blur(probability=0.2), Noise()])``.

    Attributes:
        transforms: anything called as ``transform(images, rng)``.
        probability: of an image to go through all of them.
    """

    transforms: Sequence[Step]

    def _vary(self, images: Images, rng: np.random.Generator) -> Images:
        for transform in self.transforms:
            images = transform(images, rng)
        return images


@dataclass(frozen=True)
class EachPicture(Transform):
    """Applies a function of one grey image, such as those in :mod:`.damage`, to whole batches.

    Attributes:
        function: ``function(plane, rng) -> plane`` for (h, w) in 0..1; called for every channel
            of every image.
    """

    function: Step

    def _vary(self, images: Images, rng: np.random.Generator) -> Images:
        planes = np.moveaxis(images, -1, 1)  # (n, c, h, w)
        varied = [[self.function(plane, rng) for plane in image] for image in planes]
        return np.moveaxis(np.array(varied, images.dtype), 1, -1)


def per_image(numbers: NDArray[Any], like: Images) -> Images:
    """(n,) -> (n, 1, 1, 1) in the images' dtype."""
    return numbers.reshape(-1, 1, 1, 1).astype(like.dtype)


def _to_unit(images: Images) -> Images:
    """Convert to floats in 0..1: a new array."""
    if images.dtype.kind == "b":
        return images.astype(np.float32)
    if images.dtype.kind in "iu":
        wide = np.float32 if images.dtype.itemsize <= 2 else np.float64
        scaled: Images = images.astype(wide)
        scaled /= np.iinfo(images.dtype).max
        return scaled
    if images.size and not -_OVERSHOOT <= images.min() <= images.max() <= 1 + _OVERSHOOT:
        raise ValueError(
            "images must be floats in 0..1, or integers. "
            f"Received: values {images.min():g}..{images.max():g}"
        )
    return images.astype(np.promote_types(images.dtype, np.float32))


def _from_unit(values: Images, dtype: np.dtype[Any]) -> Images:
    """Convert floats in 0..1 back to ``dtype``."""
    if dtype.kind == "b":
        return values > 0.5
    if dtype.kind in "iu":
        values = np.rint(values * np.iinfo(dtype).max)
    converted: Images = values.astype(dtype)
    return converted
