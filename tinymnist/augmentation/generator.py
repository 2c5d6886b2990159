"""``keras.src.legacy.preprocessing.image.ImageDataGenerator``, with the same results for a seed.

It draws the same numbers as Keras, but works on whole batches, and resamples each image once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tinymnist.augmentation.directory import DirectoryFlow, TableFlow
from tinymnist.augmentation.flows import ArrayFlow
from tinymnist.augmentation.ranges import Parameters, Ranges, Shift
from tinymnist.augmentation.resample import (
    FILL_MODES,
    Images,
    affine_maps,
    resample_affine,
    resample_by_splines,
)
from tinymnist.augmentation.standardization import Standardization, brighten, shift_channels

_IDENTITY = {"theta": 0.0, "tx": 0.0, "ty": 0.0, "shear": 0.0, "zx": 1.0, "zy": 1.0}
_FLIPPED_AXIS = {"flip_horizontal": 2, "flip_vertical": 1}  # of (n, h, w, c)


class ImageDataGenerator:
    """Endless batches of images, each rotated, shifted, sheared and zoomed at random.

    Usage::

        generator = ImageDataGenerator(rotation_range=10, zoom_range=0.1)
        model.fit(generator.flow(images, labels, batch_size=32, seed=0), epochs=10)
    """

    def __init__(
        self,
        featurewise_center: bool = False,
        samplewise_center: bool = False,
        featurewise_std_normalization: bool = False,
        samplewise_std_normalization: bool = False,
        zca_whitening: bool = False,
        zca_epsilon: float = 1e-6,
        rotation_range: float = 0,
        width_shift_range: Shift = 0.0,
        height_shift_range: Shift = 0.0,
        brightness_range: Sequence[float] | None = None,
        shear_range: float = 0.0,
        zoom_range: float | Sequence[float] = 0.0,
        channel_shift_range: float = 0.0,
        fill_mode: str = "nearest",
        cval: float = 0.0,
        horizontal_flip: bool = False,
        vertical_flip: bool = False,
        rescale: float | None = None,
        preprocessing_function: Callable[[Images], Images] | None = None,
        data_format: str | None = None,
        validation_split: float = 0.0,
        interpolation_order: int = 1,
        dtype: Any = None,
    ) -> None:
        """Set the limits of the variants; the order of the arguments is Keras's.

        Args:
            featurewise_center, featurewise_std_normalization: subtract each channel's mean over
                the training set, and divide by its standard deviation (which also centres);
                :meth:`fit` measures them.
            samplewise_center, samplewise_std_normalization: the same with each image's own.
            zca_whitening, zca_epsilon: decorrelate pixels; needs :meth:`fit`.
            rotation_range: degrees in either direction.
            width_shift_range, height_shift_range: in either direction: a float below 1 is a
                fraction of the side, a larger one pixels; an integer k means one of 0..k-1 whole
                pixels, a list one of its entries.
            brightness_range: the lowest and highest factor, for images in 0..255.
            shear_range: degrees in either direction.
            zoom_range: 0.1 means 0.9 to 1.1; or both limits. Width and height independently.
            channel_shift_range: the largest value to add or subtract.
            fill_mode, cval: what fills the outside: "nearest", "constant" (``cval``), "reflect" or
                "wrap".
            horizontal_flip, vertical_flip: whether to mirror half of the images.
            preprocessing_function, rescale: a function of each transformed image (h, w, c), then
                a factor, before all centring and scaling.
            data_format: "channels_last" or None.
            validation_split: the fraction that ``subset="validation"`` means, in [0, 1).
            interpolation_order: 1 (bilinear), 0 (nearest), or 2 to 5 (splines; slower).
            dtype: of the batches; None is float32.

        Raises:
            ValueError: for a setting that is out of range or not supported.
        """
        factors = (1.0, 1.0) if brightness_range is None else brightness_range
        zooms = (
            (1 - zoom_range, 1 + zoom_range) if isinstance(zoom_range, (int, float)) else zoom_range
        )
        for name, value, is_valid, rule in (
            ("fill_mode", fill_mode, fill_mode in FILL_MODES, f"one of {FILL_MODES}"),
            ("data_format", data_format, data_format in (None, "channels_last"), "channels_last"),
            (
                "interpolation_order",
                interpolation_order,
                interpolation_order in range(6),
                "in 0..5",
            ),
            ("validation_split", validation_split, 0 <= validation_split < 1, "in [0, 1)"),
            (
                "zoom_range",
                zoom_range,
                np.shape(zooms) == (2,) and min(zooms) > 0 and zooms[0] <= zooms[1],
                "a number in [0, 1), or the lowest and highest factor, above 0",
            ),
            ("brightness_range", brightness_range, np.shape(factors) == (2,), "two numbers"),
        ):
            if not is_valid:
                raise ValueError(f"{name} must be {rule}. Received: {name}={value!r}")
        self.interpolation_order = interpolation_order
        self.fill_mode, self.cval, self.validation_split = fill_mode, cval, validation_split
        self.dtype = np.dtype(np.float32 if dtype is None else dtype)
        self.ranges = Ranges(
            rotation_range=rotation_range,
            width_shift_range=width_shift_range,
            height_shift_range=height_shift_range,
            brightness_range=None if brightness_range is None else tuple(factors),
            shear_range=shear_range,
            zoom_range=tuple(zooms),
            channel_shift_range=channel_shift_range,
            horizontal_flip=horizontal_flip,
            vertical_flip=vertical_flip,
        )
        self.standardization = Standardization(
            preprocessing_function=preprocessing_function,
            rescale=rescale,
            samplewise_center=samplewise_center or samplewise_std_normalization,
            samplewise_std_normalization=samplewise_std_normalization,
            featurewise_center=featurewise_center or featurewise_std_normalization or zca_whitening,
            featurewise_std_normalization=featurewise_std_normalization and not zca_whitening,
            zca_whitening=zca_whitening,
            zca_epsilon=zca_epsilon,
        )

    def flow(
        self,
        x: Images,
        y: Images | None = None,
        batch_size: int = 32,
        shuffle: bool = True,
        sample_weight: Images | None = None,
        seed: int | None = None,
        save_to_dir: str | Path | None = None,
        save_prefix: str = "",
        save_format: str = "png",
        *,
        subset: str | None = None,
    ) -> ArrayFlow:
        """Endless batches from arrays.

        Args:
            x: (n, h, w, c), of any real dtype; never modified.
            y: (n, ...), targets; None for batches of images only.
            batch_size: images per batch; the last batch of a round may be smaller.
            shuffle: whether every round has its own order.
            sample_weight: (n,), returned as a third array.
            seed: determines all that is drawn; None draws a seed.
            save_to_dir, save_prefix, save_format: a folder in which to write the pictures of every
                batch that is made, stretched to 0..255, the beginning of their names, and the
                ending.
            subset: "training" or "validation", the rest or the first ``validation_split``.

        Raises:
            ValueError: if the lengths of arrays differ, or for an unknown subset.
        """
        flow = ArrayFlow(self, x, y, batch_size, shuffle, sample_weight, seed, subset)
        flow.save_to(save_to_dir, save_prefix, save_format)
        return flow

    def flow_from_dataframe(
        self,
        dataframe: Any,
        directory: str | Path | None = None,
        x_col: str = "filename",
        y_col: str = "class",
        target_size: tuple[int, int] = (256, 256),
        color_mode: str = "rgb",
        classes: Sequence[str] | None = None,
        class_mode: str | None = "categorical",
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int | None = None,
        *,
        subset: str | None = None,
        interpolation: str = "nearest",
    ) -> TableFlow:
        """Endless batches of the image files in a table.

        Args:
            dataframe: a .csv with a header, or anything with columns, ``dataframe[x_col]``.
            directory: what the files are relative to; None is the folder of the .csv, or the
                current one.
            x_col, y_col: the columns of files and of classes.
            classes: their order; None sorts them by name. Rows of other classes are left out.
            target_size, color_mode, class_mode, batch_size, shuffle, seed, subset, interpolation:
                as in :meth:`flow_from_directory`; a subset is a fraction of the rows.

        Raises:
            InputError: if a file of the table is missing, or the table cannot be read.
            ValueError: if it lacks a column, or for an unknown setting.
        """
        how: dict[str, Any] = {"target_size": target_size, "color_mode": color_mode}
        how |= {"classes": classes, "class_mode": class_mode, "batch_size": batch_size}
        how |= {"shuffle": shuffle, "seed": seed, "subset": subset, "interpolation": interpolation}
        return TableFlow(self, dataframe, directory, (x_col, y_col), **how)

    def flow_from_directory(
        self,
        directory: str | Path,
        target_size: tuple[int, int] = (256, 256),
        color_mode: str = "rgb",
        classes: Sequence[str] | None = None,
        class_mode: str | None = "categorical",
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int | None = None,
        *,
        subset: str | None = None,
        interpolation: str = "nearest",
        recipe: str | None = None,
    ) -> DirectoryFlow:
        """Endless batches of the image files in a folder with one subfolder per class.

        Args:
            directory: the folder that holds the folders of the classes.
            target_size: (height, width) to resize images to.
            color_mode: "grayscale", "rgb" or "rgba": 1, 3 or 4 channels of 0..255.
            classes: folder names in the order of class numbers; None takes all, sorted by name.
            class_mode: the form of labels: "categorical" (one-hot rows), "sparse" or "binary"
                (numbers), "input" (the image itself), None (no labels).
            batch_size, shuffle, seed, subset: as in :meth:`flow`; a subset is a fraction of every
                class.
            interpolation: "nearest", "bilinear", "bicubic", "lanczos", "box" or "hamming".
            recipe: "mnist", "resize" or "none" converts each image to (28, 28, 1) in 0..1 with
                :func:`tinymnist.prepare_image`, whatever the size and colour mode.

        Raises:
            InputError: if the folder does not exist or holds no images.
            ValueError: for an unknown setting.
        """
        return DirectoryFlow(
            self,
            directory,
            target_size=target_size,
            color_mode=color_mode,
            classes=classes,
            class_mode=class_mode,
            batch_size=batch_size,
            shuffle=shuffle,
            seed=seed,
            subset=subset,
            interpolation=interpolation,
            recipe=recipe,
        )

    def get_random_transform(
        self, img_shape: Sequence[int], seed: int | None = None
    ) -> dict[str, Any]:
        """Draw the parameters of one image of shape (h, w, c).

        Returns:
            theta, tx, ty, shear, zx, zy, flip_horizontal, flip_vertical, channel_shift_intensity
            and brightness; the last two are None unless their ranges are set.
        """
        _check_image(img_shape)
        drawn = self.ranges.draw(1, img_shape[0], img_shape[1], np.random.RandomState(seed))
        absent = dict.fromkeys(("channel_shift_intensity", "brightness"))
        return absent | {name: values[0].item() for name, values in drawn.items()}

    def apply_transform(self, x: Images, transform_parameters: Mapping[str, Any]) -> Images:
        """Transform one image (h, w, c) by given parameters; missing ones change nothing.

        Returns:
            A new image of the same shape and dtype (float32 if the brightness changes).
        """
        _check_image(np.shape(x))
        known = {*_IDENTITY, *_FLIPPED_AXIS, "channel_shift_intensity", "brightness"}
        if unknown := sorted(transform_parameters.keys() - known):
            raise ValueError(f"transform_parameters are {sorted(known)}. Received: {unknown}")
        given = {name: v for name, v in transform_parameters.items() if v is not None}
        parameters = {name: np.array([v]) for name, v in {**_IDENTITY, **given}.items()}
        transformed: Images = self._transform(np.asarray(x)[None], parameters)[0]
        return transformed

    def random_transform(self, x: Images, seed: int | None = None) -> Images:
        """Transform one image (h, w, c) at random."""
        return self.apply_transform(x, self.get_random_transform(np.shape(x), seed))

    def _transform(self, images: Images, parameters: Parameters) -> Images:
        """Transform images (n, h, w, c); always a new array."""
        if any(np.any(parameters[name] != value) for name, value in _IDENTITY.items()):
            maps = affine_maps(parameters, *images.shape[1:3])
            if self.interpolation_order == 1:
                images = resample_affine(images, maps, self.fill_mode, self.cval)
            else:
                how = self.interpolation_order, self.fill_mode, self.cval
                images = resample_by_splines(images, maps, *how)
        else:
            images = images.copy()
        if "channel_shift_intensity" in parameters:
            images = shift_channels(images, parameters["channel_shift_intensity"])
        for name, axis in _FLIPPED_AXIS.items():
            if name in parameters and (chosen := parameters[name]).any():
                images[chosen] = np.flip(images[chosen], axis)
        if "brightness" in parameters:
            images = brighten(images, parameters["brightness"])
        return images

    def vary(self, images: Images, random: np.random.RandomState) -> Images:
        """Draw a variant of each image of a batch (n, h, w, c), and standardize it."""
        return self.vary_by([images], [self.draw(images, random)])[0]

    def draw(self, images: Images, random: np.random.RandomState) -> dict[str, Images]:
        """Draw the parameters of images (n, h, w, c), (n,) each."""
        n, height, width = images.shape[:3]
        return self.ranges.draw(n, height, width, random)

    def vary_by(self, batches: Sequence[Images], parameters: Sequence[Parameters]) -> list[Images]:
        """Transform batches (n, h, w, c) by their parameters, all at once; standardize each."""
        if not batches:
            return []
        images = np.concatenate(batches).astype(self.dtype, copy=False)
        joined = {name: np.concatenate([p[name] for p in parameters]) for name in parameters[0]}
        varied = self._transform(images, joined).astype(self.dtype, copy=False)
        parts = np.split(varied, np.cumsum([len(batch) for batch in batches])[:-1])
        return [self.standardization.apply(part, (1, 2, 3)) for part in parts]

    def standardize(self, x: Images) -> Images:
        """Standardize a copy of an image; a batch counts as one large image, as in Keras."""
        batch = np.array(x, self.dtype).reshape(-1, *np.shape(x)[-3:])
        return self.standardization.apply(batch, (0, 1, 2, 3)).reshape(np.shape(x))

    def plan(self) -> dict[str, Any]:
        """Everything the variants depend on, as plain values for a checkpoint to compare."""
        values: dict[str, Any] = {
            "standardization": self.standardization.plan(),
            "dtype": str(self.dtype),
        }
        if self.interpolation_order != 1:
            values["interpolation_order"] = self.interpolation_order
        return {"ranges": repr(self.ranges), "fill": [self.fill_mode, self.cval], **values}

    @property
    def mean(self) -> Any:
        """What the featurewise settings subtract, (1, 1, c); it can be set, as in Keras."""
        return self.standardization.mean

    @mean.setter
    def mean(self, value: Any) -> None:
        self.standardization.mean = np.asarray(value, self.dtype)

    @property
    def std(self) -> Any:
        """What the featurewise settings divide by, (1, 1, c); it can be set, as in Keras."""
        return self.standardization.std

    @std.setter
    def std(self, value: Any) -> None:
        self.standardization.std = np.asarray(value, self.dtype)

    def fit(
        self, x: Images, augment: bool = False, rounds: int = 1, seed: int | None = None
    ) -> None:
        """Compute the statistics that the featurewise settings and whitening need.

        They are those of the training set ``x`` (n, h, w, c) or, to ``augment`` it, of ``rounds``
        random variants of each image, drawn from ``seed``.
        """
        if np.ndim(x) != 4:
            raise ValueError(f"fit takes images (n, h, w, c). Received: x.shape={np.shape(x)}")
        if not self.standardization.featurewise_center:
            return
        images = np.array(x, self.dtype)
        if self.standardization.rescale:
            images *= self.standardization.rescale
        if augment:
            images = np.concatenate([images] * rounds)
            drawn = self.draw(images, np.random.RandomState(seed))
            images = self._transform(images, drawn).astype(self.dtype, copy=False)
        self.standardization.fit(images)


def _check_image(shape: Sequence[int]) -> None:
    if len(shape) != 3:
        raise ValueError(f"an image is (h, w, c). Received: shape={tuple(shape)}")
