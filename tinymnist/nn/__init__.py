"""The network. It knows arrays, but neither pictures nor any files except its own weights.

A learner starts with ``plain_training``. The rest, from the bottom up, each importing only what
comes before it: ``arrays``, ``functional``, ``layers``, ``losses``, ``optimizers``,
``graph``, ``weights``, ``training``, ``sequential``, ``architectures``.

What users need can be imported from here: ``from tinymnist.nn import Sequential, Dense, Adam``.
Each name is loaded on first use, so that reading a digit does not load the training.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinymnist.lazy import lazy_names, upper_room

if TYPE_CHECKING:
    from tinymnist.nn.graph import Graph as Graph
    from tinymnist.nn.graph import Input as Input
    from tinymnist.nn.layers import *  # noqa: F403
    from tinymnist.nn.losses import CategoricalCrossentropy as CategoricalCrossentropy
    from tinymnist.nn.losses import SparseCategoricalCrossentropy as SparseCategoricalCrossentropy
    from tinymnist.nn.losses import to_categorical as to_categorical
    from tinymnist.nn.model import Model as Model
    from tinymnist.nn.more_optimizers import Adadelta as Adadelta
    from tinymnist.nn.more_optimizers import Adagrad as Adagrad
    from tinymnist.nn.more_optimizers import Adamax as Adamax
    from tinymnist.nn.more_optimizers import Lion as Lion
    from tinymnist.nn.more_optimizers import Nadam as Nadam
    from tinymnist.nn.optimizers import SGD as SGD
    from tinymnist.nn.optimizers import Adam as Adam
    from tinymnist.nn.optimizers import AdamW as AdamW
    from tinymnist.nn.optimizers import RMSprop as RMSprop
    from tinymnist.nn.sequential import Sequential as Sequential
    from tinymnist.nn.sequential import load_model as load_model
    from tinymnist.nn.training.callbacks import *  # noqa: F403

_NAMES = {
    "graph": "Graph Input",
    "layers": "Activation Add AveragePooling2D AvgPool2D BatchNormalization Concatenate Conv2D "
    "Conv2DTranspose Dense DepthwiseConv2D Dropout ELU Flatten GELU GRU GlobalAveragePooling2D "
    "GaussianNoise GlobalMaxPooling2D LSTM SimpleRNN SpatialDropout2D UpSampling2D "
    "Layer LayerNormalization LeakyReLU MaxPool2D MaxPooling2D Multiply Normalization PReLU "
    "Permute ReLU Rescaling Reshape Softmax ZeroPadding2D",
    "losses": "CategoricalCrossentropy SparseCategoricalCrossentropy to_categorical",
    "optimizers": "Adam AdamW RMSprop SGD",
    "more_optimizers": "Adadelta Adagrad Adamax Lion Nadam",
    "model": "Model",
    "sequential": "Sequential load_model",
    "training.callbacks": "CSVLogger Callback Checkpoint EarlyStopping LearningRateScheduler "
    "ModelCheckpoint ReduceLROnPlateau",
}
_ACTIVATIONS = ("relu", "softmax", "sigmoid", "tanh", "elu", "leaky_relu", "selu", "silu", "swish")


def _activation(name: str) -> Any:
    """Some activations, for ``Dense(10, tf.nn.softmax)``."""
    return getattr(upper_room("activations"), name)


__getattr__, __dir__ = lazy_names(__name__, _NAMES, others=dict.fromkeys(_ACTIVATIONS, _activation))
