"""The input: scaled, inverted, or with its axes in another order."""

from __future__ import annotations

import itertools

import numpy as np

from tinymnist.comparison.causes import LAYOUT, POLARITY, SCALING, Experiments, Mismatch
from tinymnist.comparison.rerun import Rerun
from tinymnist.nn.arrays import Array

_MNIST_MEAN, _MNIST_DEVIATION = 0.1307, 0.3081
"""Of MNIST's training pixels in 0..1, as PyTorch's examples normalize them."""
_RANGES = {
    "0..1": (1.0, 0.0),
    "0..255": (255.0, 0.0),
    "-1..1": (2.0, -1.0),
    "-0.5..0.5": (1.0, -0.5),
    "(x - 0.1307) / 0.3081": (1 / _MNIST_DEVIATION, -_MNIST_MEAN / _MNIST_DEVIATION),
}
"""The slope and shift that lead from 0..1 to each of the usual ranges."""
_LINES = [
    # one is a u + b, other is c u + d, so other is (c / a) one + (d - b c / a)
    (c / a, d - b * c / a, f"from {one} to {other}")
    for (one, (a, b)), (other, (c, d)) in itertools.permutations(_RANGES.items(), 2)
]
"""Slope, shift and name, from each of the ranges to each other."""


def scalings(mismatch: Mismatch) -> Experiments:
    """Another range, the negative, or both; a fitted line; scaled by mean and deviation."""
    if not mismatch.from_start:
        return
    x = mismatch.rerun.x
    negative = _inverted(x)
    yield mismatch.feed(POLARITY, "the input inverted", negative)
    for slope, shift, name in _LINES:
        yield mismatch.feed(SCALING, f"the input brought {name}", x * slope + shift)
    for slope, shift, name in _LINES:
        change = f"the input inverted and brought {name}"
        yield mismatch.feed(POLARITY, change, negative * slope + shift)
    yield from fitted_line(mismatch)
    for what, axes in (("each picture", tuple(range(1, x.ndim))), ("the batch", None)):
        deviation = np.maximum(x.std(axis=axes, keepdims=True), 1e-7)
        change = f"the input scaled by mean and deviation of {what}"
        scaled = (x - x.mean(axis=axes, keepdims=True)) / deviation
        yield mismatch.feed(SCALING, change, scaled)


def _inverted(x: Array) -> Array:
    """The negative within 0..1 or 0..255, if the values are in one of these, or their own range."""
    low, high = float(x.min(initial=0)), float(x.max(initial=0))
    tops = (top for top in (1.0, 255.0) if low >= 0 and high <= top)
    return next(tops, low + high) - x


def fitted_line(mismatch: Mismatch) -> Experiments:
    """The line that fits best, if the output that differs is still linear in the input.

    If a layer's output is ``z(x) = L x + z(0)``, then ``z(s x + t) = z(0) + s (z(x) - z(0)) +
    t (z(1) - z(0))``, so s and t are found by least squares. Of a fused ReLU's output, the values
    above 0 equal its input z.
    """
    if not mismatch.from_start:
        return
    seen, target = mismatch.pairs[mismatch.first]
    name = f"{seen.layer} before relu" if seen.kind == "relu" else seen.name
    x = mismatch.rerun.x
    grey = (mismatch.rerun.with_input(np.full_like(x[:1], level)) for level in (0.0, 0.5, 1.0))
    z, zero, half, one = (_output(rerun, name) for rerun in (mismatch.rerun, *grey))
    if z is None or zero is None or half is None or one is None or not np.isfinite(z).all():
        return
    usable = target.values > 0 if seen.kind == "relu" else np.isfinite(target.values)
    if not np.allclose(half, (zero + one) / 2, rtol=1e-4, atol=1e-5) or usable.sum() < 4:
        return  # not linear, or too few values to fit
    gain = np.broadcast_to(one - zero, z.shape)
    columns = np.stack([(z - zero)[usable], gain[usable]], axis=1).astype(np.float64)
    (slope, shift), *_ = np.linalg.lstsq(columns, (target.values - zero)[usable], rcond=None)
    cause = POLARITY if slope < 0 else SCALING
    change = f"the input times {slope:.5g} plus {shift:.5g} (fitted)"
    yield mismatch.feed(cause, change, x * slope + shift)


def _output(rerun: Rerun, name: str) -> Array | None:
    return next((output.values for output in rerun.steps() if output.name == name), None)


def orientations(mismatch: Mismatch) -> Experiments:
    """The picture's axes and channels in another order."""
    x = mismatch.rerun.x
    if not mismatch.from_start or x.ndim != 4:
        return
    _, h, w, c = x.shape
    turned: dict[str, Array] = {}
    for order in list(itertools.permutations(range(c)))[1:] if c <= 4 else ():
        turned[f"the channels in the order {', '.join(map(str, order))}"] = x[..., list(order)]
    if c > 1:
        # (c, h, w) in memory was taken for (h, w, c), or the other way round
        turned["the input read as channels first"] = x.reshape(-1, c, h, w).transpose(0, 2, 3, 1)
        written = x.transpose(0, 3, 1, 2).reshape(x.shape)
        turned["the input written as channels first"] = written
    if h == w:
        turned["height and width of the input swapped"] = x.transpose(0, 2, 1, 3)
        turned["the input turned by 90 degrees"] = np.rot90(x, 1, axes=(1, 2))
        turned["the input turned by 270 degrees"] = np.rot90(x, 3, axes=(1, 2))
    turned["the input mirrored left to right"] = x[:, :, ::-1]
    turned["the input upside down"] = x[:, ::-1]
    turned["the input turned by 180 degrees"] = x[:, ::-1, ::-1]
    for change, pictures in turned.items():
        yield mismatch.feed(LAYOUT, change, pictures)
