"""A SavedModel folder: its layers if Keras described them, else its graph of operations.

Keras 2 wrote its layers as JSON: into ``keras_metadata.pb`` since TensorFlow 2.5, before that into
the graph of objects in ``saved_model.pb``. The variables lie in a checkpoint, whose own graph of
objects says which variable is the kernel of which layer. Formats: TensorFlow's
``saved_model.proto``, ``saved_object_graph.proto``, ``trackable_object_graph.proto``, and Keras's
``saved_metadata.proto``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tinymnist.errors import InputError
from tinymnist.files import read_bytes
from tinymnist.interop.keras.assembling import assemble, check_layers
from tinymnist.interop.keras.config import ModelConfig, model_config
from tinymnist.interop.keras.weights import has_arrays
from tinymnist.interop.tensorflow.bundle import OBJECT_GRAPH, Bundle
from tinymnist.interop.tensorflow.graph import translate
from tinymnist.interop.tensorflow.graphdef import Graph, from_protobuf, integers
from tinymnist.interop.wire import message, text_of
from tinymnist.nn.arrays import Array
from tinymnist.nn.sequential import Sequential

_MODELS = ("_tf_keras_sequential", "_tf_keras_network", "_tf_keras_model")
_IN_ORDER = (
    *("kernel", "depthwise_kernel", "pointwise_kernel", "recurrent_kernel", "bias", "gamma"),
    *("beta", "moving_mean", "moving_variance", "alpha", "mean", "variance", "count"),
)
"""The arrays of a layer in Keras's order."""


def rank(name: str) -> int:
    """The place of an array among a layer's, by the last part of its name."""
    name = name.rpartition("/")[2].partition(":")[0]
    return _IN_ORDER.index(name) if name in _IN_ORDER else len(_IN_ORDER)


_INSIDE = ("cell", "forward_layer", "backward_layer", "layer")
"""Names of the objects inside a layer that have its arrays."""


def read(folder: Path) -> Sequential:
    """Read a SavedModel.

    Raises:
        InputError: when the folder lacks a file, a file is damaged, or it computes something that
            no layer does.
        ValueError, KeyError, IndexError, TypeError: when the description makes no sense.
    """
    described = _described(folder)
    if described is None:
        return _read_graph(folder)
    try:
        model = model_config(described, str(folder))
        check_layers(model, str(folder))
    except InputError as refusal:  # code of the author's own: what it does is in the graph
        try:
            return _read_graph(folder)
        except InputError:
            raise refusal from None
    bundle = Bundle(folder / "variables" / "variables")
    _give(model, _Objects(bundle), 0, str(folder))
    result = assemble(model, str(folder), 2, theano=False, name=folder.stem)
    version = str(described.get("keras_version") or "2")
    source = f"Keras {version} (SavedModel), {folder.name}"
    result.metadata = {"preprocessing": {"recipe": "mnist"}, "source": source}
    return result


def _described(folder: Path) -> dict[str, Any] | None:
    """Class and settings of the model, or None if Keras did not write them."""
    beside = folder / "keras_metadata.pb"
    if beside.is_file():
        nodes = [message(node) for node in message(read_bytes(beside)).get(1, [])]
        found = [(text_of(node, 4), text_of(node, 5)) for node in nodes if not node.get(2, [0])[0]]
    else:
        graphs = message(read_bytes(folder / "saved_model.pb")).get(2, [])
        objects = message(message(graphs[0]).get(7, [b""])[0]).get(1, []) if graphs else []
        user = message(message(objects[0]).get(4, [b""])[0]) if objects else {}
        found = [(text_of(user, 1), text_of(user, 3))]
    for identifier, metadata in found:
        if identifier in _MODELS and metadata:
            described = json.loads(metadata)
            if isinstance(described, dict) and "config" in described:
                return described
    return None


def _read_graph(folder: Path) -> Sequential:
    """The model that the graph computes when it is served."""
    found = message(message(read_bytes(folder / "saved_model.pb"))[2][0])
    graph = from_protobuf(found.get(2, [b""])[-1])
    signatures = {text_of(m, 1): message(m[2][-1]) for m in map(message, found.get(5, []))}
    served = [signatures.get("serving_default", {}), *signatures.values()]
    outputs = next((one[2] for one in served if 1 in one and 2 in one), [])
    ends = [text_of(message(message(entry)[2][-1]), 1) for entry in outputs]
    if not ends:
        raise InputError(f"{folder} holds no function to be served, only its parts")
    variables = _Variables(folder, graph, found.get(7, [b""])[-1])
    return translate(graph, folder, ends, "TensorFlow (SavedModel)", variables)


class _Variables:
    """The values of a graph's variables, by the names of their nodes.

    TensorFlow 1 keeps them by these names. TensorFlow 2 lists for each function the objects that
    are its last arguments, and the checkpoint has the same objects.
    """

    def __init__(self, folder: Path, graph: Graph, objects: bytes) -> None:
        self._keys: dict[str, str] = {}
        self._bundle = Bundle(folder / "variables" / "variables")
        if OBJECT_GRAPH not in self._bundle.names:
            return
        kept = _Objects(self._bundle)
        functions = {
            text_of(m, 1): message(m[2][-1]) for m in map(message, message(objects).get(2, []))
        }
        for called, inputs in graph.calls:
            bound = integers(functions.get(called, {}).get(2))
            for result, number in zip(reversed(inputs), reversed(bound), strict=False):
                if key := kept.key(number):
                    self._keys[result.rpartition(":")[0]] = key

    def __call__(self, name: str) -> Array | None:
        """A value, or None if there is none."""
        key = self._keys.get(name, name)
        return self._bundle.array(key) if key in self._bundle.names else None


class _Objects:
    """The graph of objects in a checkpoint: children by name, and the variable of each leaf."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        nodes = [message(node) for node in message(bundle.text(OBJECT_GRAPH)).get(1, [])]
        self._children = [
            {text_of(child, 2): child.get(1, [0])[0] for child in map(message, node.get(1, []))}
            for node in nodes
        ]
        self._keys = [
            [text_of(attribute, 3) for attribute in map(message, node.get(2, []))] for node in nodes
        ]

    def children(self, node: int) -> dict[str, int]:
        """The objects below one, by name."""
        return self._children[node]

    def key(self, node: int) -> str | None:
        """The key of the variable that an object is, if it is one."""
        return self._keys[node][0] if self._keys[node] else None

    def arrays(self, node: int) -> list[Array]:
        """A layer's variables in Keras's order, those of its cells included."""
        children = self._children[node]
        inside = [children[name] for name in _INSIDE if name in children]
        own = [children[name] for name in _IN_ORDER if name in children]
        arrays = [self.bundle.array(key) for leaf in own for key in self._keys[leaf][:1]]
        return arrays + [array for part in inside for array in self.arrays(part)]


def _give(model: ModelConfig, objects: _Objects, node: int, path: str) -> None:
    """Give the layers with weights, counted as TensorFlow counts them, their arrays."""
    children = objects.children(node)
    for number, layer in enumerate(filter(has_arrays, model.layers)):
        place = children.get(f"layer_with_weights-{number}")
        if place is None:
            raise InputError(f"{path} holds no variables of the layer {layer.name!r}")
        if layer.model is not None:
            _give(layer.model, objects, place, path)
        else:
            layer.arrays = objects.arrays(place)
