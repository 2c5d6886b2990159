"""Pages with painted digits, for the tests of what reads them."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinymnist.imaging.synthetic.paint import ink

TALL, PITCH = 40, 44
"""Pixels of a painted digit, and from one to the next."""


def written(rows: Any, size: Any = (200, 320), pen: float = 0.1, sink: float = 0.0) -> Any:
    """How much of each pixel is inked; ``sink`` is by how many pixels a row falls from digit to
    digit."""
    page = np.zeros(size, np.float32)
    for i, row in enumerate(rows):
        for j, digit in enumerate(row):
            centre = ((30 + j * PITCH) / size[1], (35 + i * 65 + j * sink) / size[0])
            drawn = ink(int(digit), size, height=TALL / size[0], pen=pen, centre=centre)
            np.maximum(page, drawn, out=page)
    return page
