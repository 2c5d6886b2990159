"""A training set made wider: MNIST's digits, again as pictures of theirs come out of the recipe."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import numpy as np
from numpy.typing import NDArray

from tinymnist.imaging.scenes import revisit
from tinymnist.imaging.styles import with_flag

_CHUNK = 500

Task = Callable[[NDArray[np.float32], np.random.Generator], NDArray[np.float32]]


def widen(
    images: NDArray[np.float32],
    labels: NDArray[np.int64],
    *,
    seed: int,
    workers: int | None = None,
    tick: Callable[[int], None] = lambda done: None,
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Add to every digit one that has been painted into a picture, and flags to the ones.

    Args:
        images: (n, 28, 28, 1) in MNIST's form, 0..1.
        labels: (n,), the digits themselves.
        seed: what is painted follows from it, however many processes work.
        workers: processes; None takes every core.
        tick: called with the number of pictures that were made since the last call.

    Returns:
        The images and labels, followed by the new ones.
    """
    plain = images[..., 0]
    ones = plain[labels == 1]
    with ProcessPoolExecutor(workers) as pool:
        run = partial(_in_chunks, pool=pool, tick=tick)
        flagged = run(with_flag, ones, [seed, 0])
        painted = run(revisit, np.concatenate([plain, flagged]), [seed, 1])
    made = np.concatenate([plain, flagged, painted])[..., None]
    numbers = np.concatenate([labels, np.ones(len(ones), labels.dtype)])
    return made, np.concatenate([numbers, numbers])


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
