"""A whole standalone file: the template ``page.txt``, filled in for one model."""

from __future__ import annotations

import math
from os import PathLike
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from tinymnist import __version__
from tinymnist.adapter import picture_side, with_unit_length
from tinymnist.errors import InputError
from tinymnist.files import whole_file
from tinymnist.interop.formats import provenance
from tinymnist.interop.standalone import functions, recipe, source
from tinymnist.interop.standalone.network_code import network_code
from tinymnist.interop.standalone.source import LINE_LENGTH, harmless, literal, quoted, sides
from tinymnist.nn.arrays import Array
from tinymnist.nn.metadata import accuracies
from tinymnist.nn.sequential import Sequential

_FOLDER = Path(__file__).parent
_SAMPLE, _ANSWER = "sample/input", "sample/output"
_SMALLEST_PICTURE = 14
"""Pixels on the side of an input that is certainly a picture; 8x8 may be numbers in 0..16."""
_MAX_LISTED = 32
"""Numbers in an answer that are written out one by one; longer answers are packed."""
_MIN_PROBABILITY = 1e-30
"""The lowest probability whose digits are accurate in float32."""
_GREYS = ".:-=+*o#%@"
"""From black to white, in steps of a ninth."""
_SEVEN = """
............................
............................
............................
............................
............................
............................
............................
..............-*%@..........
.........:-+o%@%@%..........
.......*#%@@%o=:##..........
.......##*+-:..:%*..........
...............-@=..........
...............+@:..........
...............*%:..........
...............o#...........
...............##...........
...............#o...........
...............#o...........
...............#o...........
...............##...........
...............##...........
...............o#...........
...............o#...........
...............o%...........
...............*%:..........
...............*@:..........
...............+%:..........
............................
"""


_PIECES = {
    "advice": "; to read photos, export with --with-recipe",
    "packages": " and NumPy",
    "width": " " * 12,
    "usage": """picture.npy  read pictures: $one_picture, or many of them

In a program: ``from $module import predict``.""",
    "main": (_FOLDER / "main_arrays.txt").read_text(encoding="utf-8"),
}
_PIECES_WITH_RECIPE = {
    "advice": "",
    "packages": ", NumPy and Pillow",
    "width": " " * 19,
    "usage": """photo.jpg scan.png  read a digit from each; --json for machines

In a program: ``from $module import read, predict``. ``read`` takes any picture, ``predict`` takes
pictures in MNIST's own form.""",
    "main": (_FOLDER / "main_pictures.txt").read_text(encoding="utf-8"),
}
"""The parts of ``page.txt`` that differ between files without and with the recipe."""


def write(model: Sequential, path: str | PathLike[str], *, with_recipe: bool = False) -> None:
    """Write a model as a standalone Python file, completely or not at all.

    Args:
        model: any model. The file's ``predict`` computes the same, within rounding.
        path: where to write, usually with the ending ``.py``.
        with_recipe: whether the file reads photos, too; see :func:`render`.

    Raises:
        InputError: as :func:`render`, or if the file cannot be written.
    """
    text = render(model, Path(path).name, with_recipe=with_recipe)
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def render(model: Sequential, file: str, *, with_recipe: bool = False) -> str:
    """The text of a standalone file.

    Args:
        model: the model that it computes.
        file: its name, for the instructions in it.
        with_recipe: whether it reads photos as ``tinymnist predict`` does. Then it needs Pillow.

    Raises:
        InputError: for a layer or an activation that a standalone file cannot hold, and with the
            recipe for a model that does not take pictures or is not a classifier.
    """
    lines, used = network_code(model)
    reading = recipe.recipe_fields(model) if with_recipe else {"read": "", "recipe": ""}
    sample = _sample_for(model)
    scale, offset = _scaling_of(model)
    x = sample * model.dtype.type(scale) + model.dtype.type(offset)
    answer = model.predict(with_unit_length(x, axis) if (axis := _axis_of(model)) else x)[0]
    arrays = dict(model.weights)
    drawn = model.input_shape == (28, 28, 1) and bool(arrays)  # something has to be packed
    listed = answer.size <= _MAX_LISTED
    if not drawn:
        arrays[_SAMPLE] = sample
    if not listed:
        arrays[_ANSWER] = answer
    operations = source.needed(["Array", *used, *source.used_names(reading["read"])])
    constants = [text for text in operations if not text.startswith("def ")]
    rows = "".join(f"    {literal(number)},\n" for number in answer)
    expected = f"EXPECTED = [\n{rows}]\n\n\n"
    fields = {
        "title": harmless(model.name) or "model",
        "file": harmless(file),
        "module": harmless(Path(file).stem),
        "about": _about(model),
        "class_names": _class_names(model),
        "network": "\n".join(lines),
        "constants": "\n".join(constants),
        "functions": source.joined(operations[len(constants) :]),
        "sample": (_drawing(model) if drawn else "") + (expected if listed else ""),
        "sample_input": "SAMPLE" if drawn else f'WEIGHTS["{_SAMPLE}"]',
        "sample_output": "EXPECTED" if listed else f'WEIGHTS["{_ANSWER}"]',
        "packed": source.packed(arrays),
        "shapes": "\n".join(f"    {quoted(n)}: {literal(a.shape)}," for n, a in arrays.items()),
        **_shapes(model),
        **_measure(model, answer),
        **reading,
    }
    pieces = _PIECES_WITH_RECIPE if with_recipe else _PIECES
    fields |= {name: Template(text).substitute(fields) for name, text in pieces.items()}
    page = Template((_FOLDER / "page.txt").read_text(encoding="utf-8"))
    text = page.substitute(fields, imports="")
    return page.substitute(fields, imports=source.imports(text, (functions, *recipe.MODULES)))


def _shapes(model: Sequential) -> dict[str, Any]:
    """The fields that depend on shapes, dtype and range of input and output."""
    shape, outputs = model.input_shape, model.output_shape
    side = picture_side(shape) if math.prod(shape) != 3 * (shape[0] if shape else 0) ** 2 else None
    bare = f"({side}, {side})" if side is not None else ""
    is_picture = f"x.shape[-2:] == {bare}"
    if len(shape) > 1 and side is not None:
        is_picture += f" or (x.ndim < 3 and x.shape[-1:] == ({side * side},))"
    if len(shape) < 3:
        is_picture += f" or x.shape[-3:] == ({side}, {side}, 1)"
    receive = f"    if {is_picture}:\n        x = x.reshape(-1, {sides(shape)})\n"
    scaling = "" if _takes_bytes(model) else _to_unit_range(model, side or 0)
    scale, offset = _scaling_of(model)
    if (scale, offset) != (1.0, 0.0):
        scaling += f"    x = x * {scale!r} + {offset!r}  # as the network was trained\n"
    if axis := _axis_of(model):
        scaling += f"    length = np.sqrt(np.square(x).sum({axis}, keepdims=True))\n"
        scaling += "    x = x / np.where(length > 0, length, 1)  # as the network was trained\n"
    numbers = "; 0..255." if _takes_bytes(model) else ": 0..1 or 0..255."
    return {
        "one_picture": bare or literal(shape),
        "input_shape": literal(shape),
        "input_sides": sides(shape),
        "output_sides": sides(outputs),
        "ndim": len(shape),
        "batch_ndim": len(shape) + 1,
        "journey": f"(n, {sides(shape)}) -> (n, {sides(outputs)})",
        "receive": receive if bare else "",
        "scale": scaling,
        "range": f"White ink on black, as MNIST{numbers}",
        "outputs": _kind_of_output(model),
        "dtype": {4: "<f4", 8: "<f8"}[model.dtype.itemsize],
        "float_size": model.dtype.itemsize,
    }


def _to_unit_range(model: Sequential, side: int) -> str:
    """The code that recognizes numbers in 0..255, and refuses those that no picture holds.

    Small inputs may be features of another kind. A network whose scaling is unknown may have been
    trained on numbers below 0.
    """
    if side < _SMALLEST_PICTURE:
        return '    if x.dtype.kind in "iu":\n        x = x / 255\n'
    code = "    low, high = x.min(initial=0), x.max(initial=0)\n"
    code += "    if low >= 0 and high > 1.25:  # 0..255\n        x, high = x / 255, high / 255\n"
    if not model.metadata.get("preprocessing"):
        return code
    rule = "pictures hold 0..1 or 0..255. Received: {low:g}..{np.max(images):g}"
    return f'{code}    if low < -0.25 or high > 1.25:\n        raise ValueError(f"{rule}")\n'


def _axis_of(model: Sequential) -> int:
    """The axis of (n, h, w) along which vectors are brought to length 1; 0 for none."""
    scaling = model.metadata.get("preprocessing", {}).get("scaling") or {}
    axis = int(scaling.get("axis", 0))
    if axis and len(model.input_shape) != 3:
        rule = "takes vectors of length 1 in the shape"
        raise InputError(f"{model.name} {rule} {model.input_shape}")
    return axis


def _sample_for(model: Sequential) -> Array:
    """One input (1, *input_shape): the seven if it fits, else random numbers of a fixed seed."""
    if model.input_shape != (28, 28, 1):
        return np.random.default_rng(0).random((1, *model.input_shape)).astype(model.dtype)
    seven = np.array([[_GREYS.index(grey) / 9 for grey in line] for line in _SEVEN.split()])
    highest = 255 if _takes_bytes(model) else 1
    return (seven[None, :, :, None] * highest).astype(model.dtype)


def _takes_bytes(model: Sequential) -> bool:
    """Whether the model itself brings 0..255 to 0..1: it begins with a small factor."""
    scale = getattr(model.layers[0], "scale", 1.0) if model.layers else 1.0
    return float(np.max(np.abs(scale))) < 0.02


def _scaling_of(model: Sequential) -> tuple[float, float]:
    """Scale and offset that bring pictures in 0..1 to the range of the training."""
    scaling = model.metadata.get("preprocessing", {}).get("scaling") or {}
    return float(scaling.get("scale", 1.0)), float(scaling.get("offset", 0.0))


def _measure(model: Sequential, answer: Array) -> dict[str, str]:
    """How the self-test measures a deviation, and its tolerance.

    Among probabilities an error in a small one would not show, so each is compared by itself: a
    relative error of a probability is an absolute one of the number that went into the softmax.
    """
    if "probability" in _kind_of_output(model) and answer.min() > _MIN_PROBABILITY:
        return {"deviation": "np.abs(found / expected - 1).max()", "tolerance": "1e-4"}
    whole = "np.abs(found - expected).max() / np.abs(expected).max()"
    return {"deviation": whole, "tolerance": "1e-5"}


def _kind_of_output(model: Sequential) -> str:
    last = model.layers[-1] if model.layers else None
    word = getattr(last, "activation", type(last).__name__.lower())
    return {
        "softmax": "a probability for each class",
        "log_softmax": "the logarithm of each class's chance",
        "sigmoid": "a number between 0 and 1 for each class",
    }.get(word, "a score for each class")


def _about(model: Sequential) -> str:
    metadata = model.metadata
    lines = [f"Written by tinymnist {__version__}."]
    if "source" in metadata:
        lines.append(f"Source of the weights: {provenance(metadata)}.")
    for name, (accuracy, _) in accuracies(metadata).items():
        lines.append(f"Accuracy on {name}: {100 * accuracy:.2f} %.")
    if metadata.get("preprocessing"):
        recipe = ", ".join(f"{key} {value}" for key, value in metadata["preprocessing"].items())
        lines.append(f"Pictures were prepared by: {recipe}.")
    return "\n".join(source.wrapped(line) for line in lines)


def _class_names(model: Sequential) -> str:
    count = math.prod(model.output_shape)
    names = [str(name) for name in model.metadata.get("class_names", ())]
    names = names if len(names) == count else [str(i) for i in range(count)]
    line = f"[{', '.join(map(quoted, names))}]"
    if len(f"CLASS_NAMES = {line}") <= LINE_LENGTH:
        return line
    return "[\n" + "".join(f"    {quoted(name)},\n" for name in names) + "]"


def _drawing(model: Sequential) -> str:
    """The sample as code."""
    factor = "* (255 / 9)" if _takes_bytes(model) else "/ 9"
    return (
        f'PICTURE = """{_SEVEN}"""\n'
        f'GREYS = "{_GREYS}"  # from black to white\n'
        "SAMPLE = np.array([[GREYS.index(grey) for grey in row] for row in PICTURE.split()]) "
        f"{factor}\n\n\n"
    )
