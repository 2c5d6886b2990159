"""What Keras users look for in ``utils``: ``from tinymnist.utils import to_categorical``."""

from tinymnist.nn.losses import to_categorical

__all__ = ["to_categorical"]
