"""A whole C file: the template ``page.c``, filled in for one model."""

from __future__ import annotations

import math
import re
import string
from os import PathLike
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from tinymnist import __version__
from tinymnist.adapter import mean_by_odds
from tinymnist.c99.network import Network, number, plain
from tinymnist.errors import InputError
from tinymnist.files import whole_file
from tinymnist.imaging.digit.recipes import prepare_readings, recipe_vectors, specification
from tinymnist.interop.formats import provenance
from tinymnist.nn.arrays import Array
from tinymnist.nn.sequential import Sequential

_FOLDER = Path(__file__).parent
_WIDTH = 100
_HARMLESS = string.ascii_letters + string.digits + " -._"


def write(model: Sequential, path: str | PathLike[str], *, int8: bool = False) -> None:
    """Write a model as a C file, completely or not at all; arguments and errors of :func:`render`.

    Args:
        model: any model that the file can hold.
        path: where to write, with the ending ``.c``.
        int8: see :func:`render`.
    """
    text = render(model, Path(path).name, int8=int8)
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="ascii")


def render(model: Sequential, file: str, *, int8: bool = False) -> str:
    """The text of a C file.

    Args:
        model: takes 28x28 pixels, and is a chain of the usual layers.
        file: its name, for the instructions in it.
        int8: whether weights are stored in 8 bits, with a scale per output channel.

    Raises:
        InputError: for a model that the file cannot hold.
    """
    recipe = model.metadata.get("preprocessing", {}).get("recipe", "mnist")
    if recipe != "mnist":
        raise InputError(f"a C file holds recipe 'mnist'. Received: recipe={recipe!r}")
    network = Network(model, int8)
    classes = math.prod(model.output_shape)
    names = [str(name) for name in model.metadata.get("class_names") or range(classes)]
    about = f"Written by tinymnist {__version__}."
    if "source" in model.metadata:
        about += f" Source of the weights: {provenance(model.metadata)}."
    kinds = {name: "weight" if name.endswith("_kernel") else "float" for name in network.arrays}
    declared = {name: f"static const {kinds[name]} {name}" for name in network.arrays}
    sizes = {name: array.size for name, array in network.arrays.items()}
    fields = {
        "title": plain(model.name) or "model",
        "file": plain(file),
        "about": plain(about),
        "classes": classes,
        "class_names": ", ".join(map(_quoted, names)),
        "of_digits": int(all(name.isdigit() for name in names)),
        "weight": "signed char" if int8 else "float",
        "functions": _called("\n".join(network.lines)),
        "tolerance": 0.1 if int8 else 0.02,
        "specification": specification().replace("\n", "\n   ").replace("\n   \n", "\n\n"),
        "recipe": (_FOLDER / "recipe.c").read_text(encoding="ascii"),
        "declarations": "\n".join(f"{text}[{sizes[n]}];" for n, text in declared.items()),
        "buffers": ", ".join(f"{name}[{network.largest}]" for name in sorted(network.buffers)),
        "network": "\n".join(network.lines),
        "tests": _tests(model),
        "weights": "\n\n".join(
            f"{text}[{sizes[n]}] = {{\n{_numbers(network.arrays[n])}\n}};"
            for n, text in declared.items()
        ),
    }
    return Template((_FOLDER / "page.c").read_text(encoding="ascii")).substitute(fields)


def _called(code: str) -> str:
    """The functions of ``layers.c`` that a piece of code calls, and the types."""
    text = (_FOLDER / "layers.c").read_text(encoding="ascii")
    pieces = re.split(r"\n\n(?=/\*)", text.strip())
    called = set(re.findall(r"(\w+)\(", code))
    return "\n\n".join(
        piece
        for piece in pieces
        if "typedef" in piece or re.findall(r"(?m)^static void (\w+)", piece)[0] in called
    )


def _tests(model: Sequential) -> str:
    """The test vectors of the recipe, with the model's answers to them."""
    from tinymnist.adapter import model_input, probabilities

    lines = [
        "struct Test {",
        "    const char *name;",
        "    int width, height;",
        "    const unsigned char *grey, *form;",
        "    float answer[DIGITS_CLASSES];",
        "};",
        "",
    ]
    entries = []
    for i, (name, (grey, form)) in enumerate(recipe_vectors().items()):
        ways = prepare_readings(grey).whole
        x = model_input(ways, model.input_shape, model.metadata.get("preprocessing", {}))
        answer = mean_by_odds(probabilities(model, x), np.zeros(len(ways), int))[0]
        for what, array in (("grey", grey), ("form", form)):
            body = _numbers(array)
            lines.append(f"static const unsigned char {what}{i}[] = {{\n{body}\n}};")
        numbers = ", ".join(map(number, answer))
        sizes = f"{grey.shape[1]}, {grey.shape[0]}"
        entries.append(f"    {{{_quoted(name)}, {sizes}, grey{i}, form{i},\n     {{{numbers}}}}},")
    return "\n".join([*lines, "static const struct Test tests[] = {", *entries, "};"])


def _numbers(array: Array) -> str:
    """Numbers as literals in lines."""
    flat: list[Any] = array.ravel().tolist() if array.dtype.kind in "iu" else list(array.ravel())
    texts = list(map(str if array.dtype.kind in "iu" else number, flat))
    per_line = max(1, (_WIDTH - 4) // (max(map(len, texts)) + 2))
    rows = (texts[i : i + per_line] for i in range(0, len(texts), per_line))
    return "\n".join("    " + ", ".join(row) + "," for row in rows)


def _quoted(text: str) -> str:
    """A string literal of letters and digits; all other bytes are octal escapes."""
    characters = map(chr, text.encode("utf-8", "replace"))
    return '"' + "".join(c if c in _HARMLESS else f"\\{ord(c):03o}" for c in characters) + '"'
