"""Losses where Keras users look for them: ``tinymnist.losses.CategoricalCrossentropy``."""

from tinymnist.nn.losses import CategoricalCrossentropy, SparseCategoricalCrossentropy

__all__ = ["CategoricalCrossentropy", "SparseCategoricalCrossentropy"]
