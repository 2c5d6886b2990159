"""What a network reads: one digit, or a page of them. Both show themselves in notebooks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tinymnist.reporting.text import percent

_SHOWN = (112, 112)
"""Pixels of a picture in a notebook."""


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
    """

    probabilities: NDArray[np.float32]
    class_names: tuple[str, ...]
    picture: NDArray[np.float32] | None = None

    @property
    def digit(self) -> int | str:
        """The most probable class: a number if all classes are digits, else its name."""
        return self._name(self._ranked[0])

    @property
    def confidence(self) -> float:
        """The probability of :attr:`digit`."""
        return float(self.probabilities[self._ranked[0]])

    @property
    def runner_up(self) -> tuple[int | str, float]:
        """The second most probable class and its probability."""
        second = self._ranked[1]
        return self._name(second), float(self.probabilities[second])

    @property
    def _ranked(self) -> list[int]:
        return [int(i) for i in np.argsort(-self.probabilities, kind="stable")]

    def _name(self, index: int) -> int | str:
        name = self.class_names[index]
        return int(name) if set(self.class_names) <= set("0123456789") else name

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

        shares = [
            f"{escape(str(self._name(i)))} {percent(float(self.probabilities[i]))}"
            for i in self._ranked[:3]
        ]
        shown = ""
        if self.picture is not None:
            shown = image(to_picture(self.picture, _SHOWN), f"read as {self.digit}") + "<br>"
        return f"<div>{shown}<b>{shares[0]}</b><br><small>{', '.join(shares[1:])}</small></div>"


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


@dataclass(frozen=True, repr=False)
class Page:
    """What is written on a page. A notebook shows its rows as the network saw them.

    Attributes:
        rows: from the top, each with its digits from the left; no row is empty.
    """

    rows: tuple[tuple[PageDigit, ...], ...]

    @property
    def digits(self) -> tuple[PageDigit, ...]:
        """All digits in reading order."""
        return tuple(digit for row in self.rows for digit in row)

    @property
    def text(self) -> str:
        """The digits without spaces, the rows joined by newlines."""
        return "\n".join("".join(str(digit.digit) for digit in row) for row in self.rows)

    def __repr__(self) -> str:
        return f"Page({self.text!r})"

    def _repr_html_(self) -> str:
        """A table of the rows: each digit's picture, class and confidence."""
        rows = (
            "".join(f"<td>{digit.prediction._repr_html_()}</td>" for digit in row)
            for row in self.rows
        )
        return f"<table>{''.join(f'<tr>{row}</tr>' for row in rows)}</table>"
