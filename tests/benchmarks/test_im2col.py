"""All ways to write a convolution agree, and the program around them runs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from benchmarks import cases, convolutions
from benchmarks.cases import Shape, check, prepare, shipped_shapes
from benchmarks.convolutions import CONVOLUTIONS, NAIVE, OURS

ROOT = Path(__file__).resolve().parents[2]

SHAPES = [
    Shape("odd", 7, 9, 3, 3, 4, is_first=False),
    Shape("even", 8, 6, 2, 2, 5, is_first=False),
    Shape("one channel", 9, 8, 1, 5, 2, is_first=True),
    Shape("many channels", 6, 7, 16, 3, 3, is_first=False),
    Shape("one window", 4, 4, 5, 4, 6, is_first=False),
]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.layer)
def test_all_ways_agree_with_the_loops(shape: Shape) -> None:
    check(prepare(shape, 3))


def test_the_loops_follow_the_formula() -> None:
    rng = np.random.default_rng(0)
    x, kernel = rng.standard_normal((2, 4, 5, 3)), rng.standard_normal((2, 3, 3, 4))
    y = CONVOLUTIONS[NAIVE].forward(x, kernel)
    assert y.shape == (2, 3, 3, 4)
    for p, i, j, o in np.ndindex(*y.shape):
        terms = (
            x[p, i + a, j + b, c] * kernel[a, b, c, o] for a, b, c in np.ndindex(*kernel.shape[:3])
        )
        assert y[p, i, j, o] == pytest.approx(sum(terms), rel=1e-12, abs=1e-12)


def test_the_gradients_of_the_loops_are_adjoint_to_their_forward_pass() -> None:
    # y is linear in x and linear in the kernel, so each gradient, times what it belongs to, must
    # give the same number as dy times y.
    rng = np.random.default_rng(1)
    x, kernel = rng.standard_normal((2, 6, 5, 3)), rng.standard_normal((3, 2, 3, 4))
    naive = CONVOLUTIONS[NAIVE]
    y = naive.forward(x, kernel)
    dy = rng.standard_normal(y.shape)
    product = np.vdot(dy, y)
    assert np.vdot(naive.dx(dy, x, kernel), x) == pytest.approx(product, rel=1e-12)
    assert np.vdot(naive.dkernel(dy, x, kernel), kernel) == pytest.approx(product, rel=1e-12)


@pytest.mark.parametrize("part", ["forward", "dkernel", "dx"])
def test_a_small_error_is_caught(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    way = CONVOLUTIONS["einsum"]
    right = getattr(way, part)
    change: Any = {part: lambda *arrays: right(*arrays) * np.float32(1.0005)}
    wrong = way._replace(**change)
    monkeypatch.setitem(convolutions.CONVOLUTIONS, "einsum", wrong)
    with pytest.raises(ArithmeticError, match=f"einsum: {part} must agree with the loops"):
        check(prepare(SHAPES[0], 2))


def test_the_shapes_are_those_of_the_shipped_models() -> None:
    titles = [shape.title for shape in shipped_shapes("keras-cnn")]
    assert [title.partition(": ")[2] for title in titles] == [
        "28x28x1, 3x3 -> 32",
        "13x13x32, 3x3 -> 64",
    ]
    first, second = shipped_shapes("keras-cnn")
    assert (first.used, second.used) == (("forward", "dkernel"), ("forward", "dkernel", "dx"))
    padded = shipped_shapes("lenet5")[0]
    assert (padded.h, padded.w) == (32, 32)  # "same" padding stands in the size
    assert {shape.layer.partition("/")[0] for shape in shipped_shapes()} >= {"mnist-cnn", "lenet5"}


def test_measure_names_every_way_once_and_sums_what_training_uses() -> None:
    rows = cases.measure(SHAPES[2], 1, rounds=1, shortest=0)
    assert sorted(row.way for row in rows) == sorted(CONVOLUTIONS)
    assert [row.total for row in rows] == sorted(row.total for row in rows)
    for row in rows:
        assert row.total == row.times["forward"] + row.times["dkernel"]
        assert min(row.peaks.values()) > 0


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks.im2col", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_json_parses_and_the_chart_is_drawn(tmp_path: Path) -> None:
    chart = tmp_path / "chart.png"
    done = run("--quick", "--batch", "1", "--model", "lenet5", "--json", "--out", str(chart))
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["ratios"][OURS] == 1.0
    assert len(report["results"]) == 3 * len(CONVOLUTIONS)
    assert report["results"][0].keys() >= {"layer", "way", "microseconds", "peak_bytes"}
    with Image.open(chart) as image:
        assert image.format == "PNG"
        colours = image.getcolors(1 << 16)
        assert colours is not None and len(colours) > 3


def test_a_model_without_convolutions_is_refused() -> None:
    done = run("--model", "mlp")
    assert done.returncode == 2
    assert "'mlp' has a convolution" in done.stderr
    assert done.stdout == ""
