"""Optimizers where Keras users look for them: ``from tinymnist.optimizers import Adam``."""

from tinymnist.nn import schedules
from tinymnist.nn.optimizers import SGD, Adam, AdamW, Optimizer, RMSprop

__all__ = ["SGD", "Adam", "AdamW", "Optimizer", "RMSprop", "schedules"]
