"""Optimizers where Keras users look for them: ``from tinymnist.optimizers import Adam``."""

import sys

from tinymnist.nn.more_optimizers import Adadelta, Adagrad, Adamax, Lion, Nadam
from tinymnist.nn.more_optimizers import get_optimizer as get
from tinymnist.nn.optimizers import SGD, Adam, AdamW, Optimizer, RMSprop
from tinymnist.optimizers import schedules

legacy = sys.modules[__name__]
"""``optimizers.legacy.Adam``, as in Keras 2.11 to 2.15, is the same."""
__all__ = ["SGD", "Adadelta", "Adagrad", "Adam", "AdamW", "Adamax", "Lion", "Nadam", "Optimizer"]
__all__ += ["RMSprop", "get", "schedules"]
