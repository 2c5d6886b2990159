"""Pictures in, digits out: a recipe brings pictures to MNIST's form, and a network reads them.

What it reads is one digit, or a page of them. Both show themselves in notebooks.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from operator import length_hint
from os import PathLike
from typing import TYPE_CHECKING, Any, NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from tinymnist.adapter import (
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
from tinymnist.reporting.text import percent

if TYPE_CHECKING:
    from tinymnist.imaging.digit.normalize import Readings
    from tinymnist.imaging.page.lattice import Box, Candidate, Row
    from tinymnist.imaging.page.tables import Table

DEFAULT_MODEL = "mnist-cnn"
PAGE_SIDE = 1600
"""Pixels on the longer side of a page; a larger one is reduced before digits are searched."""
SMALL = "small"
"""Why a mark is skipped that is much smaller than a digit."""
MANY = 9
"""Pictures that are worth an inference plan, which then reads them twice as fast."""
_SURE_OF_DIGIT = 0.5
"""With less confidence than this, what is on a picture may not be a digit."""


@dataclass(frozen=True, eq=False, repr=False)
class Prediction:
    """What a network makes of one picture. A notebook shows it with the picture.

    Two predictions are equal if their probabilities and class names are; ``int(prediction)`` is
    the digit.

    Attributes:
        probabilities: (classes,) float32, summing to 1.
        class_names: what the classes are called.
        picture: (28, 28) in 0..1, what the network saw; None if unknown. Of several readings of
            the picture it is the one that counts most.
        count: how many digits seem to stand beside each other; with more than one, no answer is
            more probable than its share of them.
    """

    probabilities: NDArray[np.float32]
    class_names: tuple[str, ...]
    picture: NDArray[np.float32] | None = None
    count: int = 1

    @property
    def digit(self) -> int | str:
        """The most probable class: a number if all classes are digits, else its name."""
        return self._ranked[0][0]

    @property
    def confidence(self) -> float:
        """The probability of :attr:`digit`."""
        return self._ranked[0][1]

    @property
    def runner_up(self) -> tuple[int | str, float]:
        """The second most probable class and its probability."""
        return self._ranked[1]

    @property
    def note(self) -> str:
        """What speaks against the answer, in a few words; empty if nothing does."""
        if self.count > 1:
            return "several digits: use tinymnist read"
        first, confidence = self._ranked[0]
        is_doubtful = confidence < _SURE_OF_DIGIT and isinstance(first, int)
        return "may not be a digit" if is_doubtful else ""

    @cached_property
    def _ranked(self) -> list[tuple[int | str, float]]:
        """All classes and their probabilities, the most probable first."""
        kind = int if set(self.class_names) <= set("0123456789") else str
        order = np.argsort(-self.probabilities, kind="stable").tolist()
        return [(kind(self.class_names[i]), float(self.probabilities[i])) for i in order]

    def __int__(self) -> int:
        return int(self.digit)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Prediction):
            return NotImplemented
        return self.class_names == other.class_names and np.array_equal(
            self.probabilities, other.probabilities
        )

    def __hash__(self) -> int:
        return hash((self.class_names, self.probabilities.tobytes()))

    def __repr__(self) -> str:
        return f"Prediction(digit={self.digit!r}, confidence={self.confidence:.4f})"

    def _repr_html_(self) -> str:
        """The picture as the network saw it, the class, and the most probable other ones."""
        from html import escape  # none of these is needed to read

        from tinymnist.reporting.figures import to_picture
        from tinymnist.reporting.html import image

        first, *others = (f"{escape(str(name))} {percent(p)}" for name, p in self._ranked[:3])
        shown = ""
        if self.picture is not None:
            shown = image(to_picture(self.picture, (112, 112)), f"read as {self.digit}") + "<br>"
        return f"<div>{shown}<b>{first}</b><br><small>{', '.join(others)}</small></div>"


@dataclass(frozen=True, repr=False)
class PageDigit:
    """A digit on a page.

    Attributes:
        prediction: what it is taken for.
        box: left, top, right, bottom in pixels of the picture as it is seen upright; right and
            bottom are exclusive.
    """

    prediction: Prediction
    box: tuple[int, int, int, int]

    @property
    def digit(self) -> int | str:
        """The most probable class."""
        return self.prediction.digit

    @property
    def confidence(self) -> float:
        """Its probability."""
        return self.prediction.confidence

    def __repr__(self) -> str:
        return f"PageDigit(digit={self.digit!r}, confidence={self.confidence:.4f}, box={self.box})"


@dataclass(frozen=True)
class Skipped:
    """Ink in a row of digits that was not read.

    Attributes:
        box: left, top, right, bottom as in :class:`PageDigit`.
        why: "sign" for an operator or a parenthesis, "small", "beside other matter" if it looks
            like a digit among words, or "not surely a digit".
    """

    box: tuple[int, int, int, int]
    why: str


@dataclass(frozen=True)
class GridCell:
    """A cell of a grid.

    Attributes:
        row, column: from 0, at the upper left.
        digits: from the left; none if the cell is empty.
        box: left, top, right, bottom as in :class:`PageDigit`.
    """

    row: int
    column: int
    digits: tuple[PageDigit, ...]
    box: tuple[int, int, int, int]

    @property
    def text(self) -> str:
        """The digits; names longer than one sign have spaces between them."""
        return _joined(self.digits)

    @property
    def confidence(self) -> float:
        """The probability that all digits are right, if their errors are independent."""
        return math.prod(digit.confidence for digit in self.digits)


@dataclass(frozen=True)
class Grid:
    """A table, a sudoku or boxes of a form.

    Attributes:
        rows, columns: how many it has.
        cells: row by row.
        box: left, top, right, bottom as in :class:`PageDigit`.
    """

    rows: int
    columns: int
    cells: tuple[GridCell, ...]
    box: tuple[int, int, int, int]

    @property
    def table(self) -> list[list[str]]:
        """The cells' text, row by row; empty cells are ``""``."""
        texts = [cell.text for cell in self.cells]
        return [texts[i : i + self.columns] for i in range(0, len(texts), self.columns)]

    @property
    def lines(self) -> list[str]:
        """Its rows as text in aligned columns, ``.`` for an empty cell."""
        table = [[text or "." for text in row] for row in self.table]
        wide = [max(map(len, column)) for column in zip(*table, strict=True)]
        space = "" if max(wide) == 1 else " "
        return [space.join(t.rjust(w) for t, w in zip(row, wide, strict=True)) for row in table]


@dataclass(frozen=True, repr=False)
class Page:
    """What is written on a page. A notebook shows its rows as the network saw them.

    Attributes:
        rows: from the top, each with its digits from the left; no row is empty. Those in grids are
            among them.
        grids: the tables, sudokus and rows of boxes on the page, from the top.
        lines: the text of each row, and of empty rows of grids, from the top; None takes the rows'.
        turned: by how many degrees to the left the page was turned to stand upright. Boxes are
            always on the picture as it came.
        skipped: what was passed over in the rows, in reading order.
        marked: as ``lines``, with ``_`` for each skipped mark that is not small.
    """

    rows: tuple[tuple[PageDigit, ...], ...]
    grids: tuple[Grid, ...] = ()
    lines: tuple[str, ...] | None = None
    turned: int = 0
    skipped: tuple[Skipped, ...] = ()
    marked: tuple[str, ...] | None = None

    @property
    def digits(self) -> tuple[PageDigit, ...]:
        """All digits in reading order."""
        return tuple(digit for row in self.rows for digit in row)

    @property
    def text(self) -> str:
        """The digits without spaces, the rows joined by newlines.

        Class names longer than one sign, as of a model of your own, have spaces between them. In a
        grid, cells that may hold several digits stand in aligned columns, with spaces between
        them; ``.`` is an empty cell.
        """
        if self.lines is not None:
            return "\n".join(self.lines)
        return "\n".join(_joined(row) for row in self.rows)

    def __repr__(self) -> str:
        return f"Page({self.text!r})"

    def _repr_html_(self) -> str:
        """A table of the rows: each digit's picture, class and confidence."""
        rows = (
            [f"<td>{digit.prediction._repr_html_()}</td>" for digit in row] for row in self.rows
        )
        return f"<table>{''.join('<tr>' + ''.join(row) + '</tr>' for row in rows)}</table>"


def _joined(digits: Iterable[PageDigit], passed: Iterable[Skipped] = ()) -> str:
    """Digits as text; if any class of the model has a name longer than one sign, with spaces.

    What was passed over is ``_``, except small marks.
    """
    found = list(digits)
    are_long = any(len(name) > 1 for digit in found for name in digit.prediction.class_names)
    marks = [(digit.box, str(digit.digit)) for digit in found]
    if skipped := [(one.box, "_") for one in passed if one.why != SMALL]:
        marks = sorted(marks + skipped)
    return (" " if are_long else "").join(text for _, text in marks)


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

    def read(self, source: Any) -> Page:
        """Read a page with any number of digits in any number of rows.

        A page is always brought to MNIST's form, whatever the reader's recipe. All its digits go
        through the network at once. The source and errors are as for :meth:`predict`.
        """
        from tinymnist.imaging.digit.isolate import NoDigitFound
        from tinymnist.imaging.page.tables import read_upright

        def confidence(images: NDArray[np.float32]) -> NDArray[np.float32]:
            return np.asarray(self.probabilities(images[..., None]).max(axis=1))

        grey, size = decode_with_size(source, longest_side=PAGE_SIDE)
        try:
            rows, tables, turns = read_upright(grey, confidence)
        except NoDigitFound as error:
            raise NoDigitFound(f"{describe(source)}: {error}") from None
        shape = grey.shape[::-1] if turns % 2 else grey.shape
        page = self._page(rows, tables, _View(shape, size, turns))
        if not page.rows and not page.grids:
            raise NoDigitFound(f"{describe(source)}: no digit found: no mark looks like one")
        return page

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
        found = self._read_rows([row], _View(grey.shape, size, 0), length, allowed)
        digits, passed = found[0]
        if not digits:
            what = "no mark looks like one" if length is None else f"nothing fits length={length}"
            raise NoDigitFound(f"{describe(source)}: no digit found: {what}")
        text, marked = _joined(digits), _joined(digits, passed)
        return Page((digits,), (), (text,), 0, passed, (marked,))

    def _page(self, rows: list[Row], tables: list[Table], view: _View) -> Page:
        """The likeliest digits of each row and cell, in the order of the page."""
        lines = [line for table in tables for line in table.lines]
        read = iter(self._read_rows(rows + lines, view))
        places: list[_Line] = []
        for row in rows:
            digits, passed = next(read)
            if digits:
                down = float(np.median([one.box[0] + one.box[2] for one in row.candidates]))
                places.append(_Line(down, _joined(digits), _joined(digits, passed), digits, passed))
        grids = []
        for table in tables:
            cells = []
            for cell in table.cells:
                digits, passed = ((), ()) if cell.line is None else next(read)
                cells.append(GridCell(cell.row, cell.column, digits, view.box(cell.box)))
                places.append(_Line(cell.box[0] + cell.box[2], "", "", (), passed))
            grid = Grid(table.rows, table.columns, tuple(cells), view.box(table.box))
            grids.append(grid)
            for number, line in enumerate(grid.lines):
                own = slice(number * grid.columns, (number + 1) * grid.columns)
                downs = [cell.box[0] + cell.box[2] for cell in table.cells[own]]
                row_digits = tuple(digit for cell in cells[own] for digit in cell.digits)
                places.append(_Line(float(np.median(downs)), line, line, row_digits, ()))
        places.sort(key=lambda place: place.down)
        shown = [place for place in places if place.text]
        return Page(
            tuple(place.digits for place in places if place.digits),
            tuple(grids),
            tuple(place.text for place in shown),
            90 * view.turns,
            tuple(one for place in places for one in place.passed),
            tuple(place.marked for place in shown),
        )

    def read_many(
        self, sources: Iterable[Any], *, workers: int | None = None
    ) -> Generator[Page | InputError]:
        """Read a stream of pages; all is as for :meth:`predict_many`."""
        from tinymnist.processes import map_in_order  # one page alone does not need it

        return map_in_order(partial(_read_one, self), sources, workers, stays=is_of_this_process)

    def _read_rows(
        self,
        rows: list[Row],
        view: _View,
        length: int | None = None,
        allowed: NDArray[np.bool_] | None = None,
    ) -> list[tuple[tuple[PageDigit, ...], tuple[Skipped, ...]]]:
        """The likeliest digits of each row, and what is passed over.

        ``length`` is how many a row has, and ``allowed`` (classes,) says which there may be.
        """
        images = [candidate.image for row in rows for candidate in row.candidates]
        if not images:
            return [((), ()) for _ in rows]
        predictions = iter(self.predict_prepared(np.stack(images)[..., None]))
        read = []
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


class _Line(NamedTuple):
    """A line of a page's text."""

    down: float
    text: str
    marked: str  # the same with what was passed over
    digits: tuple[PageDigit, ...]
    passed: tuple[Skipped, ...]


class _View(NamedTuple):
    """How the page that was read relates to the picture."""

    shape: tuple[int, ...]  # of the page
    size: tuple[int, int]  # of the picture
    turns: int  # quarters of a circle to the left that made the page of the picture

    def box(self, box: Box) -> tuple[int, int, int, int]:
        """(top, left, bottom, right) on the page to (left, top, right, bottom) on the picture."""
        height, width = self.size[::-1] if self.turns % 2 else self.size
        down, right = height / self.shape[0], width / self.shape[1]
        ends = math.ceil(box[3] * right), math.ceil(box[2] * down)
        starts = math.floor(box[1] * right), math.floor(box[0] * down)
        found = (*starts, min(ends[0], width), min(ends[1], height))
        if self.turns:
            from tinymnist.imaging.page.turning import turn_back

            return turn_back(found, self.turns, self.size)
        return found
