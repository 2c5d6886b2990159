"""Pictures in, digits out: a recipe brings pictures to MNIST's form, and a network reads them."""

from __future__ import annotations

import math
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tinymnist.adapter import model_input, picture_side, probabilities
from tinymnist.errors import InputError
from tinymnist.imaging.digit.recipes import prepare_readings
from tinymnist.imaging.picture.decode import decode_with_size, describe
from tinymnist.interop import load_model
from tinymnist.nn.sequential import Sequential
from tinymnist.prediction import Page, PageDigit, Prediction

if TYPE_CHECKING:
    from tinymnist.imaging.page.lattice import Box, Row
    from tinymnist.prepared import PreparedSet

DEFAULT_MODEL = "mnist-cnn"
PAGE_SIDE = 1600
"""Pixels on the longer side of a page; a larger one is reduced before digits are searched."""
_MOST_ODDS = 1e4
"""The largest weight of one reading of a picture: a network is never quite certain."""


class Reader:
    """A network together with the recipe that prepares pictures for it."""

    def __init__(
        self, model: str | PathLike[str] | Sequential = DEFAULT_MODEL, recipe: str | None = None
    ) -> None:
        """Load a model.

        Args:
            model: the name of a shipped model, a weights file, another framework's file, or a
                model.
            recipe: "mnist", "resize" or "none"; None takes the one the model was made with.

        Raises:
            InputError: when there is no such model, or it does not take MNIST's pictures.
        """
        self.model = model if isinstance(model, Sequential) else load_model(model)
        if picture_side(self.model.input_shape) is None:
            raise InputError(
                f"{self.model.name} takes {self.model.input_shape}; expected a model that takes "
                "square pictures, (28, 28, 1) for instance"
            )
        metadata = self.model.metadata
        self.preprocessing = metadata.get("preprocessing", {})
        self.recipe = recipe or self.preprocessing.get("recipe", "mnist")
        classes = self.model.output_shape[-1]
        self.class_names = tuple(metadata.get("class_names") or map(str, range(classes)))

    def predict(self, source: Any) -> Prediction:
        """Read one picture.

        If the recipe gives several readings, all count, each by the network's odds on it.

        Args:
            source: a path, the bytes of a file, an open file, a Pillow image or an array.

        Raises:
            InputError: when it is not a picture, or no digit is found on it.
        """
        images = prepare_readings(source, self.recipe)
        ways = self.probabilities(images)
        combined = _by_odds(ways, np.zeros(len(ways), np.intp), 1)
        surest = ways.max(axis=1).argmax()
        return Prediction(combined[0], self.class_names, images[surest, ..., 0])

    def read(self, source: Any) -> Page:
        """Read a page with any number of digits in any number of rows.

        A page is always brought to MNIST's form, whatever the reader's recipe. All its digits go
        through the network at once.

        Args:
            source: as for :meth:`predict`.

        Raises:
            InputError: when it is not a picture, or no digit is found on it.
        """
        from tinymnist.imaging.digit.isolate import NoDigitFound
        from tinymnist.imaging.page.segment import segment

        grey, size = decode_with_size(source, longest_side=PAGE_SIDE)
        try:
            rows = self._read_rows(segment(grey, self._confidence))
        except NoDigitFound as error:
            raise NoDigitFound(f"{describe(source)}: {error}") from None
        if not rows:
            raise NoDigitFound(f"{describe(source)}: no digit found: no mark looks like one")
        return Page(
            tuple(
                tuple(PageDigit(p, _scaled(box, grey.shape, size)) for p, box in row)
                for row in rows
            )
        )

    def _confidence(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """The network's confidence in each picture (n, 28, 28): (n,)."""
        sure: NDArray[np.float32] = self.probabilities(images[..., None]).max(axis=1)
        return sure

    def _read_rows(self, rows: list[Row]) -> list[list[tuple[Prediction, Box]]]:
        """The likeliest digits of each row; rows without a digit are left out."""
        images = [candidate.image for row in rows for candidate in row.candidates]
        if not images:
            return []
        predictions = iter(self.predict_prepared(np.stack(images)[..., None]))
        read = []
        for row in rows:
            own = [next(predictions) for _ in row.candidates]
            chosen = row.cheapest([prediction.confidence for prediction in own])
            if chosen:
                read.append([(own[i], row.candidates[i].box) for i in chosen])
        return read

    def probabilities_of(self, prepared: PreparedSet) -> NDArray[np.float32]:
        """The probabilities (m, classes) of prepared pictures, each as :meth:`predict` has them."""
        ways = self.probabilities(prepared.readings)
        return _by_odds(ways, prepared.owners, len(prepared.kept))

    def predict_prepared(self, images: NDArray[np.float32]) -> list[Prediction]:
        """Read pictures (n, 28, 28, 1) that are in MNIST's form already."""
        rows = zip(self.probabilities(images), images[..., 0], strict=True)
        return [Prediction(row, self.class_names, picture) for row, picture in rows]

    def probabilities(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """The probabilities (n, classes) of pictures (n, 28, 28, 1) in MNIST's form."""
        x = model_input(images, self.model.input_shape, self.preprocessing)
        return probabilities(self.model, x)


def _scaled(box: Box, shape: tuple[int, ...], size: tuple[int, int]) -> Box:
    """(top, left, bottom, right) on a page of one size to (left, top, right, bottom) on another."""
    down, right = size[0] / shape[0], size[1] / shape[1]
    return (
        math.floor(box[1] * right),
        math.floor(box[0] * down),
        min(math.ceil(box[3] * right), size[1]),
        min(math.ceil(box[2] * down), size[0]),
    )


def _by_odds(
    ways: NDArray[np.float32], owners: NDArray[np.int64], count: int
) -> NDArray[np.float32]:
    """The mean of every picture's readings, each weighed by the odds on its most probable class.

    If a reading confuses ink and paper, the network is unsure of it. In a plain mean it would halve
    the confidence of the other reading.

    Args:
        ways: (r, classes) probabilities.
        owners: (r,) which picture each belongs to.
        count: how many pictures there are.

    Returns:
        (count, classes) float32, rows summing to 1.
    """
    sure = ways.max(axis=1).astype(np.float64)
    odds = sure / np.maximum(1 - sure, 1 / _MOST_ODDS)
    shares = odds / np.bincount(owners, odds, count)[owners]
    means = np.zeros((count, ways.shape[1]))
    np.add.at(means, owners, shares[:, None] * ways)
    return means.astype(np.float32)
