"""A training set made wider: MNIST's digits, again as pictures of theirs come out of the recipe."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import numpy as np
from numpy.typing import NDArray

from tinymnist.imaging.synthetic.negative_examples import nondigit
from tinymnist.imaging.synthetic.scenes import revisit
from tinymnist.imaging.synthetic.styles import low_four, with_bar, with_flag

_CHUNK = 500
_BARRED = 3
"""One 7 in so many is crossed."""
_LOW_FOURS = 1 / 30
"""So many fours are drawn for each digit of MNIST."""
_NONE = 0.25
"""How many pictures without a digit there are for each digit of MNIST."""
_SOURCES = 2000
"""Of so many digits they are made."""

Task = Callable[[NDArray[np.float32], np.random.Generator], NDArray[np.float32]]


def count_new(labels: NDArray[np.int64], times: int) -> int:
    """How many pictures :func:`widen` makes for such digits."""
    ones, sevens = (int((labels == digit).sum()) for digit in (1, 7))
    strange = ones + -(-sevens // _BARRED) + round(_LOW_FOURS * len(labels))
    return strange + times * (len(labels) + strange) + round(_NONE * len(labels))


def widen(
    images: NDArray[np.float32],
    labels: NDArray[np.int64],
    *,
    seed: int,
    times: int,
    classes: int = 10,
    workers: int | None = None,
    tick: Callable[[int], None] = lambda done: None,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Add other ways of writing, digits that have been painted into pictures, and no digits.

    Args:
        images: (n, 28, 28, 1) in MNIST's form, 0..1.
        labels: (n,), the digits themselves.
        seed: what is painted follows from it, however many processes work.
        times: how often every digit is painted into a picture.
        classes: how many there are; at least 10.
        workers: processes; None takes every core.
        tick: called with the number of pictures that were made since the last call.

    Returns:
        The images, followed by the new ones, and a row of probabilities (classes,) for each: 1 for
        the digit, and the same for every class where there is none.
    """
    plain = images[..., 0]
    ones, sevens = plain[labels == 1], plain[labels == 7][::_BARRED]
    fours = np.zeros((round(_LOW_FOURS * len(plain)), *plain.shape[1:]), np.float32)
    with ProcessPoolExecutor(workers) as pool:
        run = partial(_in_chunks, pool=pool, tick=tick)
        flagged = run(with_flag, ones, [seed, 0])
        barred = run(with_bar, sevens, [seed, 1])
        drawn = run(_low_four, fours, [seed, 2])
        written = np.concatenate([plain, flagged, barred, drawn])
        painted = [run(revisit, written, [seed, 3, time]) for time in range(times)]
        empty = np.zeros((round(_NONE * len(plain)), *plain.shape[1:]), np.float32)
        none = run(partial(_nondigit, plain[:_SOURCES]), empty, [seed, 4])
    new = [(flagged, 1), (barred, 7), (drawn, 4)]
    digits = np.concatenate([labels, *(np.full(len(made), digit) for made, digit in new)])
    truth = np.eye(classes, dtype=np.float32)[np.tile(digits, 1 + times)]
    nothing = np.full((len(none), classes), 1 / classes, np.float32)
    made = np.concatenate([written, *painted, none])[..., None]
    return made, np.concatenate([truth, nothing])


def _low_four(_: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    return low_four(rng)


def _nondigit(
    digits: NDArray[np.float32], _: NDArray[np.float32], rng: np.random.Generator
) -> NDArray[np.float32]:
    return nondigit(digits, rng)


def _in_chunks(
    task: Task,
    digits: NDArray[np.float32],
    key: list[int],
    *,
    pool: ProcessPoolExecutor,
    tick: Callable[[int], None],
) -> NDArray[np.float32]:
    """``task`` for every digit; each chunk has a generator of its own."""
    starts = range(0, len(digits), _CHUNK)
    chunks = [digits[start : start + _CHUNK] for start in starts]
    keys = [[*key, number] for number in range(len(chunks))]
    made = []
    for chunk in pool.map(partial(_one_chunk, task), chunks, keys):
        made.append(chunk)
        tick(len(chunk))
    return np.concatenate(made) if made else digits


def _one_chunk(task: Task, digits: NDArray[np.float32], key: list[int]) -> NDArray[np.float32]:
    rng = np.random.default_rng(key)
    return np.stack([task(digit, rng) for digit in digits])
