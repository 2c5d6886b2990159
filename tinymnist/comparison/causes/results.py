"""The end of a model: its softmax, the order of its classes, the scale of its results."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from tinymnist.comparison import causes
from tinymnist.comparison.causes import Experiment, Experiments, Mismatch
from tinymnist.comparison.rerun import Rerun, changed
from tinymnist.nn import functional as F
from tinymnist.nn import layers as L
from tinymnist.nn.arrays import Array

_HEADS: dict[str, Callable[[Array], Array]] = {
    "no softmax at the end": lambda z: z,
    "one softmax at the end": lambda z: F.softmax(z)[0],
    "two softmaxes at the end": lambda z: F.softmax(F.softmax(z)[0])[0],
    "three softmaxes at the end": lambda z: F.softmax(F.softmax(F.softmax(z)[0])[0])[0],
    "a log-softmax at the end": lambda z: F.log_softmax(z)[0],
    "a log-softmax of the softmax at the end": lambda z: F.log_softmax(F.softmax(z)[0])[0],
    "a sigmoid at the end": lambda z: F.sigmoid(z)[0],
    "a softmax over the batch at the end": lambda z: np.moveaxis(
        F.softmax(np.moveaxis(z, 0, -1))[0], -1, 0
    ),
}
_REORDERING = (L.Flatten, L.Reshape, L.Permute, L.Dropout)
"""Layers that leave every number as it is."""
_SAME = 1e-4
"""Up to this share of the largest number, a fitted result counts as the other side's."""


def heads(mismatch: Mismatch) -> Experiments:
    """Softmax left out, repeated or replaced at the end, if nothing before it differs."""
    bare, place = _without_softmax(mismatch.rerun)
    if _is_at_the_end(mismatch, place):
        for change, head in _HEADS.items():
            yield Experiment(causes.SOFTMAX, change, bare.with_function(place, head))


def _without_softmax(rerun: Rerun) -> tuple[Rerun, str]:
    """The run with every softmax at its end switched off, and the layer whose output they take.

    Behind a softmax there may be layers that only reorder its numbers; they stay.
    """
    twins: dict[str, L.Layer] = {}
    place = rerun.model.layers[-1].name
    for layer in reversed(rerun.model.layers):
        activation = getattr(layer, "activation", "")
        is_softmax = isinstance(layer, L.Softmax) or activation in ("softmax", "log_softmax")
        if is_softmax:
            place = layer.name
            linear = L.Activation("linear", name=place)
            twins[place] = changed(layer, activation="linear") if layer.parameters else linear
        if layer.parameters or not (is_softmax or isinstance(layer, _REORDERING)):
            break
    after = {name: function for name, function in rerun.after.items() if name not in twins}
    return replace(rerun.with_layers(twins), after=after), place


def _is_at_the_end(mismatch: Mismatch, place: str) -> bool:
    """Whether the first mismatch is the output of this layer or of one behind it."""
    seen = mismatch.pairs[mismatch.first].a
    return bool(seen.layer) and seen.layer not in mismatch.before(place) and not seen.inner


def class_orders(mismatch: Mismatch) -> Experiments:
    """The units of the last Dense layer in the order in which the other side has their values."""
    weighted = [layer for layer in mismatch.rerun.model.layers if layer.parameters]
    seen, target = mismatch.pairs[mismatch.first]
    if not weighted or not isinstance(weighted[-1], L.Dense) or seen.values.ndim != 2:
        return
    layer, a, b = weighted[-1], seen.values, target.values
    if a.shape != (len(b), layer.units) or seen.layer in mismatch.before(layer.name):
        return
    distance = np.abs(b[:, :, None] - a[:, None, :]).max(axis=0)  # (units of b, units of a)
    order = distance.argmin(axis=1)
    if sorted(order) == [*range(layer.units)] and (order != np.arange(layer.units)).any():
        bias = None if layer.bias is None else layer.bias[order]
        twin = changed(layer, kernel=layer.kernel[:, order], bias=bias)
        words = ", ".join(map(str, order[:16])) + (" ..." if layer.units > 16 else "")
        yield mismatch.swap(causes.CLASSES, f"the classes in the order {words}", {layer.name: twin})


def output_scalings(mismatch: Mismatch) -> Experiments:
    """The last output times a factor plus a constant; or the same of what softmax takes."""
    last = mismatch.rerun.model.layers[-1].name
    seen, target = mismatch.pairs[mismatch.first]
    if seen.layer != last or seen.inner:
        return
    if (line := _line(seen.values, target.values)) is not None:
        slope, shift = line
        change = f"the output times {slope:.5g} plus {shift:.5g} (fitted)"
        scaled = mismatch.rerun.with_function(last, lambda y: y * slope + shift)
        yield Experiment(causes.OUTPUT, change, scaled)
    bare, place = _without_softmax(mismatch.rerun)
    if target.values.ndim != 2 or (target.values <= 0).any():
        return
    z = bare.run()[-1].values.astype(np.float64)
    logs = np.log(target.values.astype(np.float64))
    pair = (one - one.mean(axis=1, keepdims=True) for one in (z, logs))
    if (line := _line(*pair)) is not None:
        slope = line[0]
        change = f"the logits times {slope:.5g} before the softmax (fitted)"
        scaled = bare.with_function(place, lambda y: F.softmax(y * np.float32(slope))[0])
        yield Experiment(causes.OUTPUT, change, scaled)


def _line(a: Array, b: Array) -> tuple[float, float] | None:
    """Slope and shift of the line that leads from ``a`` to ``b``; None if none does, or y = x."""
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        return None
    columns = np.stack([a.ravel(), np.ones(a.size)], axis=1).astype(np.float64)
    (slope, shift), *_ = np.linalg.lstsq(columns, b.ravel().astype(np.float64), rcond=None)
    off = np.abs(columns @ (slope, shift) - b.ravel()).max(initial=0.0)
    size = np.abs(b).max(initial=0.0)
    is_other = abs(slope - 1) > _SAME or abs(shift) > _SAME * size
    fits = a.size > 4 and off <= _SAME * size and abs(slope) > 1e-6
    return (float(slope), float(shift)) if fits and is_other else None
