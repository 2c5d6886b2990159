"""Keras: ``.keras`` and ``.h5`` of every version since 2015, read and written without Keras.

``reading`` distinguishes the forms of files, with ``hdf5`` for what is safe to read; ``config``
parses the description of layers; ``weights`` finds their arrays (``weights_alone`` if the file has
no description); ``assembling`` lays inner models out flat and converts layer by layer, by the
tables of ``spatial`` and ``elementwise``. A layer that cannot be converted exactly is refused.
``exporting`` describes a model in Keras's words, and ``writing`` writes it.
"""

from __future__ import annotations

from tinymnist.interop.keras.reading import read
from tinymnist.interop.keras.writing import write

__all__ = ["read", "write"]
