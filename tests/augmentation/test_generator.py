"""The generator: Keras's kept pictures, what a flow promises, folders, and what is refused."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import DTypeLike, NDArray
from PIL import Image
from scipy import ndimage

from tests.augmentation import keras_golden as golden
from tinymnist.augmentation import ImageDataGenerator
from tinymnist.augmentation.resample import FILL_MODES, affine_maps, resample, resample_affine
from tinymnist.errors import InputError

MOVES: dict[str, Any] = {
    "rotation_range": 10,
    "width_shift_range": 0.1,
    "height_shift_range": 0.1,
    "shear_range": 0.1,
    "zoom_range": 0.1,
}
EVERYTHING: dict[str, Any] = MOVES | {
    "brightness_range": (0.5, 1.5),
    "channel_shift_range": 30.0,
    "horizontal_flip": True,
    "vertical_flip": True,
    "rescale": 1 / 255,
    "samplewise_center": True,
}


def pictures(
    n: int = 10, dtype: DTypeLike = np.float32, shape: tuple[int, ...] = (14, 11, 1)
) -> NDArray[Any]:
    return np.random.default_rng(0).integers(0, 256, (n, *shape)).astype(dtype)


# --- Keras's pictures, without Keras -----------------------------------------------------------


@pytest.fixture(scope="module")
def kept() -> dict[str, NDArray[Any]]:
    with np.load(golden.GOLDEN) as arrays:
        return dict(arrays)


@pytest.mark.parametrize("fill_mode", FILL_MODES)
def test_kept_pictures_of_every_fill_mode(kept: dict[str, NDArray[Any]], fill_mode: str) -> None:
    generator = ImageDataGenerator(fill_mode=fill_mode, cval=3.0)
    images = golden.pictures().astype(np.float32)
    for image, parameters, wanted in zip(
        images, golden.parameters(fill_mode), kept[f"fill/{fill_mode}"], strict=True
    ):
        found = generator.apply_transform(image, parameters)
        np.testing.assert_allclose(found, wanted, rtol=0, atol=255e-5)


@pytest.mark.parametrize("name", golden.FLOWS)
def test_kept_batches(kept: dict[str, NDArray[Any]], name: str) -> None:
    settings = golden.FLOWS[name]
    images = golden.pictures().astype(np.float32)
    flow = ImageDataGenerator(**settings).flow(
        images, batch_size=golden.BATCH_SIZE, seed=golden.SEED
    )
    found = np.concatenate([next(flow) for _ in range(golden.BATCHES)])
    np.testing.assert_allclose(found, kept[f"flow/{name}"], rtol=0, atol=1e-5 * np.ptp(found))


# --- resampling against SciPy ------------------------------------------------------------------


@pytest.mark.parametrize("fill_mode", FILL_MODES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_any_places_are_seen_as_scipy_sees_them(fill_mode: str, dtype: DTypeLike) -> None:
    rng = np.random.default_rng(0)
    images = rng.random((23, 9, 13, 2)).astype(dtype)
    places = rng.uniform(-20, 30, (23, 2, 31, 17))
    found = resample(images, places, fill_mode, 0.25)
    for image, place, one in zip(images, places, found, strict=True):
        for channel in range(2):
            wanted = ndimage.map_coordinates(
                image[..., channel], place, order=1, mode=fill_mode, cval=0.25
            )
            np.testing.assert_allclose(one[..., channel], wanted, atol=1e-6)


@pytest.mark.parametrize("shape", [(0, 28, 28, 1), (1, 1, 1, 1), (3, 200, 150, 3), (70, 28, 28, 1)])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_without_a_move_nothing_changes(shape: tuple[int, ...], dtype: DTypeLike) -> None:
    images = np.random.default_rng(0).integers(0, 256, shape).astype(dtype)
    still = np.tile(np.eye(2), (shape[0], 1, 1)), np.zeros((shape[0], 2))
    np.testing.assert_array_equal(resample_affine(images, still), images)


def test_whole_pixels_move_whole_pixels() -> None:
    image = pictures()[0]
    moved = ImageDataGenerator(fill_mode="constant").apply_transform(image, {"tx": 2, "ty": -3})
    np.testing.assert_array_equal(moved[3:, :-2], image[:-3, 2:])
    assert (moved[:3] == 0).all() and (moved[:, -2:] == 0).all()


def test_a_quarter_turn() -> None:
    image = pictures(shape=(9, 9, 2))[0]
    turned = ImageDataGenerator().apply_transform(image, {"theta": 90})
    np.testing.assert_allclose(turned, np.rot90(image, 1), atol=1e-4)


def test_maps_take_one_resampling() -> None:
    """Rotation, shift, shear and zoom are one matrix: that of the four, multiplied."""
    many = {"theta": [20.0], "tx": [2.0], "ty": [1.0], "shear": [8.0], "zx": [0.9], "zy": [1.2]}
    still = {"theta": [0.0], "tx": [0.0], "ty": [0.0], "shear": [0.0], "zx": [1.0], "zy": [1.0]}

    def square(parameters: dict[str, Any]) -> Any:
        matrix, offset = affine_maps({k: np.array(v) for k, v in parameters.items()}, 28, 20)
        return np.block([[matrix[0], offset[0][:, None]], [np.zeros((1, 2)), np.ones((1, 1))]])

    one_by_one = np.eye(3)
    for names in (("theta",), ("tx", "ty"), ("shear",), ("zx", "zy")):
        one_by_one = one_by_one @ square(still | {name: many[name] for name in names})
    np.testing.assert_allclose(square(many), one_by_one, atol=1e-12)


# --- what a flow promises ----------------------------------------------------------------------


def test_a_round_shows_every_picture_once() -> None:
    x = np.arange(10, dtype=np.float32).reshape(10, 1, 1, 1)
    flow = ImageDataGenerator().flow(x, np.arange(10), 4, seed=1)
    assert len(flow) == 3
    orders = []
    for _ in range(2):
        batches = [next(flow) for _ in range(3)]
        assert [len(images) for images, _ in batches] == [4, 4, 2]
        assert all((images.ravel() == labels).all() for images, labels in batches)
        orders.append(np.concatenate([labels for _, labels in batches]))
    assert all(sorted(order) == list(range(10)) for order in orders)
    assert not np.array_equal(orders[0], orders[1])


def test_any_thread_may_make_any_batch() -> None:
    flow = ImageDataGenerator(**EVERYTHING).flow(pictures(), np.arange(10), 3, seed=2)
    in_turn = [next(flow) for _ in range(20)]
    with ThreadPoolExecutor(4) as pool:
        numbers = np.random.default_rng(0).permutation(20)
        by_number = dict(zip(numbers, pool.map(flow.batch, numbers), strict=True))
    for number, (images, labels) in enumerate(in_turn):
        np.testing.assert_array_equal(images, by_number[number][0])
        np.testing.assert_array_equal(labels, by_number[number][1])


def test_several_batches_at_once_are_the_same_batches() -> None:
    """In shares of any size, in any thread; the last batch of a round is shorter."""
    flow = ImageDataGenerator(**EVERYTHING).flow(pictures(), np.arange(10), 3, seed=2)
    wanted = [flow.batch(number) for number in range(10)]
    shares = [range(4), range(4, 9), [9], []]
    with ThreadPoolExecutor(2) as pool:
        found = [batch for share in pool.map(flow.batches, shares) for batch in share]
    for (images, labels), (more_images, more_labels) in zip(wanted, found, strict=True):
        np.testing.assert_array_equal(images, more_images)
        np.testing.assert_array_equal(labels, more_labels)


def test_indexing_is_within_the_present_round() -> None:
    flow = ImageDataGenerator(**MOVES).flow(pictures(), batch_size=4, seed=2)
    first = [flow[i] for i in range(3)]
    np.testing.assert_array_equal(first[1], flow.batch(1))
    flow.on_epoch_end()
    np.testing.assert_array_equal(flow[1], flow.batch(4))
    flow.reset()
    np.testing.assert_array_equal(flow[1], first[1])
    with pytest.raises(IndexError):
        flow[3]


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_the_pictures_are_left_alone(dtype: DTypeLike) -> None:
    x = pictures(dtype=dtype)
    x.flags.writeable = False
    before = x.copy()
    generator = ImageDataGenerator(**EVERYTHING, preprocessing_function=lambda p: p + 1)
    batch = next(generator.flow(x, batch_size=10, seed=0))
    assert batch.dtype == np.float32 and batch.shape == x.shape
    generator.apply_transform(x[0], {"theta": 5, "flip_horizontal": True})
    generator.standardize(x)
    ImageDataGenerator(**MOVES, featurewise_center=True, rescale=2).fit(x, augment=True)
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32, np.float64])
@pytest.mark.parametrize("fill_mode", ["nearest", "reflect", "wrap"])
def test_dtype_shape_and_range_are_kept(dtype: DTypeLike, fill_mode: str) -> None:
    generator = ImageDataGenerator(**MOVES | {"rotation_range": 90}, fill_mode=fill_mode)
    for image in pictures(30, dtype, (14, 11, 2)):
        varied = generator.random_transform(image)
        assert varied.dtype == dtype and varied.shape == image.shape
        for channel in range(2):
            assert image[..., channel].min() <= varied[..., channel].min()
            assert varied[..., channel].max() <= image[..., channel].max()


def test_a_seed_gives_the_same_again_and_none_gives_another() -> None:
    generator, x = ImageDataGenerator(**MOVES), pictures()
    one, same, other = (next(generator.flow(x, seed=seed)) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)
    assert not np.array_equal(next(generator.flow(x)), next(generator.flow(x)))


def test_brightness_of_pictures_in_0_to_1_is_warned_of() -> None:
    generator = ImageDataGenerator(brightness_range=(0.5, 1.5))
    with pytest.warns(UserWarning, match=r"0\.\.255 and rescale"):
        generator.random_transform(pictures()[0] / 255)


def test_featurewise_settings_want_a_fit() -> None:
    generator = ImageDataGenerator(featurewise_center=True)
    with pytest.warns(UserWarning, match=r"generator\.fit"):
        next(generator.flow(pictures()))
    generator.fit(pictures())
    assert next(generator.flow(pictures())).mean() == pytest.approx(0, abs=1e-4)


# --- folders -----------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, level, count in (("b", 40, 5), ("a", 200, 5), ("empty", 0, 0)):
        (tmp_path / name).mkdir()
        for number in range(count):
            Image.new("L", (20, 10), level + number).save(tmp_path / name / f"{number}.png")
    return tmp_path


def test_a_folder_has_classes_by_name(folder: Path) -> None:
    flow = ImageDataGenerator(rescale=1 / 255).flow_from_directory(
        folder, target_size=(8, 6), color_mode="grayscale", class_mode="sparse", shuffle=False
    )
    assert flow.class_indices == {"a": 0, "b": 1, "empty": 2}
    images, labels = next(flow)
    assert images.shape == (10, 8, 6, 1) and flow.image_shape == (8, 6, 1)
    assert labels.tolist() == [0] * 5 + [1] * 5
    np.testing.assert_allclose(images[5:, 0, 0, 0] * 255, [40, 41, 42, 43, 44], atol=1e-4)


def test_a_folder_through_a_recipe(tmp_path: Path) -> None:
    from tinymnist import prepare_image

    samples = Path(__file__).parents[2] / "tinymnist" / "samples"
    for name in ("4-transparent-drawing.png", "8-chalk-on-black.jpg"):
        (tmp_path / name[0]).mkdir()
        (tmp_path / name[0] / name).write_bytes((samples / name).read_bytes())
    flow = ImageDataGenerator().flow_from_directory(tmp_path, recipe="mnist", shuffle=False)
    images, labels = next(flow)
    np.testing.assert_array_equal(images[0], prepare_image(samples / "4-transparent-drawing.png"))
    np.testing.assert_array_equal(labels, np.eye(2))


def test_folders_that_will_not_do(folder: Path, tmp_path: Path) -> None:
    generator = ImageDataGenerator()
    with pytest.raises(InputError, match="nowhere"):
        generator.flow_from_directory(tmp_path / "nowhere")
    with pytest.raises(InputError, match="no pictures"):
        generator.flow_from_directory(folder, classes=["empty"])
    (folder / "a" / "broken.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"broken\.png"):
        next(generator.flow_from_directory(folder))


# --- what is refused ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings",
    [
        {"fill_mode": "mirror"},
        {"data_format": "channels_first"},
        {"interpolation_order": 6},
        {"validation_split": 1.0},
        {"zoom_range": (1, 2, 3)},
        {"brightness_range": 0.5},
    ],
    ids=lambda settings: next(iter(settings)),
)
def test_settings_that_are_none(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(settings))}.*Received"):
        ImageDataGenerator(**settings)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"x": pictures()[0]}, r"\(n, h, w, c\)"),
        ({"x": pictures()[:0]}, "Received: 0"),
        ({"x": pictures(), "batch_size": 0}, "batch_size"),
        ({"x": pictures(), "y": [1]}, "same length"),
        ({"x": pictures(), "sample_weight": [1]}, "same length"),
        ({"x": pictures(), "subset": "test"}, '"training" or "validation"'),
        ({"x": pictures(), "subset": "training"}, "validation_split"),
    ],
)
def test_arrays_that_do_not_fit(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ImageDataGenerator().flow(**arguments)


@pytest.mark.parametrize("name", ["color_mode", "class_mode", "interpolation", "recipe"])
def test_settings_of_folders(folder: Path, name: str) -> None:
    setting: Any = {name: "other"}
    with pytest.raises(ValueError, match=f"{name} must be one of"):
        ImageDataGenerator().flow_from_directory(folder, **setting)
