"""MNIST extended for training: other ways of writing, rendered digits, negative examples.

Negative examples look a little like a digit but are not: a network should not be sure of them. It
has to decide which pieces of touching digits are digits, and which result of the recipe shows one.
A network trained on digits alone takes everything for a digit (D. Hendrycks, M. Mazeika and T.
Dietterich, "Deep Anomaly Detection with Outlier Exposure", ICLR 2019), so some training examples
should not be digits, with equal probabilities for all classes as the target.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from functools import partial

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from tinymnist.errors import InputError
from tinymnist.imaging.digit.components import bounds
from tinymnist.imaging.digit.frame import BOX, SIDE, centre, fit_box
from tinymnist.imaging.digit.isolate import NoDigitFound
from tinymnist.imaging.picture.pixels import Array
from tinymnist.imaging.synthetic.paint import clouds, pen_stroke
from tinymnist.imaging.synthetic.scenes import render_and_renormalize
from tinymnist.imaging.synthetic.styles import low_four, with_bar, with_flag
from tinymnist.processes import map_in_order

_CHUNK = 500  # pictures per task of a process; the random numbers depend on it
_BARRED = 3  # one of this many sevens is crossed
_LOW_FOURS = 1 / 30  # drawn fours per digit of the input
_NEGATIVES = 0.25  # negative examples per digit of the input
_MATERIAL = 2000  # negative examples are made from this many digits
_LETTERS = "AEFHKMNPRWXkmnrwx#%&*+@="
"""Printed letters and signs, without those that can be read as a digit."""

Task = Callable[[Array, np.random.Generator], Array]


def count_new(labels: NDArray[np.int64], times: int) -> int:
    """The number of pictures that :func:`training_set` adds to digits with these labels."""
    ones, sevens = (int((labels == digit).sum()) for digit in (1, 7))
    styled = ones + -(-sevens // _BARRED) + round(_LOW_FOURS * len(labels))
    return styled + times * (len(labels) + styled) + round(_NEGATIVES * len(labels))


def training_set(
    images: Array,
    labels: NDArray[np.int64],
    *,
    seed: int,
    times: int,
    classes: int = 10,
    workers: int | None = None,
    tick: Callable[[int], None] = lambda done: None,
) -> tuple[Array, Array]:
    """Add other ways of writing, digits rendered into pictures, and negative examples.

    Args:
        images: (n, 28, 28, 1) in MNIST's form, 0..1.
        labels: (n,), the digits.
        seed: determines the result, whatever the number of processes.
        times: how often to render every digit into a picture.
        classes: number of classes, at least 10.
        workers: number of processes; None uses every core.
        tick: called with the number of pictures made since the last call.

    Returns:
        The images followed by the new ones, and a row of probabilities (classes,) for each: 1 for
        the digit, or the same for every class if it is a negative example.
    """
    plain = images[..., 0]
    ones, sevens = plain[labels == 1], plain[labels == 7][::_BARRED]
    draw_negative = partial(negative_example, plain[:_MATERIAL])

    def run(*jobs: tuple[Task, Array, tuple[int, ...]]) -> list[Array]:
        """Apply each job's task to all of its digits; each chunk has its own generator."""
        chunks = [
            (task, digits[start : start + _CHUNK], [seed, *key, number])
            for task, digits, key in jobs
            for number, start in enumerate(range(0, len(digits), _CHUNK))
        ]
        parts = [[digits[:0]] for _, digits, _ in jobs]
        owners = [i for i, (_, digits, _) in enumerate(jobs) for _ in range(0, len(digits), _CHUNK)]
        with closing(map_in_order(_one_chunk, chunks, workers)) as made:
            for owner, chunk in zip(owners, made, strict=True):
                if isinstance(chunk, InputError):
                    raise chunk
                parts[owner].append(chunk)
                tick(len(chunk))
        return [np.concatenate(own) for own in parts]

    drawn_fours = (partial(_drawn, low_four), _blank(_LOW_FOURS, plain), (2,))
    flagged, barred, drawn = run((with_flag, ones, (0,)), (with_bar, sevens, (1,)), drawn_fours)
    written = np.concatenate([plain, flagged, barred, drawn])
    *rendered, negatives = run(
        *((render_and_renormalize, written, (3, time)) for time in range(times)),
        (partial(_drawn, draw_negative), _blank(_NEGATIVES, plain), (4,)),
    )
    styled = [(flagged, 1), (barred, 7), (drawn, 4)]
    digits = np.concatenate([labels, *(np.full(len(made), digit) for made, digit in styled)])
    one_hot = np.eye(classes, dtype=np.float32)[np.tile(digits, 1 + times)]
    uniform = np.full((len(negatives), classes), 1 / classes, np.float32)
    made = np.concatenate([written, *rendered, negatives])[..., None]
    return made, np.concatenate([one_hot, uniform])


def _blank(share: float, like: Array) -> Array:
    return np.zeros((round(share * len(like)), *like.shape[1:]), np.float32)


def _drawn(
    draw: Callable[[np.random.Generator], Array], _: Array, rng: np.random.Generator
) -> Array:
    """A picture from scratch, as a task."""
    return draw(rng)


def _one_chunk(job: tuple[Task, Array, list[int]]) -> Array:
    task, digits, key = job
    rng = np.random.default_rng(key)
    return np.stack([task(digit, rng) for digit in digits])


def negative_example(digits: Array, rng: np.random.Generator) -> Array:
    """Draw a picture (28, 28) that is not a digit, from digits (n, 28, 28) in MNIST's form.

    It is in MNIST's form too, except for inverted pictures.
    """
    kind = rng.choice(len(KINDS), p=list(KINDS.values()))
    return list(KINDS)[kind](digits, rng)


def inverted(digits: Array, rng: np.random.Generator) -> Array:
    """A digit in the wrong polarity."""
    swapped: Array = 1 - digits[rng.integers(len(digits))]
    return swapped


def pair(digits: Array, rng: np.random.Generator) -> Array:
    """Two digits that touch, or one and a good part of its neighbour."""
    left, right = (d[bounds(d > 0.3)] for d in digits[rng.integers(len(digits), size=2)])
    canvas = np.zeros((SIDE, 2 * SIDE), np.float32)
    beside = max(left.shape[1] + int(rng.integers(-3, 2)), 0)
    for digit, start in ((left, 0), (right, beside)):
        top = int(np.clip((SIDE - digit.shape[0]) // 2 + rng.integers(-3, 4), 0, BOX // 2 - 2))
        room = canvas[top : top + digit.shape[0], start : start + digit.shape[1]]
        np.maximum(room, digit, out=room)
    whole = canvas[bounds(canvas > 0.3)]
    cut = round(rng.uniform(0.35, 0.5) * right.shape[1]) if rng.random() < 0.3 else 0
    return _formed(whole[:, : whole.shape[1] - cut])


def scribble(digits: Array, rng: np.random.Generator) -> Array:
    """A few meaningless strokes."""
    canvas = np.zeros((SIDE, SIDE), np.float32)
    radius = rng.uniform(0.7, 1.7)
    for _ in range(rng.integers(4, 8)):
        ends = rng.uniform(4, 24, (2, 2))
        np.maximum(canvas, pen_stroke(canvas.shape, ends, radius), out=canvas)
    return _formed(canvas)


def blot(digits: Array, rng: np.random.Generator) -> Array:
    """Clouds with hard or soft edges."""
    grey = clouds((SIDE, SIDE), int(rng.integers(3, 9)), rng)
    return _formed(np.clip((grey - rng.uniform(-0.3, 0.8)) / rng.uniform(0.1, 1), 0, 1))


def letter(digits: Array, rng: np.random.Generator) -> Array:
    """A printed letter or sign."""
    image = Image.new("L", (3 * SIDE, 3 * SIDE), 0)
    font = ImageFont.load_default(float(rng.integers(40, 60)))
    ImageDraw.Draw(image).text((12, 6), str(rng.choice(list(_LETTERS))), 255, font)
    return _formed(np.asarray(image, np.float32) / np.float32(255))


KINDS = {inverted: 0.25, pair: 0.4, scribble: 0.1, blot: 0.1, letter: 0.15}
"""Every kind and its probability: functions of the digits and the generator."""


def _formed(ink: Array) -> Array:
    """Bring ink to MNIST's form; an empty picture stays empty."""
    try:
        return centre(fit_box(ink))
    except NoDigitFound:
        return np.zeros((SIDE, SIDE), np.float32)
