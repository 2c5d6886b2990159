"""Keras: every layer's output, recorded in each layer's ``call``, nested models included."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np

from tinymnist.comparison.outputs import INPUT_KIND, Output, channels_last, kind_of
from tinymnist.errors import InputError
from tinymnist.nn.arrays import Array

_Recorded = tuple[str, str, Any]
"""Name, kind and tensor."""


def run(model: Any, x: Array) -> list[Output]:
    """Run a built model of Keras 3 on examples, reshaped to its input shape."""
    with _recording(model) as found:
        model(_shaped(model, x), training=False)
    return [Output("input", INPUT_KIND, np.asarray(x, np.float32)), *_in_our_layout(model, found)]


def _layers(model: Any) -> list[Any]:
    return list(model._flatten_layers(include_self=False))


def _channels_first(model: Any) -> bool:
    return any(getattr(one, "data_format", None) == "channels_first" for one in _layers(model))


def _in_our_layout(model: Any, found: Iterable[_Recorded]) -> Iterator[Output]:
    """Pictures channels last."""
    first = _channels_first(model)
    for name, kind, tensor in found:
        values = np.array(tensor)
        yield Output(name, kind, channels_last(values) if first else values)


def _shaped(model: Any, x: Array) -> Array:
    """Examples in the model's input shape, if it is known."""
    turned = x.ndim == 4 and _channels_first(model)
    given = np.ascontiguousarray(x.transpose(0, 3, 1, 2) if turned else x)
    stated = getattr(model, "input_shape", None)
    if not isinstance(stated, tuple) or None in stated[1:]:
        return given
    if int(np.prod(stated[1:])) != int(np.prod(given.shape[1:])):
        raise InputError(f"the Keras model takes {stated[1:]}; the examples are {x.shape[1:]} each")
    return given.reshape(len(x), *stated[1:])


@contextmanager
def _recording(model: Any) -> Iterator[list[_Recorded]]:
    """Record every layer without layers inside, whenever it is called."""
    found: list[_Recorded] = []
    layers = [
        layer
        for layer in _layers(model)
        if not layer._layers and type(layer).__name__ != "InputLayer"
    ]
    for layer in layers:
        object.__setattr__(layer, "call", _recorder(layer, found))
    try:
        yield found
    finally:
        for layer in layers:
            object.__delattr__(layer, "call")


def _recorder(layer: Any, found: list[_Recorded]) -> Any:
    """The layer's ``call``, which also appends to ``found``."""
    original, kind = layer.call, kind_of(type(layer).__name__)
    activation = getattr(getattr(layer, "activation", None), "__name__", "linear")
    if activation != "linear":
        kind = kind_of(activation) or activation

    def call(*arguments: Any, **settings: Any) -> Any:
        result = original(*arguments, **settings)
        if hasattr(result, "shape"):
            found.append((layer.name, kind, result))
        return result

    return call


def load(path: str) -> Any:
    """Open a .keras or .h5 file."""
    import keras

    try:
        return keras.models.load_model(path, compile=False)
    except Exception as error:  # Keras, h5py and backends raise errors of many kinds
        reason = " ".join(str(error).split())[:300]
        raise InputError(f"{path}: Keras {keras.__version__} cannot load it: {reason}") from None


def gradients(model: Any, x: Array, weights: Callable[[Any], Array]) -> list[Output]:
    """The gradient of the weighted sum of the outputs at every layer; needs Keras on TensorFlow."""
    import keras

    if keras.backend.backend() != "tensorflow":
        raise InputError(
            "gradients of Keras need TensorFlow; set KERAS_BACKEND=tensorflow. "
            f"Received: backend={keras.backend.backend()!r}"
        )
    import tensorflow as tf

    given = tf.convert_to_tensor(_shaped(model, np.asarray(x, np.float32)))
    with tf.GradientTape(persistent=True) as tape, _recording(model) as found:
        tape.watch(given)
        last = model(given, training=False)
        total = tf.reduce_sum(last * tf.cast(weights(last.shape), last.dtype))
    tensors = [("input", INPUT_KIND, given), *found]
    slopes = ((name, kind, tape.gradient(total, tensor)) for name, kind, tensor in tensors)
    outputs = _in_our_layout(model, (slope for slope in slopes if slope[2] is not None))
    return [
        replace(one, values=one.values.reshape(x.shape)) if one.is_input else one for one in outputs
    ]
