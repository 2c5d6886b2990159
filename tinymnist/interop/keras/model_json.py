"""Keras's ``to_json`` and ``model_from_json``: a model's layers without their weights."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from tinymnist import limits
from tinymnist.errors import InputError
from tinymnist.interop.keras.config import (
    LayerConfig,
    ModelConfig,
    input_shape,
    model_config,
    parse,
)
from tinymnist.interop.keras.exporting import keras_layers
from tinymnist.interop.keras.writing import model_json
from tinymnist.nn.graph import Input
from tinymnist.nn.layers import LAYERS
from tinymnist.nn.layers.base import Tensor
from tinymnist.nn.layers.keras_words import known_words
from tinymnist.nn.metadata import check_size
from tinymnist.nn.model import Model
from tinymnist.nn.sequential import Sequential

_PLACE = "the description"


def to_json(model: Sequential) -> str:
    """Describe a model in Keras's JSON.

    Raises:
        InputError: when Keras lacks a counterpart of a layer.
    """
    return json.dumps(model_json(model, keras_layers(model)))


def from_json(text: str) -> Sequential:
    """Make a model, with new weights, from the JSON of any version of Keras.

    Raises:
        InputError: when it is damaged, or describes a layer or setting that is not supported.
    """
    return from_config(parse(text, _PLACE))


def from_config(config: Mapping[str, Any]) -> Sequential:
    """Make a model from the parsed JSON; see :func:`from_json`."""
    with limits.opening(_PLACE, "a model"):
        model = _made(model_config(config, _PLACE))
        check_size(model, _PLACE)
        return model


def _made(config: ModelConfig) -> Sequential:
    start = Input(input_shape(config, _PLACE))
    tensors: dict[str, Tensor] = {}
    for layer in config.layers:
        sources = [tensors[name] for name, _ in (layer.calls or [[]])[0]] or [start]
        if layer.kind == "InputLayer":
            tensors[layer.name] = start
        elif layer.model is not None:
            tensors[layer.name] = _made(layer.model)(sources[0])
        else:
            made = _layer(layer)
            numbers = sum(map(math.prod, made.weight_shapes(*(s.shape for s in sources)).values()))
            limits.charge(4 * numbers, f"the weights of {layer.name} in {_PLACE}")
            tensors[layer.name] = made(sources if len(sources) > 1 else sources[0])
    model = Model(start, tensors[config.outputs[0][0]], name=config.name)
    if model.wiring:
        return model
    return Sequential(model.layers, input_shape=model.input_shape, name=config.name)


def _layer(config: LayerConfig) -> Any:
    if config.kind not in LAYERS:
        raise InputError(f"{_PLACE} has a layer {config.name!r} of the unknown kind {config.kind}")
    kind = LAYERS[config.kind]
    known = known_words(kind)
    settings = {word: value for word, value in config.settings.items() if word in known}
    return kind(**{**settings, "name": config.name})
