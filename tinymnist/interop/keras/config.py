"""Keras's JSON of any generation becomes one description: layers, and the inputs of each.

The layers are a list (2.0, 2.1) or ``{"layers": [...]}``; the input shape is that of an InputLayer
or a setting of the first layer; nodes are ``[["name", 0, 0, {}]]`` (Keras 1 and 2) or tensors with
a ``keras_history`` (Keras 3); a layer may itself be a model.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from tinymnist.errors import InputError
from tinymnist.interop.keras.vocabulary import in_todays_words
from tinymnist.nn.arrays import Array, Shape

Source: TypeAlias = tuple[str, int]
"""One output: the layer's name, and which of its calls, counted from 0."""
MOST_JSON_LETTERS = 1 << 24
_MOST_LAYERS = 10_000
_MOST_NESTING = 20
MODELS = ("Sequential", "Functional")


@dataclass(eq=False)
class LayerConfig:
    """One layer as a file describes it, in today's words.

    Attributes:
        kind: its class.
        name: its name in the file, unique within its model.
        settings: its settings.
        calls: the inputs of each call of the layer.
        model: the description of a layer that is itself a model.
        arrays: its weights in Keras's order, once they have been found.
    """

    kind: str
    name: str
    settings: dict[str, Any]
    calls: list[list[Source]] = field(default_factory=list)
    model: ModelConfig | None = None
    arrays: list[Array] = field(default_factory=list)


@dataclass(eq=False)
class ModelConfig:
    """A model: its layers in the file's order, its inputs and its outputs.

    Attributes:
        layers: the layers, including InputLayers.
        inputs: names of layers.
        outputs: the outputs of layers that are the model's.
        input_shape: of one example, if it is given elsewhere than in an InputLayer.
    """

    name: str
    layers: list[LayerConfig]
    inputs: list[str]
    outputs: list[Source]
    input_shape: Shape | None = None

    def leaves(self) -> Iterator[LayerConfig]:
        """All layers except models, including those of inner models."""
        for layer in self.layers:
            if layer.model is None:
                yield layer
            else:
                yield from layer.model.leaves()


def parse(text: str, path: str) -> dict[str, Any]:
    """Read JSON that describes a model.

    Raises:
        InputError: when it is not a JSON object, or too large.
    """
    if len(text) > MOST_JSON_LETTERS:
        raise InputError(
            f"{path} has a configuration of {len(text):,} letters; expected at most "
            f"{MOST_JSON_LETTERS:,}"
        )
    try:
        config = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} has a damaged configuration: {error}") from None
    if not isinstance(config, dict):
        raise InputError(f"{path} has a configuration that is not an object")
    return config


def model_config(config: Mapping[str, Any], path: str, depth: int = 0) -> ModelConfig:
    """The model that Keras's JSON describes.

    Raises:
        InputError: when it has an unknown form, or a class of its author's own.
    """
    if depth > _MOST_NESTING:
        raise InputError(f"{path} nests models more than {_MOST_NESTING} deep")
    kind, inside = _kind_and_settings(config)
    if kind not in MODELS:
        raise InputError(
            f"{path} holds a model of the class {kind!r}, whose code is not in the file; expected "
            "a Sequential or Functional model: rebuild it as one of these in Keras, copy the "
            "weights with set_weights, and save that"
        )
    listed = inside if isinstance(inside, list) else inside.get("layers")
    if not isinstance(listed, list) or not listed or len(listed) > _MOST_LAYERS:
        raise InputError(f"{path} describes a model without a list of layers")
    layers = [_layer_config(entry, path, depth) for entry in listed]
    settings: Mapping[str, Any] = inside if isinstance(inside, dict) else {}
    name = str(settings.get("name", "model"))
    if kind == "Sequential":
        return _chain(name, layers, settings, path)
    _check_names(layers, path)
    return ModelConfig(
        name,
        layers,
        [layer for layer, _ in _ends(settings.get("input_layers"), path)],
        _ends(settings.get("output_layers"), path),
    )


def _kind_and_settings(config: Mapping[str, Any]) -> tuple[str, Any]:
    """Class and settings; Keras 0 wrote the class as ``name`` among the settings."""
    if "class_name" in config:
        kind, inside = str(config["class_name"]), config.get("config", {})
    else:
        kind, inside = str(config.get("name")), {k: v for k, v in config.items() if k != "name"}
    return ("Functional" if kind == "Model" else kind), inside


def _layer_config(entry: Any, path: str, depth: int) -> LayerConfig:
    if not isinstance(entry, dict):
        raise InputError(f"{path} describes a layer as {str(entry)[:40]!r}; expected an object")
    kind, inside = _kind_and_settings(entry)
    calls = [_sources(node, path) for node in entry.get("inbound_nodes") or ()]
    if kind in MODELS:
        model = model_config(entry, path, depth + 1)
        return LayerConfig(kind, str(entry.get("name") or model.name), {}, calls, model)
    kind, settings = in_todays_words(kind, _plain(inside) if isinstance(inside, dict) else {})
    # In Keras 0 "name" was the class, and layers had no names.
    named = entry if "class_name" in entry else {}
    name = str(settings.get("name") or named.get("name") or "")
    if isinstance(entry.get("build_config"), dict):
        settings.setdefault("_built_for", entry["build_config"].get("input_shape"))
    return LayerConfig(kind, name, settings, calls)


def _plain(value: Any) -> Any:
    """Tuples and arrays, which Keras writes as objects, as lists."""
    if isinstance(value, list):
        return [_plain(v) for v in value]
    if isinstance(value, dict):
        if value.get("class_name") == "__tuple__":
            return [_plain(v) for v in value.get("items", [])]
        if value.get("class_name") in ("__numpy__", "__tensor__", "__ndarray__"):
            inside = value.get("config")
            return _plain(inside.get("value") if isinstance(inside, dict) else value.get("value"))
        return {key: _plain(v) for key, v in value.items()}
    return value


def _sources(node: Any, path: str) -> list[Source]:
    """The inputs of one call."""
    if isinstance(node, dict):  # Keras 3
        found = list(_histories([node.get("args", []), node.get("kwargs", {})]))
        if found:
            return found
    elif isinstance(node, list) and node and all(isinstance(item, list) for item in node):
        arguments = [item[3] for item in node if len(item) > 3 and item[3]]
        if not list(_histories(arguments)) and all(_is_reference(item) for item in node):
            return [(item[0], item[1]) for item in node]
    elif _is_reference(node):
        return [(node[0], node[1])]
    raise InputError(f"{path} wires a layer in an unknown way: {str(node)[:80]}")


def _is_reference(item: Any) -> bool:
    """``["layer", 0, 0]``: a layer, which call of it, and which output of that: the only one."""
    return (
        isinstance(item, list)
        and len(item) >= 3
        and isinstance(item[0], str)
        and isinstance(item[1], int)
        and item[2] == 0
    )


def _histories(value: Any) -> Iterator[Source]:
    """The outputs that Keras 3's tensors in a call's arguments refer to."""
    if isinstance(value, dict):
        inside = value.get("config")
        if value.get("class_name") == "__keras_tensor__" and isinstance(inside, dict):
            history: Any = inside.get("keras_history")
            if not _is_reference(history):
                raise ValueError(f"a tensor without a history: {str(value)[:80]}")
            yield history[0], history[1]
        else:
            yield from _histories(list(value.values()))
    elif isinstance(value, list):
        for item in value:
            yield from _histories(item)


def _ends(listed: Any, path: str) -> list[Source]:
    """A model's inputs or outputs: ``["in", 0, 0]``, or a list of these."""
    if isinstance(listed, dict):
        listed = list(listed.values())
    if _is_reference(listed):
        return [(listed[0], listed[1])]
    if isinstance(listed, list) and listed and all(_is_reference(item) for item in listed):
        return [(item[0], item[1]) for item in listed]
    raise InputError(f"{path} describes a model without a beginning or an end")


def _check_names(layers: Sequence[LayerConfig], path: str) -> None:
    names = [layer.name for layer in layers]
    if len(set(names)) != len(names) or "" in names:
        raise InputError(f"{path} has two layers of one name, or one without a name")


def _chain(
    name: str, layers: list[LayerConfig], settings: Mapping[str, Any], path: str
) -> ModelConfig:
    """A Sequential model: each layer takes the output of the one before."""
    for number, layer in enumerate(layers):
        layer.name = layer.name or f"{layer.kind.lower()}_{number + 1}"
    _check_names(layers, path)
    for before, layer in itertools.pairwise(layers):
        layer.calls = [[(before.name, 0)]]
    layers[0].calls = []
    shape = _first_shape(layers[0]) or _without_batch(settings.get("build_input_shape"))
    return ModelConfig(name, layers, [layers[0].name], [(layers[-1].name, 0)], shape)


def _first_shape(first: LayerConfig) -> Shape | None:
    """The shape of an example, from the settings of the first layer."""
    if first.model is not None:
        inner = first.model
        head = next((la for la in inner.layers if la.name == inner.inputs[0]), inner.layers[0])
        return inner.input_shape or _first_shape(head)
    settings = first.settings
    for key in ("batch_input_shape", "batch_shape"):
        if (shape := _without_batch(settings.get(key))) is not None:
            return shape
    if isinstance(given := settings.get("input_shape"), list):
        return _without_batch([None, *given])
    if isinstance(features := settings.get("input_dim"), int):
        return (features,)
    return _without_batch(settings.get("_built_for"))


def _without_batch(shape: Any) -> Shape | None:
    """``[null, 28, 28, 1]`` -> (28, 28, 1). An unknown side is 28: these are digit readers."""
    if not isinstance(shape, list) or len(shape) < 2:
        return None
    sides = [28 if side is None else side for side in shape[1:]]
    return tuple(int(side) for side in sides)


def input_shape(model: ModelConfig, path: str) -> Shape:
    """The shape of one example of a model that has one input.

    Raises:
        InputError: when it has several inputs, or no shape is given.
    """
    if len(model.inputs) != 1:
        raise InputError(f"{path} takes several inputs, {model.inputs}; expected a model of one")
    first = next((layer for layer in model.layers if layer.name == model.inputs[0]), None)
    shape = model.input_shape or (None if first is None else _first_shape(first))
    if shape is None:
        raise InputError(
            f"{path} does not specify the shape of its input; expected an InputLayer or an "
            "input_shape: save a model that was built"
        )
    return shape
