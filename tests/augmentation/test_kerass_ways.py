"""What scripts ask of Keras's generator beside its ranges."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tinymnist.augmentation import ImageDataGenerator
from tinymnist.errors import InputError

X = np.random.default_rng(0).uniform(0, 255, (6, 8, 8, 1)).astype(np.float32)
Y = np.array([0, 1, 2, 0, 1, 2])


def test_pictures_of_batches_are_saved(tmp_path: Path) -> None:
    flow = ImageDataGenerator().flow(
        X, Y, 4, shuffle=False, seed=0, save_to_dir=tmp_path, save_prefix="aug", save_format="png"
    )
    next(flow)
    names = sorted(file.name for file in tmp_path.iterdir())
    assert names == ["aug_0_0.png", "aug_1_0.png", "aug_2_0.png", "aug_3_0.png"]
    pixels = np.asarray(Image.open(tmp_path / names[0]), np.float32)
    span = X[0, ..., 0].max() - X[0, ..., 0].min()
    assert np.abs(pixels - (X[0, ..., 0] - X[0].min()) / span * 255).max() < 1.01
    with pytest.raises(InputError, match="is not a folder"):
        ImageDataGenerator().flow(X, Y, save_to_dir=tmp_path / "none")


@pytest.mark.parametrize("as_csv", [True, False])
def test_files_of_a_table(tmp_path: Path, as_csv: bool) -> None:
    for number in range(4):
        Image.new("L", (8, 8), 60 * number).save(tmp_path / f"{number}.png")
    columns = {"file": [f"{n}.png" for n in range(4)], "digit": ["b", "a", "b", "a"]}
    table: Any = columns
    if as_csv:
        table = tmp_path / "table.csv"
        rows = zip(*columns.values(), strict=True)
        table.write_text("file,digit\n" + "".join(f"{f},{d}\n" for f, d in rows))
    where: dict[str, Any] = {"x_col": "file", "y_col": "digit", "target_size": (8, 8)}
    where |= {"directory": None if as_csv else tmp_path, "color_mode": "grayscale"}
    flow = ImageDataGenerator(rescale=1 / 255).flow_from_dataframe(table, shuffle=False, **where)
    images, labels = next(flow)
    assert flow.class_indices == {"a": 0, "b": 1} and images.shape == (4, 8, 8, 1)
    np.testing.assert_array_equal(labels.argmax(axis=1), [1, 0, 1, 0])
    np.testing.assert_allclose(images[:, 0, 0, 0], np.arange(4) * 60 / 255, rtol=1e-6)
    with pytest.raises(ValueError, match=r"must have the columns \['name', 'digit'\]"):
        ImageDataGenerator().flow_from_dataframe(table, **{**where, "x_col": "name"})
    (tmp_path / "2.png").unlink()
    with pytest.raises(InputError, match=r"1 missing files, .*2\.png first"):
        ImageDataGenerator().flow_from_dataframe(table, **where)


def test_statistics_can_be_set() -> None:
    generator = ImageDataGenerator(featurewise_center=True)
    generator.mean = 100.0
    np.testing.assert_allclose(next(generator.flow(X, shuffle=False)), X - 100, rtol=1e-5)


def test_a_split_of_sorted_labels_is_refused() -> None:
    generator, order = ImageDataGenerator(validation_split=0.5), np.argsort(Y)
    assert len(generator.flow(X, Y, subset="validation").y) == 3  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="both sides of validation_split must have all classes"):
        generator.flow(X[order], Y[order], subset="training")


def test_other_orders_are_scipys() -> None:
    from scipy.ndimage import affine_transform

    shift = {"tx": 0.5, "ty": 0.0}
    found = ImageDataGenerator(interpolation_order=3).apply_transform(X[0], shift)
    expected = affine_transform(X[0, ..., 0], np.eye(2), (0, 0.5), order=3, mode="nearest")
    np.testing.assert_allclose(found[..., 0], expected, rtol=1e-5, atol=1e-3)
    whole = ImageDataGenerator(interpolation_order=0).apply_transform(X[0], {"tx": 1.0})
    np.testing.assert_array_equal(whole[:, :-1], X[0, :, 1:])


@pytest.mark.parametrize("zoom", [-1, 1.5, (0.0, 1.0), (1.2, 0.8)])
def test_zooms_that_no_picture_survives_are_refused(zoom: Any) -> None:
    with pytest.raises(ValueError, match=r"zoom_range must be a number in \[0, 1\)"):
        ImageDataGenerator(zoom_range=zoom)
