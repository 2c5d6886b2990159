"""A model in JSON: what each layer is, where its windows lie, and its arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinymnist.errors import InputError
from tinymnist.interop.formats import provenance
from tinymnist.nn.layers.base import Layer
from tinymnist.reader import Reader
from tinymnist.web.packing import MAX_NUMBERS, pack


def describe(reader: Reader) -> dict[str, Any]:
    """Layers with settings, shapes, inputs and multiply-adds; not their arrays."""
    model = reader.model
    return {
        "name": model.name,
        "source": provenance(model.metadata),
        "class_names": list(reader.class_names),
        "preprocessing": reader.preprocessing,
        "input_shape": list(model.input_shape),
        "parameters": model.count_params(),
        "layers": [_layer(reader, layer) for layer in model.layers],
    }


def _layer(reader: Reader, layer: Layer) -> dict[str, Any]:
    model = reader.model
    sources = model.sources[layer.name]
    shapes = [model.shapes[source] for source in sources]
    windows = getattr(layer, "windows", None)
    groups = getattr(layer, "groups_of", None)
    found = windows(shapes[0])._asdict() if windows else None
    return {
        "name": layer.name,
        "class": type(layer).__name__,
        "config": {k: v for k, v in layer.config().items() if k not in ("class", "name")},
        "sources": list(sources),
        "shape": list(model.shapes[layer.name]),
        "windows": found,
        "groups": groups(shapes[0][-1]) if groups else 1,
        "multiply_adds": layer.multiply_adds(*shapes),
        "arrays": {name: list(array.shape) for name, array in layer.weights.items()},
    }


def weights_of(reader: Reader, layer: str) -> dict[str, Any]:
    """The arrays of one layer, packed.

    Raises:
        InputError: when there is no such layer, or its arrays are too large for a page.
    """
    if layer not in reader.model.sources:
        known = ", ".join(reader.model.sources)
        raise InputError(f"layer must be one of {known}; received {layer!r:.80}")
    arrays = reader.model.get_layer(layer).weights
    if sum(array.size for array in arrays.values()) > MAX_NUMBERS:
        raise InputError(f"{layer} holds more than {MAX_NUMBERS:,} numbers, too many for a page")
    return {name: pack(array) for name, array in arrays.items()}


def maps_of(outputs: dict[str, Any], limit: int = MAX_NUMBERS) -> dict[str, Any]:
    """The first example's output of every layer, packed; the input is called "input".

    An output that would exceed the limit is left out.
    """
    packed: dict[str, Any] = {}
    for name, output in outputs.items():
        limit -= output[0].size
        if limit >= 0:
            packed[name] = pack(np.asarray(output[0]))
    return packed
