"""Losses where Keras users look for them: ``from tinymnist.losses import CategoricalCrossentropy``."""

from tinymnist.nn.losses import CategoricalCrossentropy, SparseCategoricalCrossentropy

__all__ = ["CategoricalCrossentropy", "SparseCategoricalCrossentropy"]
