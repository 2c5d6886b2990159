"""Dropout that is still active: its mask seen in the numbers, or its spread in the next layer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tinymnist.interop.compare.causes.base import DROPOUT, Experiments, Scene, Variant
from tinymnist.nn.arrays import Array
from tinymnist.nn.layers import Dense, Dropout, Layer
from tinymnist.nn.model import Sequential

_FEWEST = 0.005
"""The share of dropped numbers from which on it is taken for dropout."""
_TAIL = 4.0
"""How far the measured spread may be from the expected one, in standard errors."""


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
    """Whether what parts is scattered as dropout in front of it would scatter it.

    With the rate p, a Dense layer gives ``sum over i of m_i x_i K_ij`` where ``m_i`` is 0 or
    ``1 / (1 - p)``: the mean is what it gives without dropout, and the variance is
    ``p / (1 - p) * sum over i of (x_i K_ij)^2``.

    Returns:
        What was found, in words; None if the numbers say something else.
    """
    model = scene.trial.model
    for layer in scene.suspects:
        rate = _rate_before(model, layer)
        if not isinstance(layer, Dense) or rate is None:
            continue
        outputs = {output.name: output.values for output in scene.trial.run()}
        x, z = outputs[model.sources[layer.name][0]], outputs[layer.name]
        kernel = layer.kernel.astype(np.float64)
        seen, target = scene.pairs[scene.parting]
        if seen.layer != layer.name:
            return None
        found = target.values.astype(np.float64)
        if seen.kind == "softmax":
            z = outputs.get(f"{layer.name} before softmax", z)
            with np.errstate(divide="ignore"):
                found = np.log(found)
            found, kernel = found - found.mean(1, keepdims=True), kernel - kernel.mean(1)[:, None]
            z = z - z.mean(1, keepdims=True)
        variance = rate / (1 - rate) * (x.astype(np.float64) ** 2 @ kernel**2)
        if _fits(found - z, variance, positive_only=seen.kind == "relu", found=found):
            return (
                f"{layer.name} is scattered as the {100 * rate:.0f} % dropout in front of it "
                "would scatter it"
            )
    return None


def _fits(gap: Array, variance: Array, *, positive_only: bool, found: Array) -> bool:
    """Whether gaps have mean 0 and the variance that they should."""
    usable = np.isfinite(gap) & (variance > 0)
    if positive_only:
        usable &= found > 0
    scores = gap[usable] / np.sqrt(variance[usable])
    # The units of one picture share a mask; count the pictures as half of what is independent.
    independent = max(len(gap) * 2, 1)
    if len(scores) < 16:
        return False
    error = np.sqrt(2 / independent)
    return bool(abs(scores.std() - 1) < _TAIL * error / 2 and abs(scores.mean()) < _TAIL * error)


def _rate_before(model: Sequential, layer: Layer) -> float | None:
    """The rate of the Dropout that a layer takes its input from."""
    known = {one.name: one for one in model.layers}
    name = model.sources[layer.name][0]
    while (above := known.get(name)) is not None:
        if isinstance(above, Dropout):
            return above.rate or None
        if above.parameters or len(model.sources[name]) != 1 or len(model.shapes[name]) != 1:
            return None
        name = model.sources[name][0]
    return None
