"""Properties of pictures: what is drawn is what is measured; drift as SciPy has it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw
from scipy.ndimage import gaussian_filter

from tinymnist.diagnosis.ink_and_paper import separate_ink
from tinymnist.diagnosis.properties import (
    ALL,
    LEVELS,
    PROPERTIES,
    Reference,
    make_reference,
    measure,
    mnist_reference,
    quantiles_of,
    save_reference,
)
from tinymnist.nn.arrays import Array


def drawn(
    lines: Sequence[Sequence[tuple[float, float]]],
    size: tuple[int, int] = (200, 200),
    width: int = 10,
    ink: float = 0.0,
    paper: float = 1.0,
) -> Array:
    """Strokes, drawn four times as large and reduced: (h, w) float32 as displayed."""
    image = Image.new("L", (size[1] * 4, size[0] * 4), 0)
    draw = ImageDraw.Draw(image)
    for line in lines:
        draw.line([(4 * x, 4 * y) for x, y in line], 255, 4 * width)
    shape = np.asarray(image.reduce(4), np.float32) / 255
    return (paper + (ink - paper) * shape).astype(np.float32)


BAR = [[(100, 40), (100, 140)]]
"""A 1: 100 tall and 10 wide, its middle at (100, 90)."""


def measured(grey: Array) -> dict[str, float]:
    return measure(separate_ink(grey))


def test_size_aspect_position_fill_and_frame_of_a_bar() -> None:
    found = measured(drawn(BAR, size=(200, 250)))
    assert found["frame"] == pytest.approx(1.25)
    assert found["size"] == pytest.approx(0.5, abs=0.01)
    assert found["aspect"] == pytest.approx(0.1, abs=0.02)
    assert found["fill"] == pytest.approx(1000 / 50000, rel=0.05)
    assert found["across"] == pytest.approx(100 / 250 - 0.5, abs=0.005)
    assert found["down"] == pytest.approx(90 / 200 - 0.5, abs=0.005)


@pytest.mark.parametrize(("width", "expected"), [(6, 1.2), (10, 2.0), (20, 4.0)])
def test_stroke_width_is_that_of_a_digit_of_20_pixels(width: int, expected: float) -> None:
    zigzag = [[(60, 40), (140, 40), (60, 140), (140, 140)]]
    height = 100 + width
    found = measured(drawn(zigzag, width=width))["stroke"]
    assert found == pytest.approx(expected * 100 / height, rel=0.1)


@pytest.mark.parametrize("lean", [-20, 0, 15])
def test_slant_is_the_angle_of_a_leaning_bar(lean: int) -> None:
    shift = 50 * np.tan(np.radians(lean))
    found = measured(drawn([[(100 - shift, 150), (100 + shift, 50)]], width=6))["slant"]
    assert found == pytest.approx(lean, abs=1)


def test_contrast_and_level_are_the_brightness_of_ink_and_paper() -> None:
    found = measured(drawn(BAR, ink=0.3, paper=0.8))
    assert found["contrast"] == pytest.approx(0.5, abs=0.01)
    assert found["level"] == pytest.approx(0.2, abs=0.01)
    assert found["polarity"] == 1


@pytest.mark.parametrize("sigma", [0.01, 0.03])
def test_noise_is_its_standard_deviation(sigma: float) -> None:
    rng = np.random.default_rng(0)
    grey = drawn(BAR, ink=0.1, paper=0.8) + rng.normal(0, sigma, (200, 200)).astype(np.float32)
    assert measured(grey)["noise"] == pytest.approx(sigma, rel=0.1)


def test_variation_is_that_of_the_paper() -> None:
    even = drawn(BAR, ink=0.1, paper=0.8)
    light = np.linspace(0.7, 1, 200, dtype=np.float32)
    assert measured(even)["variation"] == pytest.approx(0, abs=1e-4)
    assert measured(even * light)["variation"] == pytest.approx((0.8 * light).std(), rel=0.1)


def test_blur_takes_the_sharpness_of_edges() -> None:
    grey = drawn([[(60, 40), (140, 40), (80, 140)]], width=14)
    blurred = gaussian_filter(grey, 8)
    assert measured(blurred)["sharpness"] < 0.8 * measured(grey)["sharpness"]


def test_a_negative_differs_in_polarity_alone() -> None:
    grey = drawn([[(60, 40), (140, 60), (70, 140)]], ink=0.1, paper=0.9)
    positive, negative = measured(grey), measured(1 - grey)
    assert (positive.pop("polarity"), negative.pop("polarity")) == (1, 0)
    assert negative == pytest.approx(positive, abs=1e-4)


def reference_of(values: Array) -> Reference:
    columns = {name: np.zeros(len(values)) for name in ALL} | {"slant": values}
    return make_reference(columns, np.full(10, 0.1))


def test_drift_is_scipys_wasserstein_distance_over_the_standard_deviation() -> None:
    from scipy.stats import wasserstein_distance  # slow to import

    rng = np.random.default_rng(1)
    theirs, yours = rng.normal(5, 13, 20_000), rng.gamma(2, 9, 3_000)
    reference = reference_of(theirs)
    expected = wasserstein_distance(yours, theirs) / theirs.std()
    assert reference.drift("slant", yours) == pytest.approx(expected, rel=0.01)


def test_a_shift_by_two_deviations_is_a_drift_of_two() -> None:
    values = np.random.default_rng(2).normal(0, 10, 5_000)
    reference = reference_of(values)
    assert reference.drift("slant", values + 2 * values.std()) == pytest.approx(2, rel=1e-3)


def test_a_constant_reference_is_measured_by_the_tolerance() -> None:
    reference = reference_of(np.zeros(50))
    half = np.array([0.0, 1.0] * 100)
    assert reference.unit("polarity") == PROPERTIES["polarity"].tolerance == 0.1
    assert reference.drift("polarity", half) == pytest.approx(5, rel=0.01)


def test_chance_is_the_drift_of_the_references_own_samples() -> None:
    values = np.random.default_rng(3).normal(0, 10, 20_000)
    reference = reference_of(values)
    rng = np.random.default_rng(4)
    own = np.mean([reference.drift("slant", rng.choice(values, 50)) for _ in range(200)])
    assert reference.chance("slant", 50, rng, trials=200) == pytest.approx(own, rel=0.1)
    assert reference.chance("slant", 1000, rng) < 0.5 * own


def test_no_values_no_drift() -> None:
    assert np.isnan(mnist_reference().drift("slant", np.zeros(0)))


def test_quantiles_of_a_few_values_are_those_values() -> None:
    levels = quantiles_of(np.array([3.0, 1.0, 2.0]))
    assert levels.shape == (LEVELS,)
    assert set(levels) == {1.0, 2.0, 3.0}
    assert (np.diff(levels) >= 0).all()


def test_a_reference_survives_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reference = reference_of(np.random.default_rng(5).normal(0, 10, 500))
    save_reference(reference, tmp_path / "r.npz")
    monkeypatch.setattr("tinymnist.diagnosis.properties.REFERENCE", tmp_path / "r.npz")
    loaded = mnist_reference.__wrapped__()
    assert loaded.n == reference.n and loaded.deviations == reference.deviations
    np.testing.assert_allclose(loaded.quantiles["slant"], reference.quantiles["slant"], rtol=1e-6)


def test_the_shipped_reference_is_mnists_form() -> None:
    reference = mnist_reference()
    assert reference.n == 60_000
    assert not reference.quantiles["polarity"].any()
    assert (reference.quantiles["frame"] == 1).all()
    assert np.median(reference.quantiles["size"]) == pytest.approx(20 / 28)
    assert reference.classes.sum() == pytest.approx(1)


def test_mnist_does_not_drift_from_the_shipped_reference(mnist_folder: Path) -> None:
    from tinymnist.data import load_mnist

    images, _ = load_mnist("train", mnist_folder)
    chosen = np.random.default_rng(6).choice(len(images), 400, replace=False)
    found = [measured(images[i].astype(np.float32) / 255) for i in chosen]
    reference, rng = mnist_reference(), np.random.default_rng(7)
    for name in PROPERTIES:
        drift = reference.drift(name, np.array([one[name] for one in found]))
        assert drift <= 0.02 + 3 * reference.chance(name, 400, rng), name
