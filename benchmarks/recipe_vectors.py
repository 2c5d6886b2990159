"""Draws the test vectors of the recipe: ``python -m benchmarks.recipe_vectors FILE.npz``.

They are for those who write the recipe again in another language, and for the self-tests of
exported models. tests/imaging/test_recipe_vectors.py checks that the shipped ones are current.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import command_line
from tinymnist.files import whole_file
from tinymnist.imaging.digit.normalize import normalize
from tinymnist.imaging.picture.pixels import Array, luminance
from tinymnist.imaging.synthetic.paint import ink, slope

Bytes = NDArray[np.uint8]


def drawn() -> dict[str, Bytes]:
    """Grey pictures (h, w) as displayed, each with one difficulty; a name begins with its digit."""
    rng = np.random.default_rng(0)
    pictures = {
        "3-dark-on-light": 0.95 - 0.8 * ink(3, (48, 40), height=0.6, pen=0.1),
        "5-light-on-dark": 0.1 + 0.8 * ink(5, (44, 44), height=0.6, pen=0.1),
        "2-fills-a-small-bitmap": ink(2, (16, 16), height=0.94, pen=0.15),
        "4-thin": 1 - ink(4, (100, 80), height=0.6, pen=0.04),
        "8-broad": 1 - ink(8, (60, 60), height=0.8, pen=0.14),
        "0-MNIST": normalize(1 - ink(0, (60, 60), height=0.7, pen=0.12)),
        "3-on-ruled-paper": 1 - ink(3, (72, 72), height=0.6, pen=0.1),
    }
    shadow = (0.9 - 0.6 * ink(7, (90, 70), height=0.5, pen=0.08)) * (1 - 0.5 * slope((90, 70), 30))
    pictures["7-shadow-and-noise"] = shadow + 0.03 * rng.standard_normal(shadow.shape)
    pictures["3-on-ruled-paper"][12::20] = 0.5
    beside = 1 - ink(1, (64, 64), height=0.6, pen=0.1)
    beside[5:7, 8:10] = beside[50:56, 60:] = 0.2
    pictures["1-beside-specks"] = beside
    edge = 0.9 - 0.4 * ink(6, (60, 50), height=0.6, pen=0.1)
    edge[:5] = 0
    pictures["6-below-a-dark-edge"] = edge
    specks = 1 - ink(9, (32, 32), height=0.7, pen=0.12)
    specks[rng.random(specks.shape) < 0.04] = 0
    pictures["9-in-specks"] = specks
    return {name: to_bytes(grey) for name, grey in pictures.items()}


def to_bytes(grey: Array) -> Bytes:
    """Values in 0..1 as bytes."""
    return (np.clip(grey, 0, 1) * 255 + 0.5).astype(np.uint8)


def vectors() -> dict[str, Bytes]:
    """By ``NAME/input`` what was drawn, by ``NAME/expected`` MNIST's form, (28, 28) in 0..255."""
    made: dict[str, Bytes] = {}
    for name, grey in drawn().items():
        made[f"{name}/input"] = grey
        made[f"{name}/expected"] = to_bytes(normalize(luminance(grey)))
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the file."""
    parser = command_line("recipe_vectors", "Draw the test vectors of the recipe.")
    parser.add_argument("file", type=Path, metavar="FILE.npz")
    with whole_file(parser.parse_args(arguments).file) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, **vectors())  # type: ignore[arg-type]
    return 0


if __name__ == "__main__":
    sys.exit(main())
