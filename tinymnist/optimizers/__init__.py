"""Optimizers where Keras users look for them: ``from tinymnist.optimizers import Adam``."""

from tinymnist.nn.more_optimizers import Adadelta, Adagrad, Adamax, Lion, Nadam
from tinymnist.nn.more_optimizers import get_optimizer as get
from tinymnist.nn.optimizers import SGD, Adam, AdamW, Optimizer, RMSprop
from tinymnist.optimizers import schedules

__all__ = ["SGD", "Adadelta", "Adagrad", "Adam", "AdamW", "Adamax", "Lion", "Nadam", "Optimizer"]
__all__ += ["RMSprop", "get", "schedules"]
