"""New variants of pictures for training: Keras's generator, and transforms that it has not.

To read it: ``resample`` (pictures between their pixels), ``affine``, ``ranges``, ``tones`` and
``standardization`` (what Keras's generator does), ``generator``, ``flows`` and ``directory`` (its
batches); then ``compose``, ``warps`` and ``effects``.

Everything below is imported on first use: some of it needs SciPy.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tinymnist.augmentation.compose import Compose as Compose
    from tinymnist.augmentation.compose import EachPicture as EachPicture
    from tinymnist.augmentation.compose import Transform as Transform
    from tinymnist.augmentation.effects import Blur as Blur
    from tinymnist.augmentation.effects import Contrast as Contrast
    from tinymnist.augmentation.effects import Cutout as Cutout
    from tinymnist.augmentation.effects import Gamma as Gamma
    from tinymnist.augmentation.effects import Noise as Noise
    from tinymnist.augmentation.effects import StrokeWidth as StrokeWidth
    from tinymnist.augmentation.generator import ImageDataGenerator as ImageDataGenerator
    from tinymnist.augmentation.warps import Elastic as Elastic
    from tinymnist.augmentation.warps import Perspective as Perspective

_HOMES = {
    "Blur": "effects",
    "Compose": "compose",
    "Contrast": "effects",
    "Cutout": "effects",
    "EachPicture": "compose",
    "Elastic": "warps",
    "Gamma": "effects",
    "ImageDataGenerator": "generator",
    "Noise": "effects",
    "Perspective": "warps",
    "StrokeWidth": "effects",
    "Transform": "compose",
}

__all__ = sorted(_HOMES)  # noqa: PLE0605 a list it is


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"{__name__} has {sorted(_HOMES)}. Received: name={name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return list(__all__)
