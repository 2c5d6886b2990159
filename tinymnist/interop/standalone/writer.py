"""A whole standalone file: what stands in ``page.txt``, filled in for one model."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from string import Template
from typing import Any

from tinymnist import __version__
from tinymnist.adapter import picture_side
from tinymnist.interop.provenance import provenance
from tinymnist.interop.standalone import extract_source as quarry
from tinymnist.interop.standalone.notes import LINE, Story, literal, quoted, sides
from tinymnist.interop.standalone.sample import GREYS, SEVEN, sample_for, takes_bytes
from tinymnist.interop.standalone.text import harmless, packed, wrapped
from tinymnist.nn.arrays import Array
from tinymnist.nn.sequential import Sequential

_TEMPLATE = Path(__file__).with_name("page.txt")
_SAMPLE, _ANSWER = "sample/input", "sample/output"
_MOST_LISTED = 32
"""Numbers in an answer that are written out one by one; longer answers are packed."""
_SMALLEST = 1e-30
"""A probability from which on its digits mean something in float32."""


def page(model: Sequential, file: str) -> str:
    """The text of a standalone file.

    Args:
        model: what it shall compute.
        file: its name, for the instructions in it.

    Raises:
        InputError: when the model has a layer that cannot be held.
    """
    story = Story(model)
    sample = sample_for(model)
    scale, offset = scaling_of(model)
    answer = model.predict(sample * model.dtype.type(scale) + model.dtype.type(offset))[0]
    arrays = dict(model.weights)
    drawn = model.input_shape == (28, 28, 1) and bool(arrays)  # something has to be packed
    listed = answer.size <= _MOST_LISTED
    if not drawn:
        arrays[_SAMPLE] = sample
    if not listed:
        arrays[_ANSWER] = answer
    constants, functions = quarry.needed(story.functions)
    fields = {
        "title": harmless(model.name) or "model",
        "file": harmless(file),
        "module": harmless(Path(file).stem),
        "about": _about(model),
        "class_names": _class_names(model),
        "network": "\n".join(story.lines),
        "constants": "\n".join(constants),
        "functions": "\n\n\n".join(functions),
        "sample": (_drawing(model) if drawn else "") + (_list(answer) if listed else ""),
        "sample_input": "SAMPLE" if drawn else f'WEIGHTS["{_SAMPLE}"]',
        "sample_output": "EXPECTED" if listed else f'WEIGHTS["{_ANSWER}"]',
        "packed": packed(arrays),
        "shapes": "\n".join(f"    {quoted(n)}: {literal(a.shape)}," for n, a in arrays.items()),
        **_shapes(model),
        **_measure(model, answer),
    }
    text = Template(_TEMPLATE.read_text(encoding="utf-8")).substitute(fields, imports="import sys")
    return text.replace("import sys", _imports(text), 1)


def _shapes(model: Sequential) -> dict[str, Any]:
    """Everything in the page that depends on the shapes of input and output."""
    shape, outputs = model.input_shape, model.output_shape
    raw = takes_bytes(model)
    side = picture_side(shape) if math.prod(shape) != 3 * (shape[0] if shape else 0) ** 2 else None
    bare = f"({side}, {side})" if side is not None else ""
    receive = f"    if x.shape[-2:] == {bare}:\n        x = x.reshape(-1, {sides(shape)})\n"
    return {
        "one_picture": bare or literal(shape),
        "input_shape": literal(shape),
        "input_sides": sides(shape),
        "output_sides": sides(outputs),
        "ndim": len(shape),
        "batch_ndim": len(shape) + 1,
        "journey": f"(n, {sides(shape)}) -> (n, {sides(outputs)})",
        "receive": receive if bare else "",
        "scale": _scale_code(model),
        "range": "White ink on black, as MNIST; 0..255."
        if raw
        else "White ink on black, as MNIST: 0..1, or whole numbers 0..255.",
        "outputs": _kind_of_output(model),
        "dtype": {4: "<f4", 8: "<f8"}[model.dtype.itemsize],
        "float_size": model.dtype.itemsize,
    }


def scaling_of(model: Sequential) -> tuple[float, float]:
    """Scale and offset that bring pictures in 0..1 to what the model was trained with."""
    told = model.metadata.get("preprocessing", {}).get("scaling") or {}
    return float(told.get("scale", 1.0)), float(told.get("offset", 0.0))


def _scale_code(model: Sequential) -> str:
    """What ``predict`` does with the range of the pictures."""
    code = "" if takes_bytes(model) else '    if x.dtype.kind in "iu":\n        x = x / 255\n'
    scale, offset = scaling_of(model)
    if (scale, offset) != (1.0, 0.0):
        code += f"    x = x * {scale!r} + {offset!r}  # as the network was trained\n"
    return code


def _measure(model: Sequential, answer: Array) -> dict[str, str]:
    """How the self-test measures a deviation, and what it lets pass.

    Probabilities hide what happened to the small ones among them, so each is compared by itself:
    a relative error of a probability is an absolute one of the number that went into the softmax.
    """
    if "probability" in _kind_of_output(model) and answer.min() > _SMALLEST:
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
    told = model.metadata
    lines = [f"Written by tinymnist {__version__}."]
    if "source" in told:
        lines.append(f"Source of the weights: {provenance(told)}.")
    for name, figures in told.get("metrics", {}).items():
        lines.append(f"Accuracy on {name}: {100 * figures['accuracy']:.2f} %.")
    if told.get("preprocessing"):
        recipe = ", ".join(f"{key} {value}" for key, value in told["preprocessing"].items())
        lines.append(f"Pictures were prepared by: {recipe}.")
    return "\n".join(wrapped(line) for line in lines)


def _class_names(model: Sequential) -> str:
    count = math.prod(model.output_shape)
    names = [str(name) for name in model.metadata.get("class_names", ())]
    names = names if len(names) == count else [str(i) for i in range(count)]
    line = f"[{', '.join(map(quoted, names))}]"
    if len(f"CLASS_NAMES = {line}") <= LINE:
        return line
    return "[\n" + "".join(f"    {quoted(name)},\n" for name in names) + "]"


def _drawing(model: Sequential) -> str:
    whole = "* (255 / 9)" if takes_bytes(model) else "/ 9"
    return (
        f'PICTURE = """{SEVEN}"""\n'
        f'GREYS = "{GREYS}"  # from black to white\n'
        "SAMPLE = np.array([[GREYS.index(grey) for grey in row] for row in PICTURE.split()]) "
        f"{whole}\n\n\n"
    )


def _list(answer: Array) -> str:
    rows = "".join(f"    {literal(number)},\n" for number in answer)
    return f"EXPECTED = [\n{rows}]\n\n\n"


def _imports(text: str) -> str:
    """The modules of the standard library that the text uses, as isort orders them."""
    used = quarry.used_names(text)
    modules = [name for name in sorted(used & sys.stdlib_module_names) if f"{name}." in text]
    lines = [f"import {name}" for name in modules]
    types = sorted(used & {"Iterator", "Sequence", "Callable"})
    lines += [f"from collections.abc import {', '.join(types)}"] if types else []
    return "\n".join(lines)
