"""The growth of the cost is measured on networks that are what they say."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest
from PIL import Image

from benchmarks import growth, networks
from benchmarks.charts import draw_roofline


def test_rows_of_a_small_variant() -> None:
    variant = growth.Variant("depth", "small", growth.convnet(2, 2), 3)
    options = argparse.Namespace(threads=1, quick=True)
    rows = {row["name"]: row for row in growth.measure(variant, 10.0, options)}
    assert rows.keys() >= {"tinymnist", "tinymnist, plain"}
    for row in rows.values():
        assert row["share_of_peak"] == pytest.approx(row["gflops"] / 10)
        assert 0 < row["shortest"] <= row["us_per_image"]
    assert "small" in growth.table(list(rows.values()))


def test_work_of_a_network() -> None:
    """A 3x3 kernel on 26x26, pooled twice to 6x6, then Dense: counted by hand."""
    variant = growth.Variant("width", "", growth.convnet(4, 1), 5)
    flops, moved = growth.work(variant)
    assert flops == 2 * (26 * 26 * 9 * 4 + 6 * 6 * 4 * 10)
    parameters = 9 * 4 + 4 + 144 * 10 + 10
    outputs = 28 * 28 + 4 * (26 * 26 + 13 * 13 + 6 * 6 + 36) + 10
    assert moved == 4 * (outputs + parameters / 5)


def test_every_sweep_has_several_points() -> None:
    sweeps = [variant.sweep for variant in growth.variants(quick=True)]
    assert all(sweeps.count(name) > 1 for name in ("pictures", "width", "depth"))


def test_a_roofline(tmp_path: Path) -> None:
    path = tmp_path / "roofline.png"
    draw_roofline({"a": [(1.0, 2.0), (30.0, 40.0)], "b": []}, path, gflops=50.0, gbytes=5.0)
    with Image.open(path) as image:
        assert len(image.convert("RGB").getcolors() or ()) > 10


def test_weights_are_random_but_valid() -> None:
    network = networks.reference("mnist-cnn")
    for name, array in network.weights.items():
        assert len(set(array.ravel().tolist())) > 1, name
        assert not name.endswith("variance") or (array > 0).all()
