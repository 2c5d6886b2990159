"""What a layer does beside its weights: the activation, and how windows are pooled."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tinymnist.compare.causes.base import (
    ACTIVATION,
    POOLING,
    Experiments,
    Scene,
    Variant,
    scopes,
)
from tinymnist.compare.rerun import changed
from tinymnist.nn.layers import (
    ACTIVATIONS,
    ELU,
    GELU,
    Activation,
    AveragePooling2D,
    Layer,
    LeakyReLU,
    MaxPooling2D,
    ReLU,
)


def activations(scene: Scene) -> Experiments:
    """Every other activation, where there is one."""
    layers = [one for one in scene.trial.model.layers if _word(one) not in ("", "softmax")]
    for where, chosen in scopes(layers, scene.suspects):
        for name, twins in _swapped(chosen):
            change = f"the activation of {where} {name}"
            yield Variant(ACTIVATION, change, scene.trial.with_layers(twins))


def _word(layer: Layer) -> str:
    """A layer's activation; "" where it has none of its own."""
    if isinstance(layer, (ReLU, LeakyReLU, ELU, GELU)):
        return type(layer).__name__.lower()
    return getattr(layer, "activation", "")


def _swapped(layers: list[Layer]) -> Iterator[tuple[str, dict[str, Layer]]]:
    for word in ACTIVATIONS:
        if word in ("softmax", "log_softmax"):
            continue
        twins: dict[str, Layer] = {}
        for layer in layers:
            if hasattr(layer, "activation"):
                twins[layer.name] = changed(layer, activation=word)
            else:
                twins[layer.name] = Activation(word, name=layer.name)
        yield word, twins
    alone = [layer for layer in layers if not layer.parameters]
    for name, make in (
        ("leaky_relu with the slope 0.01", lambda n: LeakyReLU(0.01, name=n)),
        ("leaky_relu with the slope 0.3", lambda n: LeakyReLU(0.3, name=n)),
        ("gelu by tanh", lambda n: GELU(approximate=True, name=n)),
    ):
        if alone:
            yield name, {layer.name: make(layer.name) for layer in alone}


def poolings(scene: Scene) -> Experiments:
    """Padded pixels counted in the mean or not; maximum in place of mean, and back."""
    kinds = (AveragePooling2D, MaxPooling2D)
    layers: list[Layer] = [one for one in scene.trial.model.layers if isinstance(one, kinds)]
    for where, chosen in scopes(layers, scene.suspects):
        counted: dict[str, Layer] = {}
        other: dict[str, Layer] = {}
        for layer in chosen:
            if isinstance(layer, AveragePooling2D):
                twin = changed(layer, count_include_pad=not layer.count_include_pad)
                counted[layer.name] = twin
                other[layer.name] = MaxPooling2D(**_window(layer))
            elif isinstance(layer, MaxPooling2D):
                other[layer.name] = AveragePooling2D(**_window(layer))
        if counted:
            change = f"padded pixels in the mean of {where} counted the other way"
            yield Variant(POOLING, change, scene.trial.with_layers(counted))
        change = f"maximum and mean in {where} exchanged"
        yield Variant(POOLING, change, scene.trial.with_layers(other))


def _window(layer: AveragePooling2D | MaxPooling2D) -> dict[str, Any]:
    return {name: getattr(layer, name) for name in ("pool_size", "strides", "padding", "name")}
