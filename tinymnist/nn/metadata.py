"""What a file may say about a model, checked once when it is opened, so that it can be relied on.

A model carries ``metadata``: the names of its classes, how it wants its pictures, where it comes
from and how well it did. Files of strangers hold anything there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tinymnist import limits
from tinymnist.errors import InputError
from tinymnist.nn.arrays import Array
from tinymnist.nn.graph import Graph

METADATA = ("class_names", "preprocessing", "source", "metrics", "parent")
"""What a manifest may say about a model beside its architecture."""
RECIPES = ("mnist", "resize", "none")
"""The names of the recipes that ``imaging`` has."""
FITS = ("pad", "resize", "average")
"""How 28x28 becomes another size: the first two enlarge, the last two reduce."""
_MOST_LETTERS = 200  # in the name of a class


def check_model(model: Graph, path: Any) -> None:
    """Check a model that was just read: its metadata, its numbers and its size.

    Raises:
        InputError: when it cannot be used; the message names the entry or the array.
    """
    check_metadata(model.metadata, model.output_shape, path)
    check_finite(model.weights, path)
    check_size(model, path)


def check_size(model: Graph, path: Any) -> None:
    """Refuse a model that takes too much memory or work for one example.

    Raises:
        InputError: when a layer's output or padded input has more numbers than
            :data:`tinymnist.limits.OUTPUT_NUMBERS`, or all layers multiply more than the limits
            allow.
    """
    taken = dict(model.shapes)
    for layer in model.layers:
        shapes = [model.shapes[source] for source in model.sources[layer.name]]
        limits.work(layer.multiply_adds(*shapes) // limits.MULTIPLY_ADDS_PER_STEP, str(path))
        if windows := getattr(layer, "windows", None):
            (h, w, c), pads = shapes[0], windows(shapes[0]).pads
            taken[f"the padding of {layer.name}"] = (h + sum(pads[0]), w + sum(pads[1]), c)
    for name, shape in taken.items():
        if math.prod(shape) > limits.OUTPUT_NUMBERS:
            limit = f"expected at most {limits.OUTPUT_NUMBERS:,} (limits.OUTPUT_NUMBERS)"
            raise InputError(f"{path}: {name} gives {shape} numbers for one example; {limit}")


def check_finite(arrays: Mapping[str, Array], path: Any) -> None:
    """Refuse weights with infinities or NaN, with which every answer is wrong.

    Raises:
        InputError: when there are some; the message names the array.
    """
    for name, array in arrays.items():
        if array.dtype.kind in "fc" and not np.isfinite(array).all():
            raise InputError(f"{path} holds numbers in {name} that are not finite (NaN, infinity)")


def check_metadata(metadata: Mapping[str, Any], outputs: tuple[int, ...], path: Any) -> None:
    """Check the type and the range of every entry that the rest of the package uses.

    Args:
        metadata: a model's; entries may be missing.
        outputs: the shape of the model's output.
        path: the file, for messages.

    Raises:
        InputError: for the first entry that is wrong.
    """
    for key, (is_right, rule) in _RULES.items():
        if key in metadata and not is_right(metadata[key]):
            raise InputError(f"{path}: {key} must be {rule}. Received: {metadata[key]!r:.80}")
    names, long = metadata.get("class_names"), [side for side in outputs if side != 1]
    if names and len(long) == 1 and len(names) != long[0]:
        raise InputError(f"{path} names {len(names)} classes; its output has {long[0]}")


def accuracies(metadata: Mapping[str, Any]) -> dict[str, tuple[float, int]]:
    """The accuracy (0..1) and the number of pictures of each set in ``metadata["metrics"]``."""
    found = {}
    for name, figures in metadata.get("metrics", {}).items():
        share, count = figures.get("accuracy"), figures.get("n", 0)
        if _is_number(share) and _is_number(count):
            found[name] = float(share), int(count)
    return found


def _is_class_names(value: Any) -> bool:
    if not isinstance(value, (list, tuple)):
        return False
    rightly = all(isinstance(name, str) and 0 < len(name) <= _MOST_LETTERS for name in value)
    return rightly and len(set(value)) == len(value)


def _is_preprocessing(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and all(isinstance(key, str) for key in value)
        and value.get("recipe", "mnist") in RECIPES
        and value.get("fit", "pad") in FITS
        and ("scaling" not in value or _is_scaling(value["scaling"]))
    )


def _is_scaling(value: Any) -> bool:
    if not isinstance(value, dict) or not isinstance(value.get("name", ""), str):
        return False
    numbers = [value.get("scale"), value.get("offset")]
    return value.get("axis", 1) in (1, 2) and all(map(_is_number, numbers))


def _is_metrics(value: Any) -> bool:
    return isinstance(value, dict) and all(
        isinstance(name, str) and isinstance(figures, dict) for name, figures in value.items()
    )


def _is_origin(value: Any) -> bool:
    return isinstance(value, (str, dict))


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < 1e30 and math.isfinite(value)


_RULES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "class_names": (_is_class_names, "a list of different names, one per class"),
    "preprocessing": (
        _is_preprocessing,
        f"an object with a recipe of {RECIPES}, a fit of {FITS}, and a scaling "
        "{'scale': number, 'offset': number}",
    ),
    "source": (_is_origin, "a text or an object"),
    "metrics": (_is_metrics, "an object of objects, one per set"),
    "parent": (_is_origin, "a text or an object"),
}
