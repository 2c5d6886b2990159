"""What kind of difference it is: another architecture, quantization, other weights, or a side off.

A side is called off only by two against one: the other side was computed by another program than
tinymnist, and agrees with tinymnist's float64 run of the same weights.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tinymnist.comparison.matching import Pair
from tinymnist.comparison.measuring import Row
from tinymnist.comparison.outputs import Side
from tinymnist.nn.arrays import Array, Shape
from tinymnist.nn.layers import BatchNormalization
from tinymnist.nn.sequential import Sequential

ARCHITECTURES, QUANTIZED, WEIGHTS, OFF = "architectures", "quantized", "weights", "off"
_MIN_SQNR_OF_QUANTIZED = 10.0
"""In dB; with less, something other than quantization is wrong. 8 bits usually keep 20 to 45."""
_MAX_WEIGHT_ERROR = 1e-5
"""As a share of a layer's largest weight; converters round."""
_MAX_UNITS_OF_RIGHT_SIDE = 100.0
"""A side is called right, and the other one wrong, only if its rounding error is below this."""
_MAX_LEVELS = 256
_MIN_VALUES = 1000
"""Only outputs with at least as many values show that they take few distinct ones."""


class Verdict(NamedTuple):
    """The kind of the difference, one of the names above, and a sentence; both empty if unknown."""

    kind: str = ""
    words: str = ""


UNKNOWN = Verdict()


def judge(
    a: Side, b: Side, pairs: Sequence[Pair], rows: Sequence[Row], reference: Side | None
) -> Verdict:
    """What kind of difference there is between two sides that do not agree.

    Args:
        a, b: the sides.
        pairs, rows: what belongs together, and how far it is apart.
        reference: the side whose model was run in float64.
    """
    layers_a, layers_b = _layers_with_weights(a, b), _layers_with_weights(b, a)
    if layers_a and layers_b and (words := _other_shapes(layers_a, layers_b)):
        return Verdict(ARCHITECTURES, f"These are different architectures: {words}.")
    if words := _quantization(a, b, pairs):
        noise = [row.sqnr for row in rows if row.kind != "input"]
        if min(noise) >= _MIN_SQNR_OF_QUANTIZED:
            kept = f"every layer keeps at least {min(noise):.0f} dB (SQNR)"
            return Verdict(QUANTIZED, f"Not a fault: {words}, and {kept}.")
    if layers_a and layers_b and (words := _other_weights(layers_a, layers_b)):
        rest = "neither side is wrong by itself"
        return Verdict(WEIGHTS, f"The weights differ, first in {words}; {rest}.")
    row = next(row for row in rows if not row.passes)
    return Verdict(OFF, words) if (words := _side_off(a, b, row, reference)) else UNKNOWN


class _Weights(NamedTuple):
    """A layer's name and arrays."""

    name: str
    arrays: dict[str, Array]

    @property
    def shape(self) -> Shape:
        """Of the first array, without sides of 1: a 1x1 convolution is a Dense layer."""
        return tuple(n for n in next(iter(self.arrays.values())).shape if n > 1)

    def sorted_values(self, size: int) -> Array:
        """All numbers, in order of size; a layout or exchanged arrays leave them as they are."""
        values = np.concatenate([array.ravel() for array in self.arrays.values()])
        return np.sort(np.pad(values.astype(np.float64), (0, size - len(values))))

    @property
    def size(self) -> int:
        return sum(array.size for array in self.arrays.values())


def _layers_with_weights(side: Side, other: Side) -> list[_Weights]:
    """Layers with weights; a batch normalization that the other side lacks, in the one before."""
    found: list[_Weights] = []
    for layer in side.model.layers if side.model is not None else ():
        before = found[-1] if found else _Weights("", {})
        follows = side.model is not None and side.model.sources[layer.name] == (before.name,)
        is_folded = follows and "kernel" in before.arrays and not _normalizes(other.model)
        if isinstance(layer, BatchNormalization) and is_folded:
            scale = layer.inference_scale
            shift = before.arrays.get("bias", 0) - layer.moving_mean
            arrays = {"kernel": before.arrays["kernel"] * scale, "bias": shift * scale + layer.beta}
            found[-1] = _Weights(before.name, arrays)
        elif layer.weights:
            found.append(_Weights(layer.name, dict(layer.weights)))
    return found


def _normalizes(model: Sequential | None) -> bool:
    """Whether a model has a batch normalization, or is unknown."""
    return model is None or any(isinstance(one, BatchNormalization) for one in model.layers)


def _other_shapes(a: Sequence[_Weights], b: Sequence[_Weights]) -> str:
    """Where the weights of two models have other shapes; "" if nowhere."""
    if len(a) != len(b):
        return f"{len(a)} and {len(b)} layers with weights"
    for one, other in zip(a, b, strict=True):
        if one.shape != other.shape:
            sizes = (" x ".join(map(str, layer.shape)) for layer in (one, other))
            return f"the weights of {_both(one, other)} are {' and '.join(sizes)}"
    return ""


def _other_weights(a: Sequence[_Weights], b: Sequence[_Weights]) -> str:
    """The first layer whose weights are others, in any order; "" for none."""
    for one, other in zip(a, b, strict=True):
        size = max(one.size, other.size)
        values, others = one.sorted_values(size), other.sorted_values(size)
        most = float(np.abs(others).max(initial=0.0))
        if (worst := float(np.abs(values - others).max(initial=0.0))) > _MAX_WEIGHT_ERROR * most:
            share = f"{worst / most:.1e} of the largest" if most else f"{worst:.1e}"
            return f"{_both(one, other)}, by up to {share}"
    return ""


def _both(one: _Weights, other: _Weights) -> str:
    return one.name if one.name == other.name else f"{one.name} / {other.name}"


def _quantization(a: Side, b: Side, pairs: Sequence[Pair]) -> str:
    """Which side is quantized, if one is and the other is not; "" otherwise."""
    of_a, of_b = (precision_of(side.model) or side.precision for side in (a, b))
    for side, own, other in ((a, of_a, of_b), (b, of_b, of_a)):
        if own and own != other:
            return f"{side.name} is quantized ({own})"
    large = [pair for pair in pairs if pair.a.values.size >= _MIN_VALUES and not pair.a.is_input]
    counts = [(np.unique(one.values).size, np.unique(two.values).size) for one, two in large]
    for side, levels in ((a, counts), (b, [(few, many) for many, few in counts])):
        if levels and all(few <= _MAX_LEVELS and many > 2 * few for few, many in levels):
            return f"{side.name} is quantized (its layers take at most {_MAX_LEVELS} values)"
    return ""


def precision_of(model: Sequential | None) -> str:
    """What every kernel of a model was rounded to: "int8", "float16", "bfloat16", or ""."""
    kernels = [] if model is None else [a for n, a in model.weights.items() if n.endswith("kernel")]
    kernels = [kernel.astype(np.float32) for kernel in kernels]
    known = {"int8": _is_int8, "bfloat16": _is_bfloat16, "float16": _is_float16}
    return next((name for name, fits in known.items() if kernels and all(map(fits, kernels))), "")


def _is_int8(kernel: Array) -> bool:
    """Whether all values are multiples of one step, or one per output, at most 128 of them."""
    by_output = kernel.reshape(-1, kernel.shape[-1])
    for peak in (np.abs(by_output).max(axis=0), np.abs(kernel).max()):
        for most in (127, 128):
            steps = by_output * most / np.maximum(peak, 1e-30)
            if (np.abs(steps - np.rint(steps)) <= 1e-3).all():
                return True
    return bool(np.unique(kernel).size <= _MAX_LEVELS < kernel.size / 4)


def _is_float16(kernel: Array) -> bool:
    with np.errstate(over="ignore"):
        return bool(np.array_equal(kernel.astype(np.float16).astype(np.float32), kernel))


def _is_bfloat16(kernel: Array) -> bool:
    """A bfloat16 is the upper half of a float32."""
    return not (np.ascontiguousarray(kernel).view(np.uint32) & 0xFFFF).any()


def _side_off(a: Side, b: Side, row: Row, reference: Side | None) -> str:
    """Which side is off, if that is decided; "" otherwise."""
    if reference is None or row.units_a is None or row.units_b is None:
        return ""
    (low, right), (high, wrong) = sorted(((row.units_a, a), (row.units_b, b)), key=lambda x: x[0])
    is_clear = low <= _MAX_UNITS_OF_RIGHT_SIDE and high >= 10 * max(low, 1)
    is_independent = not any(output.layer for output in right.outputs)
    same_weights = reference is wrong or (a.model is not None and b.model is not None)
    if not (is_clear and is_independent and same_weights and math.isfinite(low)):
        return ""
    letter = "a" if wrong is a else "b"
    return (
        f"{letter} is the side that is off: {right.name} agrees with tinymnist's float64 run of "
        f"{reference.name}."
    )
