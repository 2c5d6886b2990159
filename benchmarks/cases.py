"""The cases of ``benchmarks.im2col``: shapes, random arrays, the check, the measurements."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from benchmarks.common import interleaved, medians, peak_memory
from benchmarks.convolutions import CONVOLUTIONS, NAIVE, Convolution
from benchmarks.rows import Array
from tinymnist.nn.architectures import ARCHITECTURES
from tinymnist.nn.layers import Conv2D

PASSES = ("forward", "dkernel", "dx")

TOLERANCE = 1e-5
"""Relative to the largest value of the answer: float32 sums of some thousand products."""


class Shape(NamedTuple):
    """A convolution of a shipped model; h and w include its padding."""

    layer: str
    h: int
    w: int
    c: int
    kernel: int
    out: int
    is_first: bool

    @property
    def title(self) -> str:
        """``keras-cnn/conv2d: 28x28x1, 3x3 -> 32``."""
        k = self.kernel
        return f"{self.layer}: {self.h}x{self.w}x{self.c}, {k}x{k} -> {self.out}"

    @property
    def used(self) -> tuple[str, ...]:
        """The passes in training: the first layer does not need dx."""
        return PASSES[:2] if self.is_first else PASSES


class Row(NamedTuple):
    """The measurements of one way, by pass: microseconds per image, bytes per call."""

    way: str
    times: dict[str, float]
    peaks: dict[str, int]
    total: float
    """Microseconds of the passes in training."""


class Case(NamedTuple):
    """One way with its arrays, in the order that it needs."""

    way: Convolution
    x: Array
    kernel: Array
    dy: Array

    @property
    def passes(self) -> dict[str, Callable[[], Array]]:
        """Functions without arguments, by pass."""
        way, x, kernel, dy = self
        return {
            "forward": lambda: way.forward(x, kernel),
            "dkernel": lambda: way.dkernel(dy, x, kernel),
            "dx": lambda: way.dx(dy, x, kernel),
        }

    def answers(self) -> dict[str, Array]:
        """The result of each pass, with channels last."""
        results = {name: run() for name, run in self.passes.items()}
        if self.way.channels_first:
            for name in ("forward", "dx"):
                results[name] = results[name].transpose(0, 2, 3, 1)
        return results


def shipped_shapes(model: str | None = None) -> list[Shape]:
    """The convolutions of one shipped model, or of all."""
    shapes = []
    for name, build in ARCHITECTURES.items():
        network = build()
        for layer in network:
            if isinstance(layer, Conv2D) and model in (None, name):
                input_shape = network.shapes[network.sources[layer.name][0]]
                windows = layer.windows(input_shape)
                (top, bottom), (left, right) = windows.pads
                h, w, c = input_shape
                size, kernel = (top + h + bottom, left + w + right, c), windows.kernel[0]
                is_first = next(other for other in network if other.learns) is layer
                label = f"{name}/{layer.name}"
                shapes.append(Shape(label, *size, kernel, layer.filters, is_first))
    return shapes


def prepare(shape: Shape, n: int, seed: int = 0) -> dict[str, Case]:
    """All ways with the same random float32 arrays."""
    rng = np.random.default_rng(seed)
    h, w, c, k, out = shape[1:6]
    x = rng.standard_normal((n, h, w, c), np.float32)
    kernel = rng.standard_normal((k, k, c, out), np.float32)
    dy = rng.standard_normal((n, h - k + 1, w - k + 1, out), np.float32)
    return {
        name: Case(way, _first(x), kernel, _first(dy))
        if way.channels_first
        else Case(way, x, kernel, dy)
        for name, way in CONVOLUTIONS.items()
    }


def _first(pictures: Array) -> Array:
    """(n, h, w, c) -> (n, c, h, w), copied."""
    return pictures.transpose(0, 3, 1, 2).copy()


def check(cases: dict[str, Case]) -> None:
    """Compare every way with the loops.

    Raises:
        ArithmeticError: if an answer differs by more than rounding errors.
    """
    wanted = cases[NAIVE].answers()
    for name, case in cases.items():
        for what, received in case.answers().items():
            expected = wanted[what]
            if received.shape != expected.shape:
                raise ArithmeticError(f"{name}: {what} must be {expected.shape}, {received.shape=}")
            error = abs(received - expected).max() / abs(expected).max()
            if not error < TOLERANCE:
                raise ArithmeticError(f"{name}: {what} must agree with the loops, {error=}")


def measure(shape: Shape, n: int, *, rounds: int, shortest: float) -> list[Row]:
    """Check all ways on one shape, then measure time and memory; fastest first."""
    check(prepare(shape, 2))
    cases = prepare(shape, n)
    seconds = {
        name: medians(
            interleaved(
                {way: case.passes[name] for way, case in cases.items()},
                rounds=rounds,
                shortest=shortest,
            )
        )
        for name in PASSES
    }
    rows = []
    for way, case in cases.items():
        times = {name: seconds[name][way] / n * 1e6 for name in PASSES}
        peaks = {name: peak_memory(run) for name, run in case.passes.items()}
        rows.append(Row(way, times, peaks, sum(times[name] for name in shape.used)))
    return sorted(rows, key=lambda row: row.total)
