"""Layers where Keras users look for them: ``from tinymnist.layers import Conv2D, Dense``."""

from tinymnist.nn.graph import Input as Input  # noqa: PLC0414
from tinymnist.nn.layers import *  # noqa: F403
