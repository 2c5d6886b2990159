"""Random variants of images for training: Keras's generator, and transforms beyond it.

Reading order: ``resample`` (values between pixels, affine maps), ``ranges`` (what Keras's generator
draws), ``standardization``, ``flows`` and ``directory`` (batches), ``generator``; then ``compose``,
``effects`` (transforms of batches), ``distort`` (what the training of the shipped models adds).
"""

from tinymnist.augmentation.compose import Compose, EachPicture, Transform
from tinymnist.augmentation.effects import (
    Blur,
    Contrast,
    Cutout,
    Elastic,
    Gamma,
    Noise,
    Perspective,
    StrokeWidth,
)
from tinymnist.augmentation.generator import ImageDataGenerator

__all__ = [
    "Blur",
    "Compose",
    "Contrast",
    "Cutout",
    "EachPicture",
    "Elastic",
    "Gamma",
    "ImageDataGenerator",
    "Noise",
    "Perspective",
    "StrokeWidth",
    "Transform",
]
