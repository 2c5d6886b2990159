"""Keras files of every generation, made by h5py alone, of one and the same network.

The network is a tinymnist model with random arrays, so what a file should compute is known.
"""

from __future__ import annotations

import io
import json
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinymnist.nn.layers import Conv2D, Dense, Flatten, MaxPooling2D
from tinymnist.nn.sequential import Input, Sequential

h5py = pytest.importorskip("h5py")

PICTURES = np.random.default_rng(9).random((3, 28, 28, 1), np.float32)


def network() -> Sequential:
    """Two convolutions, the second with a stride, and two Dense layers."""
    return Sequential(
        [
            Input((28, 28, 1)),
            Conv2D(4, 3, activation="relu", name="conv_a"),
            MaxPooling2D(name="pool"),
            Conv2D(6, (3, 3), (2, 2), activation="relu", name="conv_b"),
            Flatten(name="flat"),
            Dense(8, activation="relu", name="dense_a"),
            Dense(10, activation="softmax", name="dense_b"),
        ],
        rng=3,
    )


def weights_of(model: Any) -> Any:
    return {layer.name: [layer.kernel, layer.bias] for layer in model.layers if layer.weights}


CONV_A = {"filters": 4, "kernel_size": [3, 3], "strides": [1, 1], "padding": "valid",
          "activation": "relu", "use_bias": True, "data_format": "channels_last"}  # fmt: skip
CONV_B = {**CONV_A, "filters": 6, "strides": [2, 2]}
POOL = {"pool_size": [2, 2], "strides": [2, 2], "padding": "valid"}


def layers(**first: Any) -> Any:
    """(class, settings) of the network in Keras 2's words; ``first`` goes to the first layer."""
    return [
        ("Conv2D", {"name": "conv_a", **CONV_A, **first}),
        ("MaxPooling2D", {"name": "pool", **POOL}),
        ("Conv2D", {"name": "conv_b", **CONV_B}),
        ("Flatten", {"name": "flat"}),
        ("Dense", {"name": "dense_a", "units": 8, "activation": "relu", "use_bias": True}),
        ("Dense", {"name": "dense_b", "units": 10, "activation": "softmax", "use_bias": True}),
    ]


def entries(listed: Any) -> Any:
    return [{"class_name": kind, "config": settings} for kind, settings in listed]


def sequential(listed: Any, **settings: Any) -> Any:
    return {
        "class_name": "Sequential",
        "config": {"name": "m", "layers": entries(listed)},
    } | settings


BATCH = {"batch_input_shape": [None, 28, 28, 1]}


def h5(
    config: Any,
    stored: Any,
    *,
    root: Any = "model_weights",
    attributes: Any = None,
    names: Any = "{layer}/{part}:0",
) -> Any:
    """The bytes of an .h5 file in Keras 1 to 3's layout; ``stored``: (layer, [(part, array)])."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for key, value in (attributes or {}).items():
            file.attrs[key] = value
        if config is not None:
            file.attrs["model_config"] = json.dumps(config).encode()
        top = file.create_group(root) if root else file
        top.attrs["layer_names"] = [layer.encode() for layer, _ in stored]
        for layer, parts in stored:
            group = top.create_group(layer)
            paths = [names.format(layer=layer, part=part) for part, _ in parts]
            group.attrs["weight_names"] = [path.encode() for path in paths]
            for path, (_, array) in zip(paths, parts, strict=True):
                group[path] = array
    return buffer.getvalue()


ORDER = ("conv_a", "pool", "conv_b", "flat", "dense_a", "dense_b")


def stored(arrays: Any, parts: Any = ("kernel", "bias"), order: Any = ORDER) -> Any:
    """For each layer its named arrays; none for layers without any."""
    return [(name, list(zip(parts, arrays.get(name, ()), strict=False))) for name in order]


def keras_zip(config: Any, groups: Any, version: Any = "3.9.0") -> Any:
    """The bytes of a .keras file whose arrays lie in ``groups``: {path: [arrays]}."""
    buffer, inner = io.BytesIO(), io.BytesIO()
    with h5py.File(inner, "w") as file:
        for path, arrays in groups.items():
            group = file.create_group(f"{path}/vars")
            for number, array in enumerate(arrays):
                group[str(number)] = array
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": version}))
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("model.weights.h5", inner.getvalue())
    return buffer.getvalue()


def old_words(kind: Any, settings: Any) -> Any:
    """A layer in Keras 1's words."""
    settings = dict(settings)
    if kind == "Conv2D":
        settings["nb_row"], settings["nb_col"] = settings.pop("kernel_size")
        renamed = {"filters": "nb_filter", "strides": "subsample", "padding": "border_mode",
                   "use_bias": "bias", "data_format": "dim_ordering"}  # fmt: skip
        settings = {renamed.get(key, key): value for key, value in settings.items()}
        settings["dim_ordering"] = {"channels_last": "tf", "channels_first": "th"}[
            settings["dim_ordering"]
        ]
        return "Convolution2D", settings
    if kind == "Dense":
        settings["output_dim"] = settings.pop("units")
    if kind == "MaxPooling2D":
        settings["border_mode"] = settings.pop("padding")
    return kind, settings


@pytest.fixture(scope="session")
def made() -> Any:
    """The functions of this file, which make files."""
    return sys.modules[__name__]


@pytest.fixture
def read(tmp_path: Path) -> Any:
    """``read(bytes, name, architecture, plan)``: the model in a file with these bytes."""
    from tinymnist.interop import keras

    def read_bytes(
        content: Any, name: str = "model.h5", architecture: Any = None, plan: Any = None
    ) -> Any:
        path = tmp_path / name
        path.write_bytes(content)
        return keras.read(path, architecture).choose(plan)

    return read_bytes
