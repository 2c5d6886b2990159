"""Dropout that is still active: its mask seen in the numbers, or its spread in the next layer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tinymnist.compare.causes.base import DROPOUT, Experiments, Scene, Variant
from tinymnist.compare.rerun import Trial
from tinymnist.nn.arrays import Array
from tinymnist.nn.layers import Dropout

_FEWEST = 0.005
"""The share of dropped numbers from which on it is taken for dropout."""
_RUNS = 32
_MARGIN = 0.25
"""How far a figure may lie outside of those of the runs, as a share of what they span."""


def masks(scene: Scene) -> Experiments:
    """Where some numbers are 0 and all others too large by one factor, there is the mask."""
    seen, target = scene.pairs[scene.parting]
    if not seen.layer:
        return
    a, b = seen.values.astype(np.float64), target.values.astype(np.float64)
    alive = np.abs(a) > 1e-6 * np.abs(a).max(initial=0.0)
    dropped = alive & (b == 0)
    kept = alive & ~dropped
    share = dropped.sum() / max(alive.sum(), 1)
    if not _FEWEST < share < 1 - _FEWEST or not kept.any():
        return
    factor = float(np.median(b[kept] / a[kept]))
    off = np.abs(b - a * np.where(dropped, 0, factor)).max() / np.abs(b).max()
    if factor < 1 - 1e-3 or off > 1e-4:
        return
    mask = np.where(dropped, 0.0, factor).astype(a.dtype)
    trial = replace(scene.trial, masks={**scene.trial.masks, seen.layer: mask.astype(np.float32)})
    change = f"{100 * share:.0f} % of the numbers behind {seen.layer} dropped, the others times "
    yield Variant(DROPOUT, f"{change}{factor:.4g}", trial)


def spread(scene: Scene) -> str | None:
    """Whether what parts lies where runs with dropout lie.

    The mask itself is not seen behind a Dense layer. But the model can be run with dropout many
    times: these runs say how far from the run without it an output has to be expected.

    Returns:
        What was found, in words; None if the numbers say something else.
    """
    dropouts = [one for one in scene.trial.model.layers if isinstance(one, Dropout) and one.rate]
    seen, target = scene.pairs[scene.parting]
    if not dropouts:
        return None
    rng = np.random.default_rng(0)
    runs = np.stack(
        [_output(replace(scene.trial, dropout=rng), seen.name, seen.kind) for _ in range(_RUNS)]
    )
    still = _comparable(seen.values, seen.kind)
    variance = np.square(runs - still).mean(axis=0)
    usable = variance > 1e-12 * max(float(variance.max(initial=0.0)), 1e-30)
    found = _comparable(target.values, seen.kind)
    if not usable.any() or not np.isfinite(found).all():
        return None
    deviation = np.sqrt(np.where(usable, variance, np.inf))
    usual = np.array([_figures((one - still) / deviation) for one in runs])
    room = _MARGIN * (usual.max(axis=0) - usual.min(axis=0))
    figures = _figures((found - still) / deviation)
    if not ((usual.min(axis=0) - room <= figures) & (figures <= usual.max(axis=0) + room)).all():
        return None
    rates = " and ".join(f"{100 * one.rate:.0f} %" for one in dropouts)
    return f"{seen.name} lies as far off as in {_RUNS} runs with a dropout of {rates}"


def _figures(scores: Array) -> Array:
    """What tells chance from a fault: the size of deviations, their mean, and how they repeat.

    Dropout draws anew for each example; a fault does the same to all of them, so that the mean
    over the examples is large.
    """
    over_examples = np.square(scores.mean(axis=0)).mean()
    return np.array([np.square(scores).mean(), np.abs(scores).mean(), scores.mean(), over_examples])


def _output(trial: Trial, name: str, kind: str) -> Array:
    values = next(output.values for output in trial.run() if output.name == name)
    return _comparable(values, kind)


def _comparable(values: Array, kind: str) -> Array:
    """Probabilities by their logarithms, which spread evenly; everything else as it is."""
    exact: Array = values.astype(np.float64)
    if kind != "softmax":
        return exact
    logs: Array = np.log(np.maximum(exact, 1e-30))
    logs -= logs.mean(axis=-1, keepdims=True)
    return logs
