"""Keras: every layer's output, recorded in each layer's ``call``, nested models included.

The backend may be TensorFlow, PyTorch or JAX; only gradients need to know which.
"""

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
    from keras import ops

    first = _channels_first(model)
    for name, kind, tensor in found:
        values = np.array(ops.convert_to_numpy(tensor))
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


_Change = Callable[[int, Any], Any]
"""What becomes of the output with a number in the order of execution."""


@contextmanager
def _recording(model: Any, change: _Change | None = None) -> Iterator[list[_Recorded]]:
    """Record every layer without layers inside, whenever it is called; and change its output."""
    found: list[_Recorded] = []
    layers = [
        layer
        for layer in _layers(model)
        if not layer._layers and type(layer).__name__ != "InputLayer"
    ]
    for layer in layers:
        object.__setattr__(layer, "call", _recorder(layer, found, change))
    try:
        yield found
    finally:
        for layer in layers:
            object.__delattr__(layer, "call")


def _recorder(layer: Any, found: list[_Recorded], change: _Change | None) -> Any:
    """The layer's ``call``, which also appends to ``found``."""
    original, kind = layer.call, kind_of(type(layer).__name__)
    activation = getattr(getattr(layer, "activation", None), "__name__", "linear")
    if activation != "linear":
        kind = kind_of(activation) or activation

    def call(*arguments: Any, **settings: Any) -> Any:
        result = original(*arguments, **settings)
        if hasattr(result, "shape"):
            result = result if change is None else change(len(found), result)
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
    """The gradient of the weighted sum of the outputs at every layer."""
    import keras

    by_backend = {"tensorflow": _by_tensorflow, "torch": _by_torch, "jax": _by_jax}
    backend = keras.backend.backend()
    if backend not in by_backend:
        raise InputError(
            f"gradients of Keras need one of the backends {', '.join(by_backend)}; set "
            f"KERAS_BACKEND. Received: backend={backend!r}"
        )
    slopes = by_backend[backend](model, _shaped(model, np.asarray(x, np.float32)), weights)
    outputs = _in_our_layout(model, (slope for slope in slopes if slope[2] is not None))
    return [
        replace(one, values=one.values.reshape(x.shape)) if one.is_input else one for one in outputs
    ]


def _by_tensorflow(model: Any, x: Array, weights: Callable[[Any], Array]) -> list[_Recorded]:
    import tensorflow as tf

    given = tf.convert_to_tensor(x)
    with tf.GradientTape(persistent=True) as tape, _recording(model) as found:
        tape.watch(given)
        last = model(given, training=False)
        total = tf.reduce_sum(last * tf.cast(weights(last.shape), last.dtype))
    tensors = [("input", INPUT_KIND, given), *found]
    return [(name, kind, tape.gradient(total, tensor)) for name, kind, tensor in tensors]


def _by_torch(model: Any, x: Array, weights: Callable[[Any], Array]) -> list[_Recorded]:
    import torch
    from keras import ops

    given = ops.convert_to_tensor(x).requires_grad_()
    with _recording(model) as found:
        last = model(given, training=False)
    tensors = [("input", INPUT_KIND, given), *found]
    total = (last * torch.as_tensor(weights(last.shape)).to(last)).sum()
    slopes = torch.autograd.grad(total, [tensor for *_, tensor in tensors], allow_unused=True)
    return [(name, kind, s) for (name, kind, _), s in zip(tensors, slopes, strict=True)]


def _by_jax(model: Any, x: Array, weights: Callable[[Any], Array]) -> list[_Recorded]:
    """JAX differentiates by arguments: add zeros to every output, and differentiate by these."""
    import jax

    with _recording(model) as found:
        model(x, training=False)

    def total(added: list[Any]) -> Any:
        with _recording(model, lambda number, tensor: tensor + added[number + 1]):
            last = model(x + added[0], training=False)
        return (last * weights(last.shape)).sum()

    tensors = [("input", INPUT_KIND, x), *found]
    slopes = jax.grad(total)([jax.numpy.zeros_like(tensor) for *_, tensor in tensors])
    return [(name, kind, s) for (name, kind, _), s in zip(tensors, slopes, strict=True)]
