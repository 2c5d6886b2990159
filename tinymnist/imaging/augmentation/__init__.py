"""New variants of pictures for training: Keras's generator, and transforms that it has not.

To read it: ``resample`` (pictures between their pixels), ``affine``, ``ranges``, ``tones`` and
``standardization`` (what Keras's generator does), ``generator``, ``flows`` and ``directory`` (its
batches).
"""

from __future__ import annotations

from tinymnist.imaging.augmentation.generator import ImageDataGenerator as ImageDataGenerator

__all__ = ["ImageDataGenerator"]
