"""Pictures in, digits out: a recipe brings pictures to MNIST's form, and a network reads them.

What it reads is one digit, or a page of them. Both show themselves in notebooks.
"""

from __future__ import annotations

import copy
from collections.abc import Generator, Iterable, Sequence
from dataclasses import replace
from functools import partial
from operator import length_hint
from os import PathLike
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import NDArray

from tinymnist import limits
from tinymnist.adapter import (
    Prediction,
    check_classifier,
    mean_by_odds,
    model_input,
    probabilities,
    share_among_marks,
)
from tinymnist.errors import InputError
from tinymnist.imaging.digit.recipes import PreparedSet, is_of_this_process, prepare_readings
from tinymnist.imaging.picture.decode import decode_with_size, describe
from tinymnist.interop import load_model
from tinymnist.nn.sequential import Sequential

if TYPE_CHECKING:
    from tinymnist.imaging.digit.normalize import Readings
    from tinymnist.imaging.page.lattice import Candidate, Row
    from tinymnist.pages import Page, ReadRow, View

DEFAULT_MODEL = "mnist-cnn"
PAGE_SIDE = 1600
"""Pixels on the longer side of a page; a larger one is reduced before digits are searched."""
MANY = 9
"""Pictures that are worth an inference plan, which then reads them twice as fast."""


class Reader:
    """A network together with the recipe that prepares pictures for it."""

    def __init__(
        self, model: str | PathLike[str] | Sequential = DEFAULT_MODEL, recipe: str | None = None
    ) -> None:
        """Load a model.

        Args:
            model: the name of a shipped model, a model file of any framework, or a model.
            recipe: "mnist", "resize" or "none"; None takes the one the model was made with.

        Raises:
            InputError: when there is no such model, or it does not take MNIST's pictures or answer
                with one number per class.
        """
        self.model = model if isinstance(model, Sequential) else load_model(model)
        check_classifier(self.model)
        metadata = self.model.metadata
        self.preprocessing = metadata.get("preprocessing", {})
        self.recipe = recipe or self.preprocessing.get("recipe", "mnist")
        classes = self.model.output_shape[-1]
        self.class_names = tuple(metadata.get("class_names") or map(str, range(classes)))

    def __getstate__(self) -> dict[str, Any]:
        """What is needed to read, so that workers get little more than the weights.

        Optimizer, metrics and history of a training stay behind.
        """
        model = copy.copy(self.model)
        for name in ("optimizer", "loss", "metrics", "history"):
            vars(model).pop(name, None)
        return {**vars(self), "model": model}

    @overload
    def predict(self, source: list[Any] | tuple[Any, ...]) -> list[Prediction]: ...
    @overload
    def predict(self, source: NDArray[Any]) -> Any: ...
    @overload
    def predict(self, source: Any) -> Prediction: ...
    def predict(self, source: Any) -> Any:
        """Read one picture, or several. A picture's readings count by the network's odds on each.

        Args:
            source: a path, the bytes of a file, an open file, a Pillow image or an array: one
                picture. A list or tuple of them, an array (n, h, w) such as MNIST's (n, 28, 28),
                or (n, h, w, c): several. An array (h, w, 1..4) or (1, h, w) is one picture.

        Returns:
            A prediction; for several pictures a list with one for each.

        Raises:
            InputError: when one is not a picture, or no digit is found on it; see
                :meth:`predict_many` to go on with the others.
        """
        if (several := _several(source)) is None:
            return self.prediction(prepare_readings(source, self.recipe), plain=True)
        found = []
        for number, one in enumerate(self.predict_many(several)):
            if isinstance(one, InputError):
                raise InputError(f"picture {number} of {len(several)}: {one}")
            found.append(one)
        return found

    def predict_many(
        self, sources: Iterable[Any], *, workers: int | None = None
    ) -> Generator[Prediction | InputError]:
        """Read a stream of pictures on all cores; results come in order, and as soon as they can.

        The stream is taken only a little ahead, so it may be endless. A script needs no
        ``if __name__ == "__main__"`` for it. What a picture is read as depends to the last bit on
        itself alone, not on other pictures or the number of workers; but in a list of fewer than
        nine, which is not worth an inference plan, it is rounded as by :meth:`predict`. ::

            for file, found in zip(files, reader.predict_many(files), strict=True):
                print(file, "unreadable" if isinstance(found, InputError) else found.digit)

        Args:
            sources: see :meth:`predict`. An InputError among them stays what it is.
            workers: how many processes prepare pictures; None takes one per core, see
                :mod:`tinymnist.threads`. They are started only if there is enough to do. The
                results do not depend on their number.

        Yields:
            For every source a prediction, or the InputError that says why it has none.
        """
        if length_hint(sources, MANY) < MANY:
            return self._predict_few(sources)
        from tinymnist.processes import map_in_order  # a few pictures do not need it

        predict = partial(_predict_one, self)
        return map_in_order(predict, sources, workers, stays=is_of_this_process)

    def _predict_few(self, sources: Iterable[Any]) -> Generator[Prediction | InputError]:
        for source in sources:
            try:
                if isinstance(source, InputError):
                    raise source
                found = self.prediction(prepare_readings(source, self.recipe), plain=True)
            except InputError as error:
                yield error
            else:
                yield found

    def prediction(self, readings: Readings, *, plain: bool) -> Prediction:
        """What the readings of one picture come to; ``plain`` as in ``Sequential.predict``."""
        ways = self.probabilities(readings.whole, plain=plain)
        combined = ways[0]
        if len(ways) > 1:
            combined = mean_by_odds(ways, np.zeros(len(ways), np.int64))[0]
        picture = readings.whole[ways.max(axis=1).argmax(), ..., 0]
        if len(readings.marks):
            return self._of_marks(readings, combined, picture)
        return Prediction(combined, self.class_names, picture)

    def _of_marks(
        self, found: Readings, combined: NDArray[np.float32], picture: NDArray[np.float32]
    ) -> Prediction:
        """The prediction from a picture with several marks, given its probabilities as a whole."""
        first, count = Prediction(combined, self.class_names, picture), 1
        if isinstance(first.digit, int):
            marks = self.probabilities(found.marks)
            combined, count = share_among_marks(combined, marks, found.is_gathered)
        return replace(first, probabilities=combined, count=count)

    @limits.reading_page()
    def read(self, source: Any) -> Page:
        """Read a page with any number of digits in any number of rows.

        A page is always brought to MNIST's form, whatever the reader's recipe. All its digits go
        through the network at once. The source and errors are as for :meth:`predict`; a page that
        takes too much work is refused, see :data:`tinymnist.limits.PAGE_STEPS`.
        """
        from tinymnist.imaging.digit.isolate import NoDigitFound
        from tinymnist.imaging.page.tables import read_upright
        from tinymnist.pages import View, assemble

        def confidence(images: NDArray[np.float32]) -> NDArray[np.float32]:
            return np.asarray(self.probabilities(images[..., None]).max(axis=1))

        grey, size = decode_with_size(source, longest_side=PAGE_SIDE)
        try:
            rows, tables, turns = read_upright(grey, confidence)
        except NoDigitFound as error:
            raise NoDigitFound(f"{describe(source)}: {error}") from None
        shape = grey.shape[::-1] if turns % 2 else grey.shape
        view = View(shape, size, turns)
        lines = rows + [line for table in tables for line in table.lines]
        page = assemble(rows, tables, self._read_rows(lines, view), view)
        if not page.rows and not page.grids:
            raise NoDigitFound(f"{describe(source)}: no digit found: no mark looks like one")
        return page

    @limits.reading_page()
    def read_line(self, source: Any, length: int | None = None, allow: str = "") -> Page:
        """Read a picture that holds one row and nothing else, such as a field of a form.

        Args:
            source: as for :meth:`predict`; an array is (h, w) in 0..1 or 0..255.
            length: how many digits there are; None for any number.
            allow: the digits that may be among them; "" for all.

        Returns:
            A page with one row: the most probable string that fits, each digit's probabilities
            among those allowed.

        Raises:
            InputError: as for :meth:`read`, and if nothing fits the length.
        """
        from tinymnist.imaging.digit.isolate import NoDigitFound
        from tinymnist.imaging.page.tables import read_line
        from tinymnist.pages import Page, View, joined

        allowed = np.array([not allow or name in allow for name in self.class_names])
        if not allowed.any():
            raise InputError(f"allow has none of the model's classes. Received: allow={allow!r}")

        def confidence(images: NDArray[np.float32]) -> NDArray[np.float32]:
            return np.asarray(self.probabilities(images[..., None])[:, allowed].max(axis=1))

        grey, size = decode_with_size(source, longest_side=PAGE_SIDE)
        try:
            row = read_line(grey, confidence)
        except NoDigitFound as error:
            raise NoDigitFound(f"{describe(source)}: {error}") from None
        found = self._read_rows([row], View(grey.shape, size, 0), length, allowed)
        digits, passed = found[0]
        if not digits:
            what = "no mark looks like one" if length is None else f"nothing fits length={length}"
            raise NoDigitFound(f"{describe(source)}: no digit found: {what}")
        text, marked = joined(digits), joined(digits, passed)
        return Page((digits,), (), (text,), 0, passed, (marked,))

    def read_many(
        self, sources: Iterable[Any], *, workers: int | None = None
    ) -> Generator[Page | InputError]:
        """Read a stream of pages; all is as for :meth:`predict_many`."""
        from tinymnist.processes import map_in_order  # one page alone does not need it

        return map_in_order(partial(_read_one, self), sources, workers, stays=is_of_this_process)

    def _read_rows(
        self,
        rows: list[Row],
        view: View,
        length: int | None = None,
        allowed: NDArray[np.bool_] | None = None,
    ) -> list[ReadRow]:
        """The likeliest digits of each row, and what is passed over.

        ``length`` is how many a row has, and ``allowed`` (classes,) says which there may be.
        """
        from tinymnist.pages import PageDigit, Skipped

        images = [candidate.image for row in rows for candidate in row.candidates]
        if not images:
            return [((), ()) for _ in rows]
        predictions = iter(self.predict_prepared(np.stack(images)[..., None]))
        read: list[ReadRow] = []
        for row in rows:
            own = [self._with_print(next(predictions), one) for one in row.candidates]
            if allowed is not None:
                sure = [float(one.probabilities[allowed].max()) for one in own]
                own = [_restricted(prediction, allowed) for prediction in own]
            else:
                sure = [prediction.confidence for prediction in own]
            chosen = row.cheapest(sure, length)
            boxes = {i: view.box(row.candidates[i].box) for i in chosen}
            passed = [Skipped(view.box(one.box), one.why) for one in row.passed(chosen, sure)]
            read.append((tuple(PageDigit(own[i], box) for i, box in boxes.items()), tuple(passed)))
        return read

    def _with_print(self, found: Prediction, candidate: Candidate) -> Prediction:
        """The prediction, weighed with how much a blurred candidate resembles printed digits."""
        if candidate.printed is None or self.class_names != tuple("0123456789"):
            return found
        from tinymnist.imaging.page.print import weigh_with_print

        both = weigh_with_print(found.probabilities, candidate.printed)
        return Prediction(both, self.class_names, found.picture)

    def probabilities_of(self, prepared: PreparedSet) -> NDArray[np.float32]:
        """The probabilities (m, classes) of prepared pictures, each as :meth:`predict` has them."""
        return mean_by_odds(self.probabilities(prepared.readings), prepared.owners)

    def predict_prepared(self, images: NDArray[np.float32]) -> list[Prediction]:
        """Read pictures (n, 28, 28, 1) that are in MNIST's form already."""
        rows = zip(self.probabilities(images), images[..., 0], strict=True)
        return [Prediction(row, self.class_names, picture) for row, picture in rows]

    def probabilities(
        self, images: NDArray[np.float32], *, plain: bool | None = None
    ) -> NDArray[np.float32]:
        """The probabilities (n, classes) of pictures (n, 28, 28, 1) in MNIST's form.

        ``plain`` as in :meth:`tinymnist.Sequential.predict`; None chooses by their number.
        """
        x = model_input(images, self.model.input_shape, self.preprocessing)
        found = probabilities(self.model, x, plain=plain)
        if not np.isfinite(found).all():
            raise InputError(f"{self.model.name} answers with NaN; its weights may be damaged")
        return found


def _several(source: Any) -> Sequence[Any] | NDArray[Any] | None:
    """The pictures that a list or an array holds; None if it is one picture."""
    if isinstance(source, np.ndarray):
        is_one = source.ndim < 3 or source.shape[-1] <= 4 or source.shape[0] == 1
        return None if source.ndim != 4 and is_one else source
    return source if isinstance(source, list | tuple) else None


def _predict_one(reader: Reader, source: Any) -> Prediction:
    if isinstance(source, InputError):
        raise source
    return reader.prediction(prepare_readings(source, reader.recipe), plain=False)


def _read_one(reader: Reader, source: Any) -> Page:
    if isinstance(source, InputError):
        raise source
    return reader.read(source)


def _restricted(found: Prediction, allowed: NDArray[np.bool_]) -> Prediction:
    """The prediction if no other classes can occur."""
    kept = np.where(allowed, np.maximum(found.probabilities, np.float32(1e-9)), np.float32(0))
    return Prediction(kept / kept.sum(), found.class_names, found.picture)
