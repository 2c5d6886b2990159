"""Keras's JSON of any generation becomes one description: layers, and the inputs of each.

The layers are a list (2.0, 2.1) or ``{"layers": [...]}``; the input shape is that of an InputLayer
or a setting of the first layer; nodes are ``[["name", 0, 0, {}]]`` (Keras 1 and 2) or tensors with
a ``keras_history`` (Keras 3); a layer may itself be a model.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from tinymnist.errors import InputError
from tinymnist.files import parse_json
from tinymnist.nn.arrays import Array, Shape
from tinymnist.nn.layers.keras_words import RENAMED

Source: TypeAlias = tuple[str, int]
"""One output: the layer's name, and which of its calls, counted from 0."""
_MOST_LAYERS = 10_000
_MOST_NESTING = 20
_MODELS = ("Sequential", "Functional")
_CLASSES = {
    **dict.fromkeys(("AtrousConvolution2D", "Convolution2D"), "Conv2D"),
    **dict.fromkeys(("Convolution2DTranspose", "Deconvolution2D"), "Conv2DTranspose"),
    **{f"BatchNormalizationV{version}": "BatchNormalization" for version in (1, 2)},
    "AvgPool2D": "AveragePooling2D",
    "GlobalAvgPool2D": "GlobalAveragePooling2D",
    "GlobalMaxPool2D": "GlobalMaxPooling2D",
    "MaxPool2D": "MaxPooling2D",
    "Model": "Functional",
    "SeparableConvolution2D": "SeparableConv2D",
    "SyncBatchNormalization": "BatchNormalization",
}
_SETTINGS = {**RENAMED, "atrous_rate": "dilation_rate", "dim_ordering": "data_format"}
_FORMATS = {"th": "channels_first", "tf": "channels_last"}
_MERGES = {"sum": "Add", "mul": "Multiply", "ave": "Average", "max": "Maximum",
           "concat": "Concatenate"}  # fmt: skip
"""The class for each mode of Keras 1's Merge layer."""


@dataclass(eq=False)
class LayerConfig:
    """One layer as a file describes it, in today's words.

    Attributes:
        kind: its class.
        name: its name in the file, unique within its model.
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
        layers: including InputLayers.
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


def parse(text: str | bytes, path: str) -> dict[str, Any]:
    """Read JSON that describes a model.

    Raises:
        InputError: when it is not a JSON object, or too large.
    """
    config = parse_json(text, f"the configuration of {path}")
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
    if kind not in _MODELS:
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
        for number, layer in enumerate(layers, 1):
            layer.name = layer.name or f"{layer.kind.lower()}_{number}"
    names = [layer.name for layer in layers]
    if len(set(names)) != len(names) or "" in names:
        raise InputError(f"{path} has two layers of one name, or one without a name")
    if kind == "Functional":
        inputs = [layer for layer, _ in _ends(settings.get("input_layers"), path)]
        return ModelConfig(name, layers, inputs, _ends(settings.get("output_layers"), path))
    layers[0].calls = []
    for before, layer in itertools.pairwise(layers):
        layer.calls = [[(before.name, 0)]]
    shape = _first_shape(layers[0]) or _without_batch(settings.get("build_input_shape"))
    return ModelConfig(name, layers, [names[0]], [(names[-1], 0)], shape)


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
    nodes = entry.get("inbound_nodes") or ()
    calls = [_sources(node, path) for node in nodes]
    if kind in _MODELS:
        model = model_config(entry, path, depth + 1)
        return LayerConfig(kind, str(entry.get("name") or model.name), {}, calls, model)
    kind, settings = _in_todays_words(kind, _plain(inside) if isinstance(inside, dict) else {})
    # In Keras 0 "name" was the class, and layers had no names.
    named = entry if "class_name" in entry else {}
    name = str(settings.get("name") or named.get("name") or "")
    if isinstance(entry.get("build_config"), dict):
        settings.setdefault("_built_for", entry["build_config"].get("input_shape"))
    if kind == "TFOpLambda":
        settings["_arguments"] = [_arguments(node) for node in nodes]
    return LayerConfig(kind, name, settings, calls)


def _in_todays_words(kind: str, settings: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """A layer's class and settings in the words of Keras 2 and 3."""
    if kind == "Merge" and settings.get("mode") in _MERGES:
        axis = settings.get("concat_axis", -1)
        return _MERGES[settings["mode"]], {"name": settings.get("name"), "axis": axis}
    renamed = {_SETTINGS.get(key, key): value for key, value in settings.items()}
    if "nb_row" in settings:
        renamed["kernel_size"] = [settings["nb_row"], settings["nb_col"]]
    if (old := renamed.get("data_format")) in _FORMATS:
        renamed["data_format"] = _FORMATS[old]
    return _CLASSES.get(kind, kind), renamed


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
    else:
        items = [item for item in node if isinstance(item, list)] if isinstance(node, list) else []
        found = [] if any(_histories([item[3:] for item in items])) else _references(node)
        others = [value for value in _arguments(node).values() if _is_reference(value)]
        found += [(value[0], value[1]) for value in others]
    if not found:
        raise InputError(f"{path} wires a layer in an unknown way: {str(node)[:80]}")
    return found


def _arguments(node: Any) -> dict[str, Any]:
    """What a function's call has beside its first input: ``["x", 0, 0, {"y": ...}]``."""
    match node:
        case [str(), int(), int(), dict() as arguments] | [
            [str(), int(), int(), dict() as arguments]
        ]:
            return arguments
    return {}


def _references(value: Any) -> list[Source]:
    """The outputs in ``["layer", 0, 0]``, or in a list of these; none in anything else."""
    items = value if isinstance(value, list) else []
    items = [items] if items and not isinstance(items[0], list) else items
    return [(item[0], item[1]) for item in items] if all(map(_is_reference, items)) else []


def _is_reference(item: Any) -> bool:
    """``["layer", 0, 0]``: a layer, which call of it, and which output of that: the only one."""
    match item:
        case [str(), int(), 0, *_]:
            return True
    return False


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
    """A model's inputs or outputs."""
    found = _references(list(listed.values()) if isinstance(listed, dict) else listed)
    if not found:
        raise InputError(f"{path} describes a model without a beginning or an end")
    return found


def _given_shape(model: ModelConfig) -> Shape | None:
    """The shape of an example, if the model or its first layer has it."""
    first = next((layer for layer in model.layers if layer.name == model.inputs[0]), None)
    return model.input_shape or (None if first is None else _first_shape(first))


def _first_shape(first: LayerConfig) -> Shape | None:
    if first.model is not None:
        return _given_shape(first.model)
    settings = first.settings
    for key in ("batch_input_shape", "batch_shape"):
        if shape := _without_batch(settings.get(key)):
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
    return tuple(28 if side is None else int(side) for side in shape[1:])


def input_shape(model: ModelConfig, path: str) -> Shape:
    """The shape of one example of a model that has one input.

    Raises:
        InputError: when it has several inputs, or no shape is given.
    """
    if len(model.inputs) != 1:
        raise InputError(f"{path} takes several inputs, {model.inputs}; expected a model of one")
    if (shape := _given_shape(model)) is None:
        advice = "expected an InputLayer or an input_shape: save a model that was built"
        raise InputError(f"{path} does not specify the shape of its input; {advice}")
    return shape
