"""A model as one Python file that holds its weights and needs NumPy alone.

The file is made to be read: the layers are lines of ``network``, the operations are functions of
a few lines each, only those that the model needs, and the picture of the self-test is drawn in
characters. ``python digits.py`` replays it.
"""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from tinymnist.files import whole_file
from tinymnist.interop.standalone.writer import page
from tinymnist.nn.sequential import Sequential

__all__ = ["page", "write"]


def write(model: Sequential, path: str | PathLike[str]) -> None:
    """Write a model as a standalone Python file, completely or not at all.

    Args:
        model: any model. What it computes, ``predict`` of the file computes, within rounding.
        path: where to write; by custom it ends in ``.py``.

    Raises:
        InputError: when the model has a layer for which a standalone file has no function, or
            the file cannot be written.
    """
    text = page(model, Path(path).name)
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
