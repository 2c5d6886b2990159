"""How well are MNIST's pictures read through noise, blur, mud? ``python -m benchmarks.mnist_c``.

The 15 corruptions of MNIST-C, applied to MNIST's test pictures, measure what training on clean
digits did not tell a network. They are never trained on.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from benchmarks.corruptions import CORRUPTIONS, Images, corrupted
from benchmarks.timing import machine_line
from tinymnist.commands.output import Counter
from tinymnist.data import load_mnist
from tinymnist.errors import InputError
from tinymnist.prepared import PreparedSet, in_mnist_form, prepare_all
from tinymnist.reader import DEFAULT_MODEL, Reader
from tinymnist.reporting.text import percent, table

EXAMPLES = """\
examples:
  python -m benchmarks.mnist_c                               the default model, pictures as they are
  python -m benchmarks.mnist_c --recipe mnist --limit 1000   through the full recipe
  python -m benchmarks.mnist_c --model mnist-cnn keras-cnn my.npz --json
  python -m benchmarks.mnist_c --limit 100 --out sheet.png   and look at the pictures

A picture on which no digit is found counts as wrong.
"""

CLEAN = "clean"
MEAN = "mean of 15"

Accuracies = dict[str, dict[str, float]]
"""By corruption, then by model."""


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.mnist_c",
        description="Measure models on the 15 corruptions of MNIST-C.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--model", nargs="+", default=[DEFAULT_MODEL], metavar="NAME|FILE", help="which to measure")
    add(
        "--recipe",
        choices=("none", "mnist"),
        default="none",
        help="how pictures are prepared; 'none' (the default) feeds them as they are",
    )
    add("--limit", type=int, metavar="N", help="so many pictures, from all over the test set")
    add("--seed", type=int, default=0, help="for the corruptions' random numbers; default: 0")
    add("--json", action="store_true", help="print one JSON object, no table")
    add("--out", metavar="PNG", help="draw some pictures of every corruption into this file")
    parsed = parser.parse_args(arguments)
    if parsed.limit is not None and parsed.limit < 1:
        parser.error("--limit must be at least 1")
    if parsed.seed < 0:
        parser.error("--seed must be at least 0")
    return parsed


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
    """So many numbers from all over the range: MNIST's first half is easier than its second."""
    count = min(limit or total, total)
    return np.arange(count) * total // count


def measure(
    readers: dict[str, Reader], images: Images, labels: np.ndarray, options: argparse.Namespace
) -> Accuracies:
    """Corrupt, prepare and read: the share that is right, clean first."""
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
    """The pictures as they are, then by corruption."""
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
    return np.array(reader.class_names)[reader.probabilities_of(prepared).argmax(axis=1)]


def mean(accuracies: Accuracies) -> dict[str, float]:
    """Over the 15, each counting alike; the clean pictures are not among them."""
    return {
        model: sum(accuracies[name][model] for name in CORRUPTIONS) / len(CORRUPTIONS)
        for model in accuracies[CLEAN]
    }


def text(accuracies: Accuracies, options: argparse.Namespace) -> str:
    """A row for each corruption, a column for each model."""
    models = list(accuracies[CLEAN])
    rows = [(name, *(percent(row[model]) for model in models)) for name, row in accuracies.items()]
    where = f"recipe: {options.recipe}, seed {options.seed}; {machine_line('numpy', 'scipy')}"
    return f"{table([('right', *models), *rows])}\n{where}"


def as_json(accuracies: Accuracies, options: argparse.Namespace) -> str:
    """Everything that was measured, as one object."""
    settings = {"recipe": options.recipe, "limit": options.limit, "seed": options.seed}
    where = {"machine": machine_line("numpy", "scipy"), **settings}
    return json.dumps({**where, "accuracy": accuracies})


def draw(images: Images, labels: np.ndarray, path: str, seed: int, scale: int = 2) -> None:
    """A contact sheet: one row as they are, one for each corruption; two of every digit."""
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
