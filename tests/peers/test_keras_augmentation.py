"""The generator against Keras's own: given parameters, drawn parameters, whole batches, folders.

Keras's legacy generator draws from NumPy's global generator, which these tests leave as they found
it. Pictures must agree to 1e-5 of their range.
"""

from __future__ import annotations

import itertools
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what Keras thinks of NumPy and SciPy is not ours to mend
    pytest.importorskip("keras")
    theirs = pytest.importorskip("keras.src.legacy.preprocessing.image")

from tinymnist.augmentation import ImageDataGenerator

pytestmark = [pytest.mark.peer, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

FILL_MODES = ("nearest", "constant", "reflect", "wrap")
SHAPES = ((28, 28, 1), (20, 33, 3), (7, 5, 2), (1, 4, 1))
TUTORIAL = {
    "rotation_range": 10,
    "width_shift_range": 0.1,
    "height_shift_range": 0.1,
    "shear_range": 0.1,
    "zoom_range": 0.1,
    "fill_mode": "nearest",
}
SETTINGS: dict[str, dict[str, Any]] = {
    "tutorial": TUTORIAL,
    "whole pixels": TUTORIAL | {"width_shift_range": 4, "height_shift_range": 3},
    "one pixel": {"width_shift_range": 1, "height_shift_range": 2.5},
    "lists": {
        "width_shift_range": [-3, 0, 5],
        "height_shift_range": [0.1, 0.25],
        "zoom_range": 0.2,
    },
    "mixed": {"width_shift_range": 4, "height_shift_range": 0.3, "rotation_range": 90},
    "zoom limits": {"zoom_range": [0.5, 1.5], "fill_mode": "reflect", "shear_range": 30},
    "flips": {"horizontal_flip": True, "vertical_flip": True, "channel_shift_range": 60.0},
    "far": {"rotation_range": 180, "width_shift_range": 3.0, "fill_mode": "wrap"},
    "constant": {"rotation_range": 45, "fill_mode": "constant", "cval": 7.0},
    "brightness": {"brightness_range": (0.3, 1.7), "rotation_range": 15},
    "rescale": {"rescale": 1 / 255, "zoom_range": 0.3},
    "samplewise": {"samplewise_center": True, "samplewise_std_normalization": True},
    "function": {"preprocessing_function": lambda x: 255 - x, "rescale": 0.5, "shear_range": 20},
    "nothing": {},
}


def pictures(shape: Any = (9, 28, 28, 1), seed: int = 0) -> Any:
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.float32)


def both(**settings: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ImageDataGenerator(**settings), theirs.ImageDataGenerator(**settings)


@pytest.fixture(autouse=True)
def global_generator() -> Iterator[Any]:
    state = np.random.get_state()
    yield
    np.random.set_state(state)


def assert_close(found: Any, expected: Any, scale: float = 255.0) -> None:
    expected = np.asarray(expected)
    assert found.shape == expected.shape and found.dtype == expected.dtype
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * scale)


def some_parameters(rng: Any, kind: Any) -> Any:
    """Any parameters; or such as put pixels on borders exactly, where a last bit may decide."""
    if kind == "any":
        numbers = (rng.uniform(-180, 180), *rng.uniform(-40, 40, 2), rng.uniform(-60, 60))
        zooms = rng.uniform(0.3, 2, 2)
    else:
        numbers = (*rng.choice([0, 90, 180, 45], 1), *(rng.integers(-9, 10, 2) / 2), 0.0)
        zooms = rng.choice([0.5, 1, 2], 2)
    return dict(zip(("theta", "tx", "ty", "shear", "zx", "zy"), (*numbers, *zooms), strict=True))


@pytest.mark.parametrize("fill_mode", FILL_MODES)
@pytest.mark.parametrize("shape", SHAPES)
def test_given_parameters_give_the_same_pictures(fill_mode: Any, shape: Any) -> None:
    ours, keras = both(fill_mode=fill_mode, cval=0.3)
    rng = np.random.default_rng(0)
    for kind, _ in itertools.product(("any", "exact"), range(25)):
        image, parameters = rng.random(shape, np.float32), some_parameters(rng, kind)
        found, expected = (g.apply_transform(image, parameters) for g in (ours, keras))
        assert_close(found, expected, scale=1)


@pytest.mark.parametrize("name", ["flip_horizontal", "flip_vertical"])
def test_flips(name: str) -> None:
    ours, keras = both()
    image = pictures()[0]
    for chosen in (False, True):
        assert_close(*(g.apply_transform(image, {name: chosen}) for g in (ours, keras)))


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("span", [(0, 255), (-90, 200), (0, 400)])
def test_brightness_and_channel_shift(channels: int, span: Any) -> None:
    ours, keras = both()
    image = pictures((12, 9, channels)) / 255 * (span[1] - span[0]) + span[0]
    for factor, intensity in ((0.0, 9.5), (0.4, -30), (1.0, 0.0), (1.8, 300)):
        for given in ({"brightness": factor}, {"channel_shift_intensity": intensity}):
            assert_close(*(g.apply_transform(image, given) for g in (ours, keras)))


@pytest.mark.parametrize("name", SETTINGS)
def test_the_same_parameters_are_drawn(name: Any) -> None:
    ours, keras = both(**SETTINGS[name])
    for seed, shape in itertools.product(range(20), ((28, 28, 1), (20, 33, 3))):
        assert ours.get_random_transform(shape, seed) == keras.get_random_transform(shape, seed)


@pytest.mark.parametrize("name", SETTINGS)
def test_flows_give_the_same_batches(name: Any) -> None:
    """Through more than two rounds, with a smaller batch at the end of each."""
    ours, keras = both(**SETTINGS[name])
    x, y, weights = pictures(), np.arange(9), np.linspace(0, 1, 9)
    flows = [g.flow(x, y, 4, sample_weight=weights, seed=5) for g in (ours, keras)]
    for _ in range(8):
        (found, *rest), (expected, *others) = (next(flow) for flow in flows)
        assert_close(found, expected)
        for one, other in zip(rest, others, strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("augment", [False, True])
def test_featurewise_settings(channels: int, augment: bool) -> None:
    settings = {"featurewise_center": True, "featurewise_std_normalization": True, "rescale": 0.01}
    ours, keras = both(**TUTORIAL, **settings)
    x = pictures((9, 12, 14, channels))
    for generator in (ours, keras):
        generator.fit(x, augment=augment, rounds=2, seed=3)
    found, expected = (next(g.flow(x, batch_size=9, seed=1)) for g in (ours, keras))
    assert_close(found, expected, scale=5)


def test_whitening() -> None:
    ours, keras = both(zca_whitening=True, zca_epsilon=1e-2)
    x = pictures((40, 5, 5, 1)) / 255
    for generator in (ours, keras):
        generator.fit(x)
    found, expected = (next(g.flow(x, batch_size=9, seed=1)) for g in (ours, keras))
    np.testing.assert_allclose(found, expected, atol=1e-3 * np.abs(expected).max())


@pytest.mark.parametrize("rank", [3, 4])
def test_standardize(rank: int) -> None:
    settings = {"samplewise_center": True, "samplewise_std_normalization": True, "rescale": 0.1}
    ours, keras = both(**settings)
    x = pictures() if rank == 4 else pictures()[0]
    assert_close(ours.standardize(x), keras.standardize(x.copy()), scale=3)


@pytest.mark.parametrize("subset", ["training", "validation"])
def test_subsets(subset: str) -> None:
    ours, keras = both(validation_split=0.3)
    x, y = pictures((10, 4, 4, 1)), np.tile([0, 1], 5)
    found, expected = (next(g.flow(x, y, shuffle=False, subset=subset)) for g in (ours, keras))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.fixture
def folder(tmp_path: Path) -> Any:
    """Two classes of pictures of several sizes and kinds."""
    rng = np.random.default_rng(0)
    for number, mode in enumerate(("L", "RGB", "RGBA", "L", "P", "RGB")):
        place = tmp_path / "abc"[number % 2]
        place.mkdir(exist_ok=True)
        colours = Image.fromarray(rng.integers(0, 256, (30 + number, 28, 4), np.uint8), "RGBA")
        colours.convert(mode).save(place / f"{number}.png")
    return tmp_path


@pytest.mark.filterwarnings("ignore:Palette images:UserWarning")  # Keras passes it on
@pytest.mark.parametrize("color_mode", ["grayscale", "rgb", "rgba"])
@pytest.mark.parametrize("class_mode", ["categorical", "sparse", "input", None])
def test_folders(folder: Any, color_mode: str, class_mode: str | None) -> None:
    ours, keras = both(**TUTORIAL)
    settings = {"color_mode": color_mode, "class_mode": class_mode, "target_size": (28, 24)}
    flows = [
        g.flow_from_directory(str(folder), batch_size=4, seed=3, **settings) for g in (ours, keras)
    ]
    assert flows[0].class_indices == flows[1].class_indices
    for _ in range(3):
        found, expected = (next(flow) for flow in flows)
        if class_mode is None:
            found, expected = (found,), (expected,)
        assert_close(found[0], expected[0])
        for one, other in zip(found[1:], expected[1:], strict=True):
            np.testing.assert_allclose(one, other, atol=1e-3)


@pytest.mark.parametrize("subset", ["training", "validation"])
def test_a_share_of_every_folder(folder: Any, subset: str) -> None:
    ours, keras = both(validation_split=0.4)
    found, expected = (g.flow_from_directory(str(folder), subset=subset) for g in (ours, keras))
    assert list(map(str, found.filepaths)) == expected.filepaths
