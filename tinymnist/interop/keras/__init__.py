"""Keras: ``.keras`` and ``.h5`` of every version since 2015, read and written without Keras.

``reading`` tells the forms of files apart; ``hdf5`` and ``archive`` take out of them what is
needed; ``config`` understands the description of layers, in the words of ``vocabulary``;
``weights`` finds their arrays; ``unfold`` lays models inside models out flat; ``assembling`` turns
layer by layer into tinymnist's, by the functions in ``learned``, ``elementwise``, ``shaping`` and
``merging``. What is not known exactly is refused. The way out is ``exporting``, then ``writing``.
"""

from __future__ import annotations

from tinymnist.interop.keras.reading import candidates, read
from tinymnist.interop.keras.writing import write

__all__ = ["candidates", "read", "write"]
