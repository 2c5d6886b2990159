"""A model as one Python file that holds its weights and needs NumPy alone.

The file is made to be read: the layers are lines of ``network``, the operations are functions of
a few lines each, only those that the model needs, and the picture of the self-test is drawn in
characters. ``python digits.py`` replays it.
"""

from tinymnist.interop.standalone.writer import render, write

__all__ = ["render", "write"]
