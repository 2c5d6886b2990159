"""One network in every layout that Keras has written since 2015; each is read back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinymnist.errors import InputError

TF, TH = {"backend": "tensorflow"}, {"backend": "theano"}


def flipped(kernel: Any) -> Any:
    """The same convolution as Theano keeps it."""
    return kernel[::-1, ::-1]


def rows_by_channel(kernel: Any, h: Any, w: Any, c: Any) -> Any:
    """A Dense kernel behind a Flatten of (c, h, w) in place of (h, w, c)."""
    return kernel.reshape(h, w, c, -1).transpose(2, 0, 1, 3).reshape(kernel.shape)


def keras_1(made: Any, theano: Any) -> Any:
    """Keras 1: no backend is told; TensorFlow's names end in :0, Theano's do not."""
    arrays, ends = made.weights_of(made.network()), "" if theano else ":0"
    listed = made.layers(**made.BATCH)
    if theano:
        listed = first_channels(made)
        for name in ("conv_a", "conv_b"):
            kernel, bias = arrays[name]
            arrays[name] = [flipped(kernel).transpose(3, 2, 0, 1), bias]
        arrays["dense_a"][0] = rows_by_channel(arrays["dense_a"][0], 6, 6, 6)
    config = {"class_name": "Sequential", "config": made.entries(
        [made.old_words(kind, settings) for kind, settings in listed])}  # fmt: skip
    stored = made.stored(arrays, parts=("W", "b"))
    names = "{layer}_{part}" + ends
    return made.h5(config, stored, names=names, attributes={"keras_version": "1.2.2"})


def first_channels(made: Any) -> Any:
    """The network with its channels first."""
    listed = made.layers(batch_input_shape=[None, 1, 28, 28])
    return [
        (kind, {**settings, "data_format": "channels_first"})
        if kind in ("Conv2D", "MaxPooling2D")
        else (kind, settings)
        for kind, settings in listed
    ]


def keras_0(made: Any) -> Any:
    """Keras 0: layers and arrays are numbered, and settings stand beside the class."""
    stored = made.stored(made.weights_of(made.network()))
    listed = [
        {**settings, "name": kind}
        for kind, settings in (
            made.old_words(*pair) for pair in made.layers(input_shape=[28, 28, 1])
        )
    ]
    buffer = made.io.BytesIO()
    with made.h5py.File(buffer, "w") as file:
        file.attrs["nb_layers"] = len(stored)
        for number, (_, parts) in enumerate(stored):
            group = file.create_group(f"layer_{number}")
            group.attrs["nb_params"] = len(parts)
            for place, (_, array) in enumerate(parts):
                turned = flipped(array) if array.ndim == 4 else array
                group[f"param_{place}"] = turned
    return buffer.getvalue(), {"name": "Sequential", "layers": listed}


def keras_2_theano(made: Any) -> Any:
    """Channels first, kernels turned, and a Flatten that says nothing of its format."""
    arrays = made.weights_of(made.network())
    for name in ("conv_a", "conv_b"):
        arrays[name][0] = flipped(arrays[name][0])
    arrays["dense_a"][0] = rows_by_channel(arrays["dense_a"][0], 6, 6, 6)
    return made.h5(made.sequential(first_channels(made)), made.stored(arrays),
                   attributes={"keras_version": "2.0.8", **TH}, names="{layer}/{part}")  # fmt: skip


def keras_2_flatten_puts_channels_last(made: Any) -> Any:
    """From 2.2 on Flatten may say channels_first, and then puts the channels last."""
    listed = first_channels(made)
    listed[3][1]["data_format"] = "channels_first"
    stored = made.stored(made.weights_of(made.network()))
    return made.h5(made.sequential(listed), stored, attributes={"keras_version": "2.2.4", **TF})


def listed_config(made: Any) -> Any:
    """2.0 and 2.1: the configuration of a Sequential is a list."""
    config = {"class_name": "Sequential", "config": made.entries(made.layers(**made.BATCH))}
    stored = made.stored(made.weights_of(made.network()))
    return made.h5(config, stored, attributes={"keras_version": "2.1.3", **TF})


def functional(made: Any) -> Any:
    """Keras 2's Model: nodes refer to layers by name."""
    names = ["in", *made.ORDER]
    pairs = [("InputLayer", {"name": "in", **made.BATCH}), *made.layers()]
    listed = [
        {**entry, "name": name, "inbound_nodes": [[[before, 0, 0, {}]]] if before else []}
        for entry, name, before in zip(made.entries(pairs), names, [None, *names], strict=False)
    ]
    config = {"class_name": "Model", "config": {
        "name": "m", "layers": listed, "input_layers": [["in", 0, 0]],
        "output_layers": [["dense_b", 0, 0]]}}  # fmt: skip
    stored = made.stored(made.weights_of(made.network()), order=names)
    return made.h5(config, stored, attributes={"keras_version": "2.3.1", **TF})


def functional_3(made: Any) -> Any:
    """Keras 3's Functional: nodes hold tensors that tell their history."""
    names = ["in", *made.ORDER]
    pairs = [("InputLayer", {"name": "in", "batch_shape": [None, 28, 28, 1]}), *made.layers()]

    def node(before: Any) -> Any:
        tensor = {"class_name": "__keras_tensor__", "config": {"keras_history": [before, 0, 0]}}
        return [{"args": [tensor], "kwargs": {}}]

    listed = [
        {**entry, "name": name, "inbound_nodes": node(before) if before else []}
        for entry, name, before in zip(made.entries(pairs), names, [None, *names], strict=False)
    ]
    config = {"class_name": "Functional", "config": {
        "name": "m", "layers": listed, "input_layers": ["in", 0, 0],
        "output_layers": ["dense_b", 0, 0]}}  # fmt: skip
    return made.keras_zip(config, counted(made, "layers/{}"))


def counted(made: Any, place: Any, gap: Any = 1) -> Any:
    """Arrays by class and number, as Keras 3 keeps them; 2.13 counted each layer twice."""
    arrays = made.weights_of(made.network())
    numbers = {"conv_a": "conv2d", "conv_b": f"conv2d_{gap}", "dense_a": "dense",
               "dense_b": f"dense_{gap}"}  # fmt: skip
    groups = {place.format(group): arrays[layer] for layer, group in numbers.items()}
    return groups | {place.format("dropout/seed_generator"): [np.zeros(2, np.uint32)]}


def zipped(made: Any, place: Any, gap: Any = 1, version: Any = "3.9.0") -> Any:
    config = made.sequential(made.layers(**made.BATCH))
    return made.keras_zip(config, counted(made, place, gap), version)


def build_shape(made: Any) -> Any:
    """No shape at any layer, only the one that the model was built for."""
    config = made.sequential(made.layers())
    config["config"]["build_input_shape"] = [None, 28, 28, 1]
    stored = made.stored(made.weights_of(made.network()))
    return made.h5(config, stored, attributes={"keras_version": "2.6.0", **TF})


def renamed_groups(made: Any) -> Any:
    """Names of groups and layers may differ; then the order counts."""
    arrays = made.weights_of(made.network())
    stored = [(f"{name}_7", parts) for name, parts in made.stored(arrays)]
    return made.h5(made.sequential(made.layers(**made.BATCH)), stored,
                   attributes={"keras_version": "2.2.4-tf", **TF})  # fmt: skip


FILES = {
    "Keras 1 on TensorFlow": lambda made: keras_1(made, theano=False),
    "Keras 1 on Theano": lambda made: keras_1(made, theano=True),
    "Keras 2.0 on Theano": keras_2_theano,
    "Keras 2.1, a list": listed_config,
    "Keras 2.2, Flatten with channels first": keras_2_flatten_puts_channels_last,
    "Keras 2.2, other names": renamed_groups,
    "Keras 2.3, Model": functional,
    "Keras 2.6, built": build_shape,
    "Keras 2.13, numbers left out": lambda made: zipped(
        made, "_layer_checkpoint_dependencies/{}", 2, "2.13.1"
    ),
    "Keras 2.15 on Windows": lambda made: zipped(made, "layers\\{}", 1, "2.15.0"),
    "Keras 3": lambda made: zipped(made, "layers/{}"),
    "Keras 3, Functional": functional_3,
}


@pytest.mark.parametrize("kind", FILES)
def test_every_generation_gives_the_same_numbers(kind: Any, made: Any, read: Any) -> None:
    model = read(FILES[kind](made), "mnist.keras")
    assert model.input_shape == (28, 28, 1)
    expected = made.network().predict(made.PICTURES)
    assert np.allclose(model.predict(made.PICTURES), expected, rtol=1e-5, atol=1e-7)
    assert "mnist.keras" in model.metadata["source"]


def test_the_version_is_told(made: Any, read: Any) -> None:
    assert read(listed_config(made)).metadata["source"] == "Keras 2.1.3 (.h5), model.h5"


@pytest.mark.parametrize("layout", ["listed", "counted", "numbered"])
def test_weights_alone_with_their_configuration(
    layout: Any, made: Any, read: Any, tmp_path: Path
) -> None:
    config = made.sequential(made.layers(**made.BATCH), keras_version="2.4.0")
    if layout == "listed":
        content = made.h5(None, made.stored(made.weights_of(made.network())), root="",
                          attributes={"keras_version": "2.4.0", **TF})  # fmt: skip
    elif layout == "counted":
        content = weights_h5(made, counted(made, "layers/{}"))
    else:
        content, config = keras_0(made)
    (tmp_path / "architecture.json").write_text(json.dumps(config))
    model = read(content, architecture=tmp_path / "architecture.json")
    expected = made.network().predict(made.PICTURES)
    assert np.allclose(model.predict(made.PICTURES), expected, rtol=1e-5, atol=1e-7)


def weights_h5(made: Any, groups: Any) -> Any:
    """The bytes of a .weights.h5 file of Keras 3."""
    buffer = made.io.BytesIO()
    with made.h5py.File(buffer, "w") as file:
        for path, arrays in groups.items():
            for number, array in enumerate(arrays):
                file[f"{path}/vars/{number}"] = array
    return buffer.getvalue()


def tutorial_net(made: Any) -> Any:
    """A chain that the shape rule knows: convolution, pooling, Dense."""
    from tinymnist.nn.layers import Conv2D, Dense, Flatten, MaxPooling2D

    return made.Sequential(
        [
            made.Input((28, 28, 1)),
            Conv2D(5, 3, activation="relu", name="conv2d_1"),
            MaxPooling2D(name="max_pooling2d_1"),
            Conv2D(7, 3, activation="relu", name="conv2d_2"),
            MaxPooling2D(name="max_pooling2d_2"),
            Flatten(name="flatten_1"),
            Dense(10, name="dense_1"),
        ],
        rng=4,
    )


@pytest.mark.parametrize(("theano", "first"), [(False, False), (False, True), (True, True)])
def test_weights_alone_by_the_shape_rule(theano: Any, first: Any, made: Any, read: Any) -> None:
    """Names tell the pooling and the backend, shapes the rest."""
    net = tutorial_net(made)
    arrays = made.weights_of(net)
    for name in ("conv2d_1", "conv2d_2"):
        kernel = flipped(arrays[name][0]) if theano else arrays[name][0]
        arrays[name][0] = kernel.transpose(3, 2, 0, 1) if first else kernel
    if first:
        arrays["dense_1"][0] = rows_by_channel(arrays["dense_1"][0], 5, 5, 7)
    stored = made.stored(arrays, ("W", "b"), [layer.name for layer in net.layers])
    names = "{layer}_{part}" + ("" if theano else ":0")
    model = read(made.h5(None, stored, root="", names=names))
    expected = net.predict(made.PICTURES)
    assert np.allclose(model.predict(made.PICTURES), expected, rtol=1e-4, atol=1e-6)
    assert "inferred from its shapes" in model.metadata["source"]
    assert ("on Theano" in model.metadata["source"]) == theano


def test_numbered_weights_alone_are_taken_as_theanos(made: Any, read: Any) -> None:
    """Keras 0 had numbers for names, and Theano for its backend unless told otherwise."""
    net = tutorial_net(made)
    arrays = made.weights_of(net)
    arrays["dense_1"][0] = rows_by_channel(arrays["dense_1"][0], 5, 5, 7)
    buffer = made.io.BytesIO()
    with made.h5py.File(buffer, "w") as file:
        file.attrs["nb_layers"] = len(net.layers)
        for number, layer in enumerate(net.layers):
            group = file.create_group(f"layer_{number}")
            group.attrs["nb_params"] = len(arrays.get(layer.name, ()))
            for place, array in enumerate(arrays.get(layer.name, ())):
                turned = flipped(array).transpose(3, 2, 0, 1) if array.ndim == 4 else array
                group[f"param_{place}"] = turned
    model = read(buffer.getvalue())
    expected = net.predict(made.PICTURES)
    assert np.allclose(model.predict(made.PICTURES), expected, rtol=1e-4, atol=1e-6)
    assert model.metadata["source"].startswith("Keras 0 on Theano (weights), model.h5")


def test_theanos_weights_alone_that_hide_the_order_of_channels_are_refused(
    made: Any, read: Any
) -> None:
    stored = made.stored(made.weights_of(tutorial_net(made)),
                         order=["conv2d_1", "conv2d_2", "dense_1"])  # fmt: skip
    with pytest.raises(InputError, match=r"Theano.*channels"):
        read(made.h5(None, stored, root="", attributes={"keras_version": "2.0.6", **TH}))


def test_weights_alone_of_a_shipped_architecture(made: Any, read: Any) -> None:
    from tinymnist.nn.architectures import keras_cnn

    net = keras_cnn(rng=5)
    stored = made.stored(made.weights_of(net), order=[layer.name for layer in net.layers])
    model = read(made.h5(None, stored, root="", attributes=TF), architecture="keras-cnn")
    assert np.allclose(model.predict(made.PICTURES), net.predict(made.PICTURES), atol=1e-6)
