"""Keras: every layer's output, recorded in each layer's ``call``, nested models included."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from tinymnist.comparison.outputs import INPUT_KIND, Output, channels_last, kind_of
from tinymnist.errors import InputError
from tinymnist.nn.arrays import Array

PACKAGES = "keras"


def check_installed() -> None:
    """Raise ImportError if Keras is missing."""
    import keras  # noqa: F401


def run(model: Any, x: Array, *, training: bool = False) -> list[Output]:
    """Run a Keras model.

    Args:
        model: any model of Keras 3, built.
        x: (n, h, w, c) or (n, features); reshaped to the model's input shape.
        training: passed on to the model.

    Raises:
        InputError: when the model's input shape holds another number of values.
    """
    first = channels_first(model)
    with recording(model) as found:
        model(shaped(model, x, first), training=training)
    outputs = [Output("input", INPUT_KIND, np.asarray(x, np.float32))]
    for name, kind, tensor in found:
        values = np.array(tensor)
        outputs.append(Output(name, kind, channels_last(values) if first else values))
    return outputs


def channels_first(model: Any) -> bool:
    """Whether pictures are (n, c, h, w) in a model."""
    layers = model._flatten_layers(include_self=False)
    return any(getattr(layer, "data_format", None) == "channels_first" for layer in layers)


def shaped(model: Any, x: Array, first: bool) -> Array:
    """Examples in the model's input shape, if it is known; ``first``: channels first."""
    given = np.ascontiguousarray(x.transpose(0, 3, 1, 2) if first and x.ndim == 4 else x)
    stated = getattr(model, "input_shape", None)
    if not isinstance(stated, tuple) or None in stated[1:]:
        return given
    if int(np.prod(stated[1:])) != int(np.prod(given.shape[1:])):
        raise InputError(f"the Keras model takes {stated[1:]}; the examples are {x.shape[1:]} each")
    return given.reshape(len(x), *stated[1:])


@contextmanager
def recording(model: Any) -> Iterator[list[tuple[str, str, Any]]]:
    """Record (name, kind, tensor) of every layer without layers inside, whenever it is called."""
    found: list[tuple[str, str, Any]] = []
    layers = [
        layer
        for layer in model._flatten_layers(include_self=False)
        if not layer._layers and type(layer).__name__ != "InputLayer"
    ]
    for layer in layers:
        object.__setattr__(layer, "call", _recorder(layer, found))
    try:
        yield found
    finally:
        for layer in layers:
            object.__delattr__(layer, "call")


def _recorder(layer: Any, found: list[tuple[str, str, Any]]) -> Any:
    """The layer's ``call``, which also appends to ``found``."""
    original = layer.call
    activation = getattr(getattr(layer, "activation", None), "__name__", "linear")
    kind = kind_of(type(layer).__name__)
    if activation != "linear":
        kind = kind_of(activation) or activation

    def call(*arguments: Any, **settings: Any) -> Any:
        result = original(*arguments, **settings)
        if hasattr(result, "shape"):
            found.append((layer.name, kind, result))
        return result

    return call


def load(path: str) -> Any:
    """Open a .keras or .h5 file.

    Raises:
        InputError: when Keras cannot load it.
    """
    import keras

    try:
        return keras.models.load_model(path, compile=False)
    except Exception as error:  # Keras, h5py and backends raise errors of many kinds
        reason = " ".join(str(error).split())[:300]
        raise InputError(f"{path}: Keras {keras.__version__} cannot load it: {reason}") from None


def gradients(model: Any, x: Array, weights: Callable[[Any], Array]) -> list[Output]:
    """The gradient of the weighted sum of the outputs at every layer; needs Keras on TensorFlow.

    Args:
        model, x: as for :func:`run`.
        weights: shape of the outputs -> the weights in the sum.

    Raises:
        InputError: when Keras runs on another backend.
    """
    import keras

    if keras.backend.backend() != "tensorflow":
        raise InputError(
            "gradients of Keras need TensorFlow; set KERAS_BACKEND=tensorflow. "
            f"Received: backend={keras.backend.backend()!r}"
        )
    import tensorflow as tf

    first = channels_first(model)
    given = tf.convert_to_tensor(shaped(model, np.asarray(x, np.float32), first))
    with tf.GradientTape(persistent=True) as tape, recording(model) as found:
        tape.watch(given)
        last = model(given, training=False)
        total = tf.reduce_sum(last * tf.cast(weights(last.shape), last.dtype))
    outputs = []
    for name, kind, tensor in [("input", INPUT_KIND, given), *found]:
        gradient = tape.gradient(total, tensor)
        if gradient is not None:
            values = np.array(gradient)
            values = values.reshape(x.shape) if kind == INPUT_KIND else values
            outputs.append(Output(name, kind, channels_last(values) if first else values))
    return outputs
