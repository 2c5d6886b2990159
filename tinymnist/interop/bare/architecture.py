"""A description of a model's layers, in a JSON file for instance, for weights without any.

The form is tinymnist's own::

    {"input_shape": [28, 28, 1],
     "layers": [
       {"class": "Conv2D", "filters": 32, "kernel_size": 3, "activation": "relu"},
       {"class": "MaxPooling2D"},
       {"class": "Flatten"},
       {"class": "Dense", "units": 10, "tensors": "classifier.0"}]}

Every layer has the name of its class and Keras's settings; see :data:`tinymnist.nn.layers.LAYERS`.
Layers take the blocks of weights in the file's order, unless ``"tensors"`` names one. ``"wiring"``,
``{"sum": ["a", "b"]}``, lists the inputs of layers that do not simply follow the one before.
Normalizations have PyTorch's epsilon, 1e-5, by default.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

from tinymnist.errors import InputError
from tinymnist.files import parse_json, read_bytes
from tinymnist.nn.architectures import ARCHITECTURES
from tinymnist.nn.arrays import Shape
from tinymnist.nn.layers import LAYERS

TENSORS = "tensors"
"""The key that names the block of a layer; layers without it take blocks in order."""
_REQUIRED = {"input_shape", "layers"}
_DESCRIPTION_KEYS = _REQUIRED | {"wiring"}
_MOST_LAYERS = 1000


@dataclass(frozen=True)
class Description:
    """Layers without weights.

    Attributes:
        input_shape: of one example, (28, 28, 1) for instance.
        layers: settings as :meth:`Layer.config` gives them; those with weights may name their
            block under ``"tensors"``.
        wiring: as for :class:`~tinymnist.nn.graph.Graph`.
    """

    input_shape: Shape
    layers: Sequence[Mapping[str, Any]]
    wiring: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The form that ``--architecture`` reads."""
        parts = {"input_shape": list(self.input_shape), "layers": [dict(c) for c in self.layers]}
        wiring = {name: list(sources) for name, sources in self.wiring.items()}
        return parts | ({"wiring": wiring} if wiring else {})


def read_description(spec: str | PathLike[str]) -> Description:
    """Read a description from a JSON file, or by the name of a shipped architecture.

    Raises:
        InputError: when there is no such file, or it does not have the form above.
    """
    if (shipped := ARCHITECTURES.get(str(spec))) is not None:
        model = shipped()
        return Description(model.input_shape, [layer.config() for layer in model.layers])
    return checked(read_json(spec), Path(spec))


def read_json(path: str | PathLike[str]) -> Any:
    """The content of a JSON file that describes layers in any form.

    Raises:
        InputError: when there is no such file, or it is not JSON or too large.
    """
    if not Path(path).exists():
        expected = f"expected a JSON file or one of {sorted(ARCHITECTURES)}"
        raise InputError(f"cannot read the architecture {path}; {expected}")
    return parse_json(read_bytes(path), str(path))


def checked(content: Any, path: Path) -> Description:
    """A description from parsed JSON.

    Raises:
        InputError: when it does not have the form above.
    """
    if isinstance(content, dict) and "class_name" in content:
        raise InputError(
            f"{path} is Keras's description of an architecture, for weights in Keras's .h5 alone; "
            'expected {"input_shape": [28, 28, 1], "layers": [{"class": "Conv2D", ...}, ...]}'
        )
    keys = sorted(map(str, content))[:8] if isinstance(content, dict) else type(content).__name__
    if not isinstance(content, dict) or not _REQUIRED <= content.keys() <= _DESCRIPTION_KEYS:
        expected = f"expected an object with {sorted(_DESCRIPTION_KEYS)}"
        raise InputError(f"{path}: {expected}; found {keys}")
    shape, layers, wiring = content["input_shape"], content["layers"], content.get("wiring", {})
    sides = shape if isinstance(shape, list) else []
    if not 1 <= len(sides) <= 3 or not all(type(n) is int and 1 <= n <= 4096 for n in sides):
        raise InputError(f"{path}: input_shape must be one to three sizes; found {str(shape)[:60]}")
    if not isinstance(layers, list) or not 1 <= len(layers) <= _MOST_LAYERS:
        raise InputError(f"{path}: layers must be a list of 1 to {_MOST_LAYERS}")
    for layer in layers:
        if not isinstance(layer, dict) or layer.get("class") not in LAYERS:
            expected = f"a layer must be an object with a class of {sorted(LAYERS)}"
            raise InputError(f"{path}: {expected}; found {str(layer)[:80]}")
    if not isinstance(wiring, dict) or not all(map(_is_list_of_names, wiring.values())):
        raise InputError(f'{path}: wiring must be like {{"sum": ["a", "b"]}}; found {wiring!r:.80}')
    return Description(tuple(shape), [_with_epsilon(layer) for layer in layers], wiring)


def _with_epsilon(layer: dict[str, Any]) -> dict[str, Any]:
    normalizes = layer["class"] in ("BatchNormalization", "LayerNormalization")
    return {"epsilon": 1e-5, **layer} if normalizes else layer


def _is_list_of_names(sources: Any) -> bool:
    return isinstance(sources, list) and bool(sources) and all(isinstance(s, str) for s in sources)
