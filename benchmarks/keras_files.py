"""How many Keras files of a folder are read, and what they reach on MNIST's test pictures.

    TINYMNIST_DATA=data/mnist python -m benchmarks.keras_files ../shared/models

The folder holds ``manifest.csv`` beside the files: columns file, format, version, accuracy or
accuracy_ours, scaling, loads_in_own_framework. The scaling on record is tried first, then all
others.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tinymnist.adapter import SCALINGS
from tinymnist.data import load_mnist
from tinymnist.errors import InputError
from tinymnist.interop import open_model
from tinymnist.nn.sequential import Sequential

TOLERANCE = 2e-4


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", default="", help="a part of the files' names")
    arguments = parser.parse_args()
    pictures, labels = load_mnist("test")
    pictures = pictures[..., None].astype(np.float32) / 255
    print("| file | version | layers | accuracy here | on record | Keras opens it |")
    print("|---|---|---:|---:|---:|---|")
    for row in rows(arguments.folder, arguments.only):
        print(line(arguments.folder, row, pictures, labels), flush=True)


def rows(folder: Path, only: str) -> Iterator[dict[str, str]]:
    with open(folder / "manifest.csv", newline="") as file:
        for row in csv.DictReader(file):
            if row["format"] in ("h5", "keras") and only in row["file"]:
                yield row


def line(folder: Path, row: dict[str, str], pictures: Any, labels: Any) -> str:
    """One row of the table."""
    opens = {"ok": "yes", "n/a": "weights alone"}.get(row["loads_in_own_framework"], "no")
    start = f"| {row['file'].partition('/')[2]} | {row['version'].split(' /')[0]} | "
    expected = row["accuracy"] or row["accuracy_ours"]
    try:
        model = open_model(folder / row["file"])
    except InputError as error:
        return f"{start}refused: {str(error).partition(': ')[2]} | | {expected} | {opens} |"
    found, scaling = best(model, row["scaling"], float(expected), pictures, labels)
    note = "" if scaling == row["scaling"] else f" ({scaling})"
    return f"{start}{len(model)} | {found:.4f}{note} | {float(expected):.4f} | {opens} |"


def best(
    model: Sequential, first: str, expected: float, pictures: Any, labels: Any
) -> tuple[float, str]:
    """The accuracy that is nearest to the one on record, and the scaling that gives it."""
    results = {}
    for name in (first, *(n for n in SCALINGS if n != first)):
        scale, offset = SCALINGS[name]
        logits = model.predict(pictures * np.float32(scale) + np.float32(offset))
        results[name] = float((logits.argmax(-1) == labels).mean())
        if abs(results[name] - expected) <= TOLERANCE:
            break
    name = min(results, key=lambda n: abs(results[n] - expected))
    return results[name], name


if __name__ == "__main__":
    main()
