"""MNIST extended for training: other ways of writing, rendered digits, negative examples."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import numpy as np
from numpy.typing import NDArray

from tinymnist.imaging.synthetic.negative_examples import negative_example
from tinymnist.imaging.synthetic.scenes import render_and_renormalize
from tinymnist.imaging.synthetic.styles import low_four, with_bar, with_flag

_CHUNK = 500
"""Pictures per task of a process; the random numbers depend on it."""
_BARRED = 3
"""One of this many sevens is crossed."""
_LOW_FOURS = 1 / 30
"""Drawn fours per digit of the input."""
_NEGATIVES = 0.25
"""Negative examples per digit of the input."""
_MATERIAL = 2000
"""Negative examples are made from this many digits."""

Images = NDArray[np.float32]
Task = Callable[[Images, np.random.Generator], Images]


def count_new(labels: NDArray[np.int64], times: int) -> int:
    """The number of pictures that :func:`training_set` adds to digits with these labels."""
    ones, sevens = (int((labels == digit).sum()) for digit in (1, 7))
    styled = ones + -(-sevens // _BARRED) + round(_LOW_FOURS * len(labels))
    return styled + times * (len(labels) + styled) + round(_NEGATIVES * len(labels))


def training_set(
    images: Images,
    labels: NDArray[np.int64],
    *,
    seed: int,
    times: int,
    classes: int = 10,
    workers: int | None = None,
    tick: Callable[[int], None] = lambda done: None,
) -> tuple[Images, Images]:
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
    fours = _blank(round(_LOW_FOURS * len(plain)), plain)
    with ProcessPoolExecutor(workers) as pool:
        run = partial(_in_chunks, pool=pool, tick=tick)
        flagged = run(with_flag, ones, [seed, 0])
        barred = run(with_bar, sevens, [seed, 1])
        drawn = run(_low_four, fours, [seed, 2])
        written = np.concatenate([plain, flagged, barred, drawn])
        rendered = [run(render_and_renormalize, written, [seed, 3, time]) for time in range(times)]
        blank = _blank(round(_NEGATIVES * len(plain)), plain)
        negatives = run(partial(_negative_example, plain[:_MATERIAL]), blank, [seed, 4])
    styled = [(flagged, 1), (barred, 7), (drawn, 4)]
    digits = np.concatenate([labels, *(np.full(len(made), digit) for made, digit in styled)])
    one_hot = np.eye(classes, dtype=np.float32)[np.tile(digits, 1 + times)]
    uniform = np.full((len(negatives), classes), 1 / classes, np.float32)
    made = np.concatenate([written, *rendered, negatives])[..., None]
    return made, np.concatenate([one_hot, uniform])


def _blank(count: int, like: Images) -> Images:
    return np.zeros((count, *like.shape[1:]), np.float32)


def _low_four(_: Images, rng: np.random.Generator) -> Images:
    return low_four(rng)


def _negative_example(digits: Images, _: Images, rng: np.random.Generator) -> Images:
    return negative_example(digits, rng)


def _in_chunks(
    task: Task,
    digits: Images,
    key: list[int],
    *,
    pool: ProcessPoolExecutor,
    tick: Callable[[int], None],
) -> Images:
    """Apply ``task`` to every digit; each chunk has its own generator."""
    chunks = [digits[start : start + _CHUNK] for start in range(0, len(digits), _CHUNK)]
    keys = [[*key, number] for number in range(len(chunks))]
    made = []
    for chunk in pool.map(partial(_one_chunk, task), chunks, keys):
        made.append(chunk)
        tick(len(chunk))
    return np.concatenate(made) if made else digits


def _one_chunk(task: Task, digits: Images, key: list[int]) -> Images:
    rng = np.random.default_rng(key)
    return np.stack([task(digit, rng) for digit in digits])
