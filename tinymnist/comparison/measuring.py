"""How much two outputs differ, and how much of that rounding would explain."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tinymnist.comparison.outputs import Output
from tinymnist.nn.arrays import Array, Shape

FLOAT32_STEP = 2.0**-23
"""The distance from 1 to the next float32."""


@dataclass(frozen=True)
class Row:
    """One layer of a comparison.

    "Relative" means: as a share of the largest magnitude in the layer's output.

    Attributes:
        a, b: the layer's name on each side.
        kind: what the layer does.
        shape: of one example's output.
        largest: the largest magnitude in ``b``.
        max_error, mean_error: of ``a - b``.
        relative_error: ``max_error / largest``.
        units_a, units_b: the largest error of each side against tinymnist's float64 run, in steps
            of float32 at the layer's largest number; None without such a run.
        smallest_rtol: the smallest ``rtol`` that would pass, with the ``atol`` of the comparison.
        passes: whether ``max_error <= atol + rtol * largest``.
        sqnr: the signal-to-noise ratio in dB, ``10 log10(mean b^2 / mean (a - b)^2)``: what is
            given for quantized models. Infinite if both are equal.
    """

    a: str
    b: str
    kind: str
    shape: Shape
    largest: float
    max_error: float
    mean_error: float
    relative_error: float
    units_a: float | None
    units_b: float | None
    smallest_rtol: float
    passes: bool
    sqnr: float


def largest(values: Array) -> float:
    """The largest finite magnitude; 0 if there is none.

    An infinite one would let every error pass, because tolerances are shares of it.
    """
    return float(np.abs(values[np.isfinite(values)]).max(initial=0.0))


def difference(a: Array, b: Array) -> Array:
    """``|a - b|`` in float64: 0 where both are equal or both NaN, infinite where one is NaN."""
    a64, b64 = a.astype(np.float64), b.astype(np.float64)
    with np.errstate(invalid="ignore"):
        gap = np.abs(a64 - b64)
    gap[(a64 == b64) | (np.isnan(a64) & np.isnan(b64))] = 0.0
    return np.where(np.isnan(gap), np.inf, gap)


def mean_error(a: Output, b: Output) -> float:
    """The mean difference; an infinite one counts as 1e30."""
    gap = difference(a.values, b.values)
    return float(np.minimum(gap, 1e30).mean()) if gap.size else 0.0


def measure(a: Output, b: Output, exact: Output | None, atol: float, rtol: float) -> Row:
    """Compare two outputs of one shape.

    Args:
        a, b: the two outputs; relative errors refer to ``b``.
        exact: the layer's output in float64, if that is known.
        atol, rtol: the error allowed, see :class:`Row`.
    """
    gap, size = difference(a.values, b.values), largest(b.values)
    worst = float(gap.max(initial=0.0))
    return Row(
        a=a.name,
        b=b.name,
        kind=a.kind or b.kind,
        shape=a.values.shape[1:],
        largest=size,
        max_error=worst,
        mean_error=float(gap.mean()) if gap.size else 0.0,
        relative_error=_ratio(worst, size),
        units_a=_units(a.values, exact),
        units_b=_units(b.values, exact),
        smallest_rtol=_ratio(max(worst - atol, 0.0), size),
        passes=worst <= atol + rtol * size,
        sqnr=_decibels(b.values, gap),
    )


def _decibels(signal: Array, noise: Array) -> float:
    with np.errstate(all="ignore"):
        ratio = np.square(signal.astype(np.float64)).sum() / np.square(noise).sum()
        return float(10 * np.log10(ratio)) if noise.any() else math.inf


def _units(values: Array, exact: Output | None) -> float | None:
    if exact is None or exact.values.shape != values.shape:
        return None
    step = largest(exact.values) * FLOAT32_STEP
    return _ratio(float(difference(values, exact.values).max(initial=0.0)), step)


def _ratio(part: float, whole: float) -> float:
    if part == 0:
        return 0.0
    return part / whole if whole and math.isfinite(whole) else math.inf
