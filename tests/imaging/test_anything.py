"""Whatever comes in: a digit, "no digit found", or one clear line; never another exception.

``TINYMNIST_EXAMPLES`` says how many random pictures to try; CI tries 10,000.
"""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tinymnist.errors import InputError
from tinymnist.imaging.digit.recipes import prepare_image
from tinymnist.imaging.synthetic.paint import ink

EXAMPLES = int(os.environ.get("TINYMNIST_EXAMPLES", "600"))
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "ICO", "TGA", "PCX")


def random_array(rng: Any) -> Any:
    """Any dtype, shape and content that a program might hand over, sensible or not."""
    shapes = [(1, 1), (1, 50), (50, 1), (28, 28), (28, 28, 1), (1, 28, 28), (40, 30, 3),
              (33, 17, 4), (20, 20, 2), (0, 5), (5,), (3, 3, 3, 3), (300, 4), (64, 64)]  # fmt: skip
    shape = shapes[rng.integers(len(shapes))]
    content = [
        lambda: rng.random(shape),
        lambda: rng.random(shape) * 255,
        lambda: rng.standard_normal(shape) * 10.0 ** rng.integers(-5, 6),
        lambda: rng.random(shape) < rng.random(),
        lambda: np.full(shape, rng.choice([0, 1, 255, np.nan, np.inf, -np.inf, 1e300])),
        lambda: np.round(rng.random(shape) * 4) / 4,
        lambda: np.cumsum(rng.standard_normal(shape), axis=-1),
    ]
    array = np.asarray(content[rng.integers(len(content))]())
    dtype = rng.choice(["bool", "uint8", "int8", "uint16", "int32", "int64", "float16", "float32",
                        "float64", "complex64", "object", "U3"])  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # such a cast overflows, on purpose
        return array.astype(dtype)


def files() -> Iterator[Any]:
    """A digit in every format."""
    image = Image.fromarray(np.uint8(255 * (1 - ink(5, (40, 36), height=0.7, pen=0.12))))
    for kind in FORMATS:
        file = io.BytesIO()
        image.save(file, kind)
        yield file.getvalue()


def mutated(content: Any, rng: Any) -> Any:
    """Some bytes changed, cut, doubled or moved."""
    data = bytearray(content)
    for _ in range(rng.integers(1, 9)):
        place = int(rng.integers(len(data) + 1))
        kind = rng.integers(5)
        if kind == 0:
            data[place : place + 1] = bytes([rng.integers(256)])
        elif kind == 1:
            del data[place : place + int(rng.integers(1, 40))]
        elif kind == 2:
            data[place:place] = rng.integers(0, 256, rng.integers(1, 40), np.uint8).tobytes()
        elif kind == 3:
            data = data[:place] or bytearray(b"\0")
        else:
            data[place : place + 4] = bytes(rng.choice([0, 255, 127], 4).astype(np.uint8))
    return bytes(data)


def outcome(source: Any) -> Any:
    """ "digit" or the error's line; whatever else is raised comes out of here."""
    try:
        image = prepare_image(source)
    except InputError as error:
        assert "\n" not in str(error) and len(str(error)) > 10
        return str(error)
    assert image.shape == (28, 28, 1) and image.dtype == np.float32
    assert np.isfinite(image).all() and image.min() >= 0 and image.max() <= 1
    return "digit"


@pytest.mark.parametrize("part", range(4))
def test_arrays(part: int) -> None:
    rng = np.random.default_rng(part)
    seen = {outcome(random_array(rng)).split(":")[0] for _ in range(EXAMPLES // 8)}
    assert "digit" in seen and len(seen) > 2


@pytest.mark.parametrize("part", range(4))
def test_mutated_files(part: int) -> None:
    rng = np.random.default_rng(100 + part)
    originals = list(files())
    seen = set()
    for number in range(EXAMPLES // 8):
        content = mutated(originals[number % len(originals)], rng)
        seen.add(outcome(content) == "digit")
    assert seen == {True, False}
