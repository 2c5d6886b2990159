"""Dropout that is still active: its mask visible in the numbers, or its spread further on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tinymnist.comparison.causes import DROPOUT, Experiment, Experiments, Mismatch
from tinymnist.nn.arrays import Array
from tinymnist.nn.layers import Dropout

_MIN_DROPPED_SHARE = 0.005
_RUNS = 32
_MARGIN = 0.25
"""How far a statistic may be outside the range of those of the runs, as a share of that range."""


def masks(mismatch: Mismatch) -> Experiments:
    """If some numbers are 0 and all others too large by the same factor, that is the mask."""
    seen, target = mismatch.pairs[mismatch.first]
    if not seen.layer:
        return
    a, b = seen.values.astype(np.float64), target.values.astype(np.float64)
    alive = np.abs(a) > 1e-6 * np.abs(a).max(initial=0.0)
    dropped = alive & (b == 0)
    kept = alive & ~dropped
    share = dropped.sum() / max(alive.sum(), 1)
    if not _MIN_DROPPED_SHARE < share < 1 - _MIN_DROPPED_SHARE or not kept.any():
        return
    factor = float(np.median(b[kept] / a[kept]))
    off = np.abs(b - a * np.where(dropped, 0, factor)).max() / np.abs(b).max()
    if factor < 1 - 1e-3 or off > 1e-4 or (factor < 1 + 1e-3 and (a[dropped] < 0).all()):
        return  # the last is what a ReLU does
    mask = np.where(dropped, 0.0, factor).astype(np.float32)
    rerun = mismatch.rerun.with_function(seen.layer, lambda y: y * mask)
    numbers = f"{100 * share:.0f} % of the numbers after {seen.layer}"
    yield Experiment(DROPOUT, f"{numbers} dropped, the others times {factor:.4g}", rerun)


def dropout_spread(mismatch: Mismatch) -> str | None:
    """Whether the first output that differs is within the spread of runs with dropout.

    The mask itself is not visible after a Dense layer. But the model can be run with dropout many
    times: these runs show how far dropout moves an output from that of the run without it.

    Returns:
        The observation in words; None if the output is outside that spread.
    """
    layers = mismatch.rerun.model.layers
    rates = [f"{100 * one.rate:.0f} %" for one in layers if isinstance(one, Dropout) and one.rate]
    if not rates:
        return None
    seen, target = mismatch.pairs[mismatch.first]
    random = replace(mismatch.rerun, dropout=np.random.default_rng(0))
    outputs = (one for _ in range(_RUNS) for one in random.run() if one.name == seen.name)
    runs = np.stack([_comparable(one.values, seen.kind) for one in outputs])
    still = _comparable(seen.values, seen.kind)
    found = _comparable(target.values, seen.kind)
    variance = np.square(runs - still).mean(axis=0)
    usable = variance > 1e-12 * max(float(variance.max(initial=0.0)), 1e-30)
    if not usable.any() or not np.isfinite(found).all():
        return None
    deviation = np.sqrt(np.where(usable, variance, np.inf))
    usual = np.array([_statistics((one - still) / deviation) for one in runs])
    low, high = usual.min(axis=0), usual.max(axis=0)
    room = _MARGIN * (high - low)
    statistics = _statistics((found - still) / deviation)
    if not ((low - room <= statistics) & (statistics <= high + room)).all():
        return None
    return (
        f"{seen.name} deviates as much as in {_RUNS} runs with a dropout of {' and '.join(rates)}"
    )


def _statistics(scores: Array) -> Array:
    """What distinguishes chance from a fault: sizes and mean of deviations, and how they repeat.

    Dropout draws again for each example; a fault changes all of them in the same way, so that the
    mean over the examples is large.
    """
    over_examples = np.square(scores.mean(axis=0)).mean()
    return np.array([np.square(scores).mean(), np.abs(scores).mean(), scores.mean(), over_examples])


def _comparable(values: Array, kind: str) -> Array:
    """Probabilities by their logarithms, which spread evenly; other values as they are."""
    exact: Array = values.astype(np.float64)
    if kind != "softmax":
        return exact
    logs: Array = np.log(np.maximum(exact, 1e-30))
    logs -= logs.mean(axis=-1, keepdims=True)
    return logs
