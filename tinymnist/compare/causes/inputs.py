"""The input: scaled, inverted, or with its axes in another order."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from tinymnist.compare.causes.base import (
    LAYOUT,
    POLARITY,
    SCALING,
    Experiments,
    Scene,
    Variant,
)
from tinymnist.compare.rerun import Trial
from tinymnist.nn.arrays import Array

MNIST_MEAN, MNIST_DEVIATION = 0.1307, 0.3081


class Line(NamedTuple):
    """``x * slope + shift``."""

    slope: float
    shift: float
    name: str


def _lines() -> Iterator[Line]:
    """The scalings that people use, and how to get from each to each other."""
    known = {
        "0..1": (1.0, 0.0),
        "0..255": (255.0, 0.0),
        "-1..1": (2.0, -1.0),
        "-0.5..0.5": (1.0, -0.5),
        "(x - 0.1307) / 0.3081": (1 / MNIST_DEVIATION, -MNIST_MEAN / MNIST_DEVIATION),
    }
    for (one, (a, b)), (other, (c, d)) in itertools.permutations(known.items(), 2):
        # one is a u + b, other is c u + d, so other is (c / a) one + (d - b c / a)
        yield Line(c / a, d - b * c / a, f"from {one} to {other}")


LINES = tuple(_lines())


def scalings(scene: Scene) -> Experiments:
    """Another range, the negative, or both."""
    if not scene.from_start:
        return
    x = scene.trial.x
    negative = inverted(x)
    yield Variant(POLARITY, "the input inverted", scene.trial.with_input(negative))
    for line in LINES:
        scaled = scene.trial.with_input(x * line.slope + line.shift)
        yield Variant(SCALING, f"the input brought {line.name}", scaled)
    for line in LINES:
        both = scene.trial.with_input(negative * line.slope + line.shift)
        yield Variant(POLARITY, f"the input inverted and brought {line.name}", both)
    yield from _fitted(scene)


def inverted(x: Array) -> Array:
    """Black for white: in 0..1 or 0..255 if the pictures lie there, else within their own range."""
    low, high = float(x.min(initial=0)), float(x.max(initial=0))
    for top in (1.0, 255.0):
        if low >= 0 and high <= top:
            return top - x
    return low + high - x


def standardizing(scene: Scene) -> Experiments:
    """Each picture by its own mean and deviation, or all by those of the batch."""
    if not scene.from_start:
        return
    x = scene.trial.x
    for what, axes in (("each picture", tuple(range(1, x.ndim))), ("the batch", None)):
        deviation = x.std(axis=axes, keepdims=True)
        scaled = (x - x.mean(axis=axes, keepdims=True)) / np.maximum(deviation, 1e-7)
        change = f"the input scaled by mean and deviation of {what}"
        yield Variant(SCALING, change, scene.trial.with_input(scaled))


def _fitted(scene: Scene) -> Experiments:
    """The line that fits best, where what parts is still linear in the input.

    If a layer's output is ``z(x) = L x + z(0)``, then ``z(s x + t) = z(0) + s (z(x) - z(0)) +
    t (z(1) - z(0))``, so s and t are found by least squares. Of a fused ReLU, what lies above 0 is
    the z that went in.
    """
    seen, target = scene.pairs[scene.parting]
    name = f"{seen.layer} before relu" if seen.kind == "relu" else seen.name
    z = _named(scene.trial, name)
    zero, half, one = (_named(_grey(scene.trial, value), name) for value in (0.0, 0.5, 1.0))
    if z is None or zero is None or half is None or one is None:
        return
    usable = target.values > 0 if seen.kind == "relu" else np.isfinite(target.values)
    if not np.allclose(half, (zero + one) / 2, rtol=1e-4, atol=1e-5) or usable.sum() < 4:
        return  # not linear, or nothing to be seen
    gain = np.broadcast_to(one - zero, z.shape)
    columns = np.stack([(z - zero)[usable], gain[usable]], axis=1).astype(np.float64)
    (slope, shift), *_ = np.linalg.lstsq(columns, (target.values - zero)[usable], rcond=None)
    changed = scene.trial.with_input(scene.trial.x * slope + shift)
    cause = POLARITY if slope < 0 else SCALING
    yield Variant(cause, f"the input times {slope:.5g} plus {shift:.5g} (fitted)", changed)


def _grey(trial: Trial, value: float) -> Trial:
    """The trial with one picture of one grey."""
    return trial.with_input(np.full_like(trial.x[:1], value))


def _named(trial: Trial, name: str) -> Array | None:
    return next((output.values for output in trial.run() if output.name == name), None)


def orientations(scene: Scene) -> Experiments:
    """The picture's axes and channels in another order."""
    x = scene.trial.x
    if not scene.from_start or x.ndim != 4:
        return
    _, h, w, c = x.shape
    for order in list(itertools.permutations(range(c)))[1:24] if c <= 4 else ():
        change = f"the channels in the order {', '.join(map(str, order))}"
        yield Variant(LAYOUT, change, scene.trial.with_input(x[..., list(order)]))
    if c > 1:
        # what was (c, h, w) in memory is taken for (h, w, c), or the other way round
        first = x.reshape(-1, c, h, w).transpose(0, 2, 3, 1)
        yield Variant(LAYOUT, "the input read as channels first", scene.trial.with_input(first))
        last = x.transpose(0, 3, 1, 2).reshape(x.shape)
        change = "the input written as channels first"
        yield Variant(LAYOUT, change, scene.trial.with_input(last))
    if h == w:
        swapped = x.transpose(0, 2, 1, 3)
        change = "height and width of the input swapped"
        yield Variant(LAYOUT, change, scene.trial.with_input(swapped))
        for turns in (1, 3):
            turned = np.rot90(x, turns, axes=(1, 2))
            change = f"the input turned by {90 * turns} degrees"
            yield Variant(LAYOUT, change, scene.trial.with_input(turned))
    for change, flipped in (
        ("the input mirrored left to right", x[:, :, ::-1]),
        ("the input upside down", x[:, ::-1]),
        ("the input turned by 180 degrees", x[:, ::-1, ::-1]),
    ):
        yield Variant(LAYOUT, change, scene.trial.with_input(flipped))
