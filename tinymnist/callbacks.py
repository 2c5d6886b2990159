"""Callbacks where Keras users look for them: ``from tinymnist.callbacks import EarlyStopping``."""

from tinymnist.nn.training.callbacks import *  # noqa: F403
