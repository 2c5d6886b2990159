"""TensorFlow's own formats, read without TensorFlow: SavedModel, TensorFlow Lite, TensorFlow.js.

``bundle`` reads variables, ``savedmodel`` what Keras says of its layers, ``tfjs`` a model that is
described in JSON. Where nobody described layers, ``tflite`` and ``graph`` (whose nodes ``graphdef``
reads) turn each operation into the Keras layer that does the same, so that Keras's reader builds
all of them.
"""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from tinymnist import limits
from tinymnist.interop.bare.candidates import Candidates, defines_layers
from tinymnist.interop.sniffing import Format, sniff
from tinymnist.interop.tensorflow import graph, savedmodel, tfjs, tflite

__all__ = ["read"]


def read(path: str | PathLike[str], architecture: str | PathLike[str] | None = None) -> Candidates:
    """Read a SavedModel folder, a frozen ``.pb``, a ``.tflite`` or TensorFlow.js's ``model.json``.

    Args:
        path: the folder or the file.
        architecture: none may be given: these formats define their layers.

    Raises:
        InputError: when a file is missing or damaged, or holds something that cannot be mapped.
    """
    place = Path(path)
    if architecture is not None:
        raise defines_layers(path, "architecture")
    kind = sniff(place)
    with limits.opening(path, "a model of TensorFlow"):
        if kind is Format.TFLITE:
            return Candidates(place, tflite.read(place))
        if kind is Format.GRAPH_DEF:
            return Candidates(place, graph.read(place))
        if kind is Format.TFJS:
            return Candidates(place, tfjs.read(place / "model.json" if place.is_dir() else place))
        return Candidates(place, savedmodel.read(place if place.is_dir() else place.parent))
