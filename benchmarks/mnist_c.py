"""Accuracy on the 15 corruptions of MNIST-C: ``python -m benchmarks.mnist_c``.

The corruptions, applied to MNIST's test images, measure what a network did not learn from clean
digits. They are never used for training.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from benchmarks.common import add_json, at_least, command_line, machine_line
from benchmarks.corruptions import CORRUPTIONS, Images, corrupted
from tinymnist.commands import Counter
from tinymnist.data import load_mnist
from tinymnist.errors import InputError
from tinymnist.imaging.digit.recipes import PreparedSet, prepare_all
from tinymnist.labelled import in_mnist_form
from tinymnist.reader import DEFAULT_MODEL, Reader
from tinymnist.reporting.text import percent, table

EXAMPLES = """\
                               the default model, images as they are
--recipe mnist --limit 1000    through the full recipe
--model mnist-cnn keras-cnn my.npz --json
--limit 100 --out sheet.png    and draw some images"""

CLEAN = "clean"
MEAN = "mean of 15"

Accuracies = dict[str, dict[str, float]]
"""By corruption, then by model."""


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    description = (
        "Measure models on the 15 corruptions of MNIST-C. An image without a digit counts as wrong."
    )
    parser = command_line("mnist_c", description, EXAMPLES)
    add = parser.add_argument
    add("--model", nargs="+", default=[DEFAULT_MODEL], metavar="NAME|FILE", help="which to measure")
    add(
        "--recipe",
        choices=("none", "mnist"),
        default="none",
        help="how to prepare images; 'none' (the default) uses them as they are",
    )
    add("--limit", type=at_least(1), metavar="N", help="only N images, spread over the test set")
    add("--seed", type=at_least(0), default=0, help="of the corruptions; default: 0")
    add("--out", metavar="PNG", help="draw some images of every corruption into this file")
    add_json(parser)
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and report."""
    options = parse(arguments)
    try:
        images, labels = load_mnist("test")
        readers = {name: Reader(name, options.recipe) for name in options.model}
    except InputError as error:
        print(f"mnist_c: {error}", file=sys.stderr)
        return 2
    chosen = spread(len(labels), options.limit)
    if options.out:
        draw(images, labels, options.out, options.seed)
    accuracies = measure(readers, images[chosen], labels[chosen], options)
    accuracies[MEAN] = mean(accuracies)
    print(as_json(accuracies, options) if options.json else text(accuracies, options))
    return 0


def spread(total: int, limit: int | None) -> np.ndarray:
    """``limit`` indices spread over the set: MNIST's first half is easier than its second."""
    count = min(limit or total, total)
    return np.arange(count) * total // count


def measure(
    readers: dict[str, Reader], images: Images, labels: np.ndarray, options: argparse.Namespace
) -> Accuracies:
    """Corrupt, prepare and read: the accuracy, clean images first."""
    counter = Counter((1 + len(CORRUPTIONS)) * len(labels))
    accuracies = {}
    for name, pictures in variants(images, options.seed):
        prepared = _prepared(pictures, options.recipe, counter)
        known = labels[prepared.kept].astype(str)
        accuracies[name] = {
            model: float((_read(reader, prepared) == known).sum() / len(labels))
            for model, reader in readers.items()
        }
    counter.close()
    return accuracies


def variants(images: Images, seed: int) -> Iterator[tuple[str, Images]]:
    """The images as they are, then with each corruption."""
    yield CLEAN, images
    for name in CORRUPTIONS:
        yield name, corrupted(name, images, seed)


def _prepared(pictures: Images, recipe: str, counter: Counter) -> PreparedSet:
    if recipe != "none":
        return prepare_all(pictures, recipe, counter.tick)
    for _ in pictures:
        counter.tick()
    return PreparedSet.of(in_mnist_form(pictures))


def _read(reader: Reader, prepared: PreparedSet) -> np.ndarray:
    """The class names found, (m,)."""
    if not len(prepared.kept):
        return np.array([], str)
    names: np.ndarray = np.array(reader.class_names)
    return np.asarray(names[reader.probabilities_of(prepared).argmax(axis=1)])


def mean(accuracies: Accuracies) -> dict[str, float]:
    """The mean over the 15 corruptions, without the clean images."""
    return {
        model: sum(accuracies[name][model] for name in CORRUPTIONS) / len(CORRUPTIONS)
        for model in accuracies[CLEAN]
    }


def text(accuracies: Accuracies, options: argparse.Namespace) -> str:
    """A table with a row per corruption and a column per model."""
    models = list(accuracies[CLEAN])
    rows = [(name, *(percent(row[model]) for model in models)) for name, row in accuracies.items()]
    where = f"recipe: {options.recipe}, seed {options.seed}; {machine_line('numpy', 'scipy')}"
    return f"{table([('right', *models), *rows])}\n{where}"


def as_json(accuracies: Accuracies, options: argparse.Namespace) -> str:
    """All measurements as one object."""
    settings = {"recipe": options.recipe, "limit": options.limit, "seed": options.seed}
    where = {"machine": machine_line("numpy", "scipy"), **settings}
    return json.dumps({**where, "accuracy": accuracies})


def draw(images: Images, labels: np.ndarray, path: str, seed: int, scale: int = 2) -> None:
    """Draw two images of every digit: a row as they are, and one per corruption."""
    some = images[np.concatenate([np.flatnonzero(labels == digit)[:2] for digit in range(10)])]
    cell, left = 28 * scale + 4, 130
    sheet = Image.new("L", (left + cell * len(some), cell * (1 + len(CORRUPTIONS))), 96)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(15)
    for row, (name, pictures) in enumerate(variants(some, seed)):
        pen.text((8, row * cell + cell // 2 - 9), name, 255, font)
        for column, picture in enumerate(pictures):
            tile = Image.fromarray(picture).resize((28 * scale,) * 2, Image.Resampling.NEAREST)
            sheet.paste(tile, (left + column * cell + 2, row * cell + 2))
    sheet.save(Path(path), format="PNG")


if __name__ == "__main__":
    sys.exit(main())
