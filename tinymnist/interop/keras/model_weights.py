"""The weights of a model that is there already: Keras's ``save_weights`` and ``load_weights``."""

from __future__ import annotations

from os import PathLike

import numpy as np

from tinymnist.errors import InputError
from tinymnist.files import read_bytes, whole_file
from tinymnist.interop.keras.config import LayerConfig, model_config
from tinymnist.interop.keras.exporting import keras_layers
from tinymnist.interop.keras.hdf5 import opened
from tinymnist.interop.keras.reading import WEIGHTS, unpacked
from tinymnist.interop.keras.weights import give_counted, give_listed, stored_layers
from tinymnist.interop.keras.weights_alone import is_counted
from tinymnist.interop.keras.writing import in_hdf5, model_json, write_counted, write_layer_groups
from tinymnist.nn.arrays import Array
from tinymnist.nn.sequential import Sequential


def save_weights(model: Sequential, path: str | PathLike[str]) -> None:
    """Write the arrays alone: ``.weights.h5`` in the layout of Keras 3, other HDF5 in the older.

    Raises:
        InputError: when h5py is missing, Keras lacks a counterpart of a layer, or the file cannot
            be written.
    """
    layers, name = keras_layers(model), str(path)
    if name.endswith(".weights.h5"):
        content = in_hdf5(lambda file: write_counted(file, model, layers))
    else:
        content = in_hdf5(lambda file: write_layer_groups(file, model, layers))
    with whole_file(path) as temporary:
        temporary.write_bytes(content)


def load_weights(model: Sequential, path: str | PathLike[str]) -> None:
    """Set a model's arrays from a Keras file, of weights alone or with a model around them.

    Layers are matched by name, else in order; as Keras does it.

    Raises:
        InputError: when the file is damaged, or holds other layers or shapes than the model.
    """
    data, name = read_bytes(path), str(path)
    layers = keras_layers(model)
    config = model_config(model_json(model, layers), name)
    if data[:2] == b"PK":
        data = unpacked(data, name)[WEIGHTS]
    with opened(data, name) as file:
        if is_counted(file):
            give_counted(config, file)
        else:
            root = "model_weights" if "model_weights" in file.groups else ""
            give_listed(config, stored_layers(file, root), name)
    given = {layer.name: layer for layer in config.layers}
    found: dict[str, Array] = {}
    for layer in model.layers:
        if own := layer.weights:
            arrays = _arrays(given[layer.name.replace("/", "_")], own, name)
            found |= {f"{layer.name}/{key}": a for key, a in arrays.items()}
    model.set_weights(found)


def _arrays(given: LayerConfig, own: dict[str, Array], path: str) -> dict[str, Array]:
    """The arrays of one layer; a depthwise kernel has one axis more in Keras."""
    shapes = [array.shape for array in own.values()]
    found = [array.shape for array in given.arrays]
    if [np.prod(shape) for shape in shapes] != [np.prod(shape) for shape in found]:
        raise InputError(f"{path} holds arrays {found} for {given.name}; the model has {shapes}")
    pairs = zip(own.items(), given.arrays, strict=True)
    return {key: np.reshape(array, mine.shape) for (key, mine), array in pairs}
