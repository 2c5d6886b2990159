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

Step: TypeAlias = Callable[[Images, np.random.Generator], Images]

_OVERSHOOT = 1e-3  # how far outside of 0..1 values may be, as interpolation may overshoot


@dataclass(frozen=True)
class Transform(ABC):
    """The base of all transforms, which keep the shape, dtype and range of the images.

    A subclass states the limits of its settings: ``class Noise(Transform, strongest=(0, 1))``.

    Attributes:
        probability: of each image to be transformed; the others are copied.
    """

    limits: ClassVar[Mapping[str, tuple[float, float]]] = {}
    probability: float = field(default=1.0, kw_only=True)

    def __init_subclass__(cls, **limits: tuple[float, float]) -> None:
        cls.limits = limits or cls.limits

    def __post_init__(self) -> None:
        for name, (least, most) in {"probability": (0, 1), **self.limits}.items():
            value = getattr(self, name)
            if not least <= value <= most:
                rule = f"{name} must be in {least:g}..{most:g}"
                raise ValueError(f"{rule}. Received: {name}={value!r}")
        low, high = getattr(self, "low", 0), getattr(self, "high", math.inf)
        if low > high:
            raise ValueError(f"low must not be above high. Received: {low=}, {high=}")

    def __call__(self, images: Images, rng: np.random.Generator) -> Images:
        """Draw variants of images (n, h, w, c), light ink on a dark background: a new array.

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
    """Several transforms, one after another: ``Compose([Blur(probability=0.2), Noise()])``."""

    transforms: Sequence[Step]

    def _vary(self, images: Images, rng: np.random.Generator) -> Images:
        for transform in self.transforms:
            images = transform(images, rng)
        return images


@dataclass(frozen=True)
class EachPicture(Transform):
    """Applies a function of one grey image, such as those in :mod:`.distort`, to batches.

    Attributes:
        function: ``function(plane, rng) -> plane`` for each channel (h, w) in 0..1.
    """

    function: Step

    def _vary(self, images: Images, rng: np.random.Generator) -> Images:
        return map_planes(lambda plane, _: self.function(plane, rng), images)


def map_planes(function: Callable[[Images, int], Images], images: Images) -> Images:
    """Apply ``function(plane, number of the image)`` to each channel of images (n, h, w, c)."""
    planes = np.moveaxis(images, -1, 1)  # (n, c, h, w)
    varied = [[function(plane, i) for plane in image] for i, image in enumerate(planes)]
    return np.moveaxis(np.array(varied, images.dtype), 1, -1)


def per_image(numbers: NDArray[Any], like: Images) -> Images:
    """(n,) -> (n, 1, 1, 1) in the images' dtype."""
    return numbers.reshape(-1, 1, 1, 1).astype(like.dtype)


def _to_unit(images: Images) -> Images:
    """Convert to floats in 0..1: a new array."""
    if images.dtype.kind in "biu":
        scaled: Images = images.astype(np.float32 if images.dtype.itemsize <= 2 else np.float64)
        scaled /= _largest(images.dtype)
        return scaled
    if images.size and not -_OVERSHOOT <= images.min() <= images.max() <= 1 + _OVERSHOOT:
        found = f"values {images.min():g}..{images.max():g}"
        raise ValueError(f"images must be floats in 0..1, or integers. Received: {found}")
    return images.astype(np.promote_types(images.dtype, np.float32))


def _from_unit(values: Images, dtype: np.dtype[Any]) -> Images:
    """Convert floats in 0..1 back to ``dtype``."""
    if dtype.kind in "biu":
        values = np.rint(values * _largest(dtype))
    converted: Images = values.astype(dtype)
    return converted


def _largest(dtype: np.dtype[Any]) -> int:
    return 1 if dtype.kind == "b" else int(np.iinfo(dtype).max)
