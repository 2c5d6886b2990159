"""Keras: every layer's output, by listening to each layer's ``call``, nested models included."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from tinymnist.errors import InputError
from tinymnist.interop.compare.layouts import channels_last
from tinymnist.interop.compare.outputs import INPUT_KIND, Output, kind_of
from tinymnist.nn.arrays import Array


def run(model: Any, x: Array, *, training: bool = False) -> list[Output]:
    """Run a Keras model.

    Args:
        model: any model of Keras 3, built.
        x: (n, h, w, c) or (n, features); brought to the shape that the model states.
        training: passed on to the model.

    Raises:
        InputError: when the model takes other examples.
    """
    first = channels_first(model)
    with listening(model) as found:
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
    """Examples in the shape that a model states."""
    given = np.ascontiguousarray(x.transpose(0, 3, 1, 2) if first and x.ndim == 4 else x)
    stated = getattr(model, "input_shape", None)
    if not isinstance(stated, tuple) or None in stated[1:]:
        return given
    if int(np.prod(stated[1:])) != int(np.prod(given.shape[1:])):
        raise InputError(f"the Keras model takes {stated[1:]}; the examples are {x.shape[1:]} each")
    return given.reshape(len(x), *stated[1:])


@contextmanager
def listening(model: Any) -> Iterator[list[tuple[str, str, Any]]]:
    """Collect (name, kind, tensor) of every layer that has no layers inside, as it is called."""
    found: list[tuple[str, str, Any]] = []
    layers = [
        layer
        for layer in model._flatten_layers(include_self=False)
        if not layer._layers and type(layer).__name__ != "InputLayer"
    ]
    for layer in layers:
        object.__setattr__(layer, "call", _told(layer, found))
    try:
        yield found
    finally:
        for layer in layers:
            object.__delattr__(layer, "call")


def _told(layer: Any, found: list[tuple[str, str, Any]]) -> Any:
    original = layer.call
    word = getattr(getattr(layer, "activation", None), "__name__", "linear")
    kind = kind_of(type(layer).__name__) if word == "linear" else kind_of(word) or word

    def call(*arguments: Any, **settings: Any) -> Any:
        result = original(*arguments, **settings)
        if hasattr(result, "shape"):
            found.append((layer.name, kind, result))
        return result

    return call


def load(path: str) -> Any:
    """Open a .keras or .h5 file.

    Raises:
        InputError: when Keras refuses it.
    """
    import keras

    try:
        return keras.models.load_model(path, compile=False)
    except Exception as error:  # whatever Keras, h5py or the backend find wrong
        reason = " ".join(str(error).split())[:300]
        raise InputError(f"{path}: Keras {keras.__version__} refuses it: {reason}") from None
