"""MNIST extended for training: other ways of writing, rendered digits, negative examples."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from functools import partial

import numpy as np
from numpy.typing import NDArray

from tinymnist.errors import InputError
from tinymnist.imaging.picture.pixels import Array
from tinymnist.imaging.synthetic.hands import HANDS, written
from tinymnist.imaging.synthetic.lettering import printed_digit
from tinymnist.imaging.synthetic.negatives import negative_example
from tinymnist.imaging.synthetic.scenes import SHARE_OF_BITMAPS, render_and_renormalize
from tinymnist.imaging.synthetic.styles import (
    drawn_seven,
    european_one,
    low_four,
    steep_seven,
    with_bar,
    with_flag,
)
from tinymnist.imaging.synthetic.touching import cut_from_neighbour
from tinymnist.processes import map_in_order

_CHUNK = 500  # pictures per task of a process; the random numbers depend on it
_BARRED = 3  # one of this many sevens is crossed
_CUT = 3  # one of this many digits is also cut from a neighbour
_DRAWN: list[tuple[Callable[[np.random.Generator], Array], int, float]] = [
    (low_four, 4, 1 / 30),
    (european_one, 1, 1 / 10),
    (drawn_seven, 7, 1 / 20),
    *((partial(printed_digit, digit), digit, 1 / 200) for digit in range(10)),
    *((partial(written, digit), digit, 1 / 100) for digit in HANDS),
]
"""Digits drawn from scratch: how, which digit, and how many per digit of the input."""
_SHARES_OF_BITMAPS: dict[object, float] = {with_flag: 0.0, european_one: 0.0, steep_seven: 0.7}
"""How many of a style become small bitmaps, where that is not :data:`.scenes.SHARE_OF_BITMAPS`. In
a dozen pixels a 1 with a level flag and a steep 7 are the same; what is that small is a 7."""
_NEGATIVES = 0.5  # negative examples per digit of the input
_MATERIAL = 2000  # negative examples are made from this many digits
Task = Callable[[Array, np.random.Generator], Array]


def count_new(labels: NDArray[np.int64], times: int) -> int:
    """The number of pictures that :func:`training_set` adds to digits with these labels."""
    ones, sevens = (int((labels == digit).sum()) for digit in (1, 7))
    drawn = sum(round(share * len(labels)) for _, _, share in _DRAWN)
    styled = ones + sevens + -(-sevens // _BARRED) + -(-len(labels) // _CUT) + drawn
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
    ones, sevens = plain[labels == 1], plain[labels == 7]
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

    changed: list[tuple[Task, Array, tuple[int, ...]]] = [
        (with_flag, ones, (0,)),
        (with_bar, sevens[::_BARRED], (1,)),
        (steep_seven, sevens, (5,)),
        (partial(cut_from_neighbour, plain[:_MATERIAL]), plain[::_CUT], (6,)),
    ]
    drawn: list[tuple[Task, Array, tuple[int, ...]]] = [
        (partial(_drawn, draw), _blank(share, plain), (2, number))
        for number, (draw, _, share) in enumerate(_DRAWN)
    ]
    styled = run(*changed, *drawn)
    styles = [None, *(style for style, _, _ in changed), *(draw for draw, _, _ in _DRAWN)]
    bitmaps = [_SHARES_OF_BITMAPS.get(style, SHARE_OF_BITMAPS) for style in styles]
    render = [partial(render_and_renormalize, share_of_bitmaps=share) for share in bitmaps]
    *rendered, negatives = run(
        *(
            (task, digits, (3, time, number))
            for time in range(times)
            for number, (task, digits) in enumerate(zip(render, [plain, *styled], strict=True))
        ),
        (partial(_drawn, draw_negative), _blank(_NEGATIVES, plain), (4,)),
    )
    classes_of = [digit for _, digit, _ in _DRAWN]
    repeated = np.repeat(classes_of, [len(made) for made in styled[len(changed) :]])
    written_on = [labels[labels == 1], labels[labels == 7][::_BARRED], labels[labels == 7]]
    digits = np.concatenate([labels, *written_on, labels[::_CUT], repeated])
    one_hot = np.eye(classes, dtype=np.float32)[np.tile(digits, 1 + times)]
    uniform = np.full((len(negatives), classes), 1 / classes, np.float32)
    made = np.concatenate([plain, *styled, *rendered, negatives])[..., None]
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
