"""Letters and marks drawn with a shaky hand: new classes to learn.

Each glyph is a few strokes through points in the unit square. Every picture moves the points,
slants, rotates and stretches the glyph, and uses another pen; then the recipe prepares it.
``python -m benchmarks.glyphs glyphs.png`` draws some.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from benchmarks.common import command_line

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[Any]

LETTERS: dict[str, str] = {
    "A": "8,100 48,0 88,100 | 25,62 73,62",
    "B": "18,0 18,100 | 18,0 70,8 66,42 18,48 | 18,48 82,58 78,94 18,100",
    "C": "86,16 50,0 14,40 22,84 56,100 86,84",
    "D": "18,0 18,100 | 18,0 66,10 86,50 66,92 18,100",
    "E": "82,0 18,0 18,100 84,100 | 18,48 70,48",
    "F": "82,0 18,0 18,100 | 18,46 70,46",
    "G": "86,16 50,0 14,40 22,88 62,100 86,82 86,56 56,56",
    "H": "16,0 16,100 | 84,0 84,100 | 16,50 84,50",
    "I": "50,0 50,100 | 30,0 70,0 | 30,100 70,100",
    "J": "72,0 72,78 50,100 20,88 | 46,0 92,0",
    "K": "18,0 18,100 | 84,0 20,54 | 36,44 86,100",
    "L": "20,0 20,100 84,100",
    "M": "10,100 16,0 50,66 84,0 90,100",
    "N": "16,100 16,0 84,100 84,0",
    "O": "50,0 14,34 18,78 50,100 84,76 86,30 50,0",
    "P": "20,100 20,0 76,8 78,46 20,54",
    "Q": "50,0 14,34 18,78 50,98 84,76 86,30 50,0 | 58,70 92,104",
    "R": "20,100 20,0 76,8 76,44 20,52 | 46,52 86,100",
    "S": "82,12 46,0 18,22 50,48 84,72 56,100 16,88",
    "T": "10,0 90,0 | 50,0 50,100",
    "U": "16,0 18,74 50,100 82,74 84,0",
    "V": "10,0 50,100 90,0",
    "W": "6,0 28,100 50,36 72,100 94,0",
    "X": "14,0 86,100 | 86,0 14,100",
    "Y": "12,0 50,48 | 88,0 50,48 50,100",
    "Z": "14,0 86,0 14,100 86,100",
}
MARKS: dict[str, str] = {
    "tick": "8,56 36,96 94,6",
    "cross": "12,6 88,94 | 88,6 12,94",
    "plus": "50,4 50,96 | 4,50 96,50",
    "ring": "50,4 18,16 4,50 18,84 50,96 82,84 96,50 82,16 50,4",
    "arrow": "6,50 94,50 | 60,18 94,50 60,82",
}
GLYPHS = LETTERS | MARKS
"""Strokes separated by ``|``, each a line through points right,down in hundredths."""

_SIDE, _HEIGHT = 96, 60


def strokes(glyph: str) -> list[list[tuple[float, float]]]:
    """The points of every stroke, in -0.5..0.5 around the centre."""
    return [
        [(float(x) / 100 - 0.5, float(y) / 100 - 0.5) for x, y in (p.split(",") for p in s.split())]
        for s in GLYPHS[glyph].split("|")
    ]


def draw(glyph: str, rng: np.random.Generator) -> Array:
    """One picture of a glyph in MNIST's form, (28, 28, 1) float32."""
    import numpy as np
    from PIL import Image, ImageDraw

    from tinymnist.imaging.digit.recipes import prepare_image

    turn, lean = np.deg2rad(rng.normal(0, 6)), rng.normal(0, 0.12)
    stretch = np.exp(rng.normal(0, 0.12, 2)) * (0.8, 1.0)
    shape = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    shape = shape @ np.array([[1, -lean], [0, 1]]) @ np.diag(stretch)
    pen = rng.uniform(4, 9)
    image = Image.new("L", (_SIDE, _SIDE), 0)
    canvas = ImageDraw.Draw(image)
    for stroke in strokes(glyph):
        points = _shaken(np.array(stroke), rng) @ shape.T * _HEIGHT + _SIDE / 2
        canvas.line([(x, y) for x, y in points], fill=255, width=round(pen), joint="curve")
        for x, y in points:
            canvas.ellipse((x - pen / 2, y - pen / 2, x + pen / 2, y + pen / 2), fill=255)
    return prepare_image(image, "mnist")


def _shaken(points: Array, rng: np.random.Generator) -> Array:
    """Move every point, and a new one between each two."""
    import numpy as np

    moved = points + rng.normal(0, 0.05, points.shape)
    between = (moved[1:] + moved[:-1]) / 2 + rng.normal(0, 0.02, (len(points) - 1, 2))
    line = np.empty((2 * len(points) - 1, 2))
    line[::2], line[1::2] = moved, between
    return line


def draw_set(glyphs: Sequence[str], each: int, seed: int) -> tuple[Array, Array]:
    """``each`` pictures of every glyph: (n, 28, 28, 1), and their indices in ``glyphs``, (n,)."""
    import numpy as np

    rng = np.random.default_rng(seed)
    pictures = [draw(glyph, rng) for glyph in glyphs for _ in range(each)]
    return np.stack(pictures), np.repeat(np.arange(len(glyphs)), each)


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw eight pictures of each glyph, one glyph per row."""
    parser = command_line("glyphs", "Draw some of the letters and marks.")
    parser.add_argument("out", metavar="PNG")
    options = parser.parse_args(arguments)
    import numpy as np
    from PIL import Image

    x, _ = draw_set(list(GLYPHS), 8, 0)
    sheet = x.reshape(len(GLYPHS), 8, 28, 28).swapaxes(1, 2).reshape(-1, 8 * 28)
    Image.fromarray(np.uint8(sheet * 255)).save(options.out, format="PNG")
    return 0


if __name__ == "__main__":
    sys.exit(main())
