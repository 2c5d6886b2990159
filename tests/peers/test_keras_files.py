"""Files between Keras and tinymnist, in both directions, and the files of other people.

Where Keras opens a file too, every layer must agree to 1e-4 relative and probabilities to 1e-5.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("h5py")

from tests.peers.tensorflow_keras import keras, tf
from tinymnist.adapter import SCALINGS
from tinymnist.data import load_mnist
from tinymnist.errors import InputError
from tinymnist.interop import export, open_model
from tinymnist.nn import layers as T
from tinymnist.nn.sequential import Input, Sequential

pytestmark = [
    pytest.mark.peer,
    pytest.mark.filterwarnings("ignore"),  # what Keras thinks of its own older files
    pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="Keras runs elsewhere"),
]
L = keras.layers
X = np.random.default_rng(0).random((4, 28, 28, 1), np.float32)
PICTURE = (28, 28, 1)


def relative_error(found: Any, expected: Any) -> Any:
    return float(np.abs(found - expected).max() / (np.abs(expected).max() or 1.0))


def chain(*layers: Any, shape: Any = PICTURE) -> Any:
    return keras.Sequential([keras.Input(shape), *layers])


def branches() -> Any:
    """Layers used twice, every way of merging, and normalization without scale."""
    start, relu, pool = keras.Input(PICTURE), L.ReLU(), L.MaxPooling2D()
    a = pool(relu(L.Conv2D(4, 3, padding="same")(start)))
    b = relu(L.BatchNormalization(scale=False)(L.Conv2D(4, 3, padding="same", use_bias=False)(a)))
    merged = L.Subtract()([L.Average()([L.Multiply()([L.Add()([a, b]), a]), b, a]), a])
    end = L.GlobalAveragePooling2D()(pool(L.Concatenate()([merged, a, b])))
    return keras.Model(start, L.Dense(10, activation="softmax")(end))


def nested() -> Any:
    """A Sequential and a Functional inside a Functional."""
    body = chain(L.Conv2D(4, 3), L.BatchNormalization(), L.ReLU(), L.MaxPooling2D())
    start = keras.Input((13, 13, 4))
    head = keras.Model(start, L.Dense(10)(L.Flatten()(L.Conv2D(3, 3)(start))))
    outer = keras.Input(PICTURE)
    return keras.Model(outer, L.Softmax()(head(body(outer))))


MODELS = {
    "784 numbers": lambda: chain(L.Dense(20, "relu"), L.Dense(10, "softmax"), shape=(784,)),
    "28 rows": lambda: chain(L.Dense(7, "tanh"), L.Flatten(), L.Dense(10), shape=(28, 28)),
    "reshaped": lambda: chain(
        L.Reshape(PICTURE), L.Conv2D(3, 3, activation="elu"), L.Flatten(), L.Dense(10), shape=(784,)
    ),
    "separable": lambda: chain(
        L.SeparableConv2D(6, 3, 2, "same", depth_multiplier=2, activation="relu"),
        L.DepthwiseConv2D(3, depth_multiplier=2, activation="selu"), L.Flatten(), L.Dense(10),
    ),
    "activations": lambda: chain(
        L.Conv2D(3, 3, activation=L.LeakyReLU(0.2)), L.PReLU(shared_axes=[1, 2]), L.ELU(0.3),
        L.LeakyReLU(0.05), L.PReLU(), L.ReLU(2.0, 0.1), L.Activation("swish"),
        L.Conv2D(3, 3, activation="hard_sigmoid"), L.Conv2D(2, 1, activation="gelu"),
        L.Conv2D(2, 1, activation="softplus"), L.Flatten(), L.Dense(10, "sigmoid"),
    ),
    "norms and noise": lambda: chain(
        L.Rescaling(2.0, -1), L.Conv2D(3, 3, dilation_rate=2), L.LayerNormalization(),
        L.LayerNormalization(center=False), L.BatchNormalization(center=False), L.Dense(5, "relu"),
        L.GaussianNoise(0.1), L.SpatialDropout2D(0.3), L.ZeroPadding2D(((1, 2), (0, 1))),
        L.AveragePooling2D(3, 2, "same"), L.BatchNormalization(axis=1), L.Flatten(), L.Dense(10),
    ),
    "kept dimensions": lambda: chain(
        L.Conv2D(3, 3), L.Permute((3, 1, 2)), L.Permute((2, 3, 1)),
        L.GlobalAveragePooling2D(keepdims=True), L.Conv2D(10, 1), L.Flatten(), L.Softmax(),
    ),
    "branches": branches,
    "nested": nested,
}  # fmt: skip


def filled(model: Any) -> Any:
    rng = np.random.default_rng(1)
    model.set_weights([rng.uniform(0.05, 0.5, w.shape) for w in model.get_weights()])
    return model


@pytest.mark.parametrize("form", ["m.keras", "m.h5", "m.weights.h5"])
@pytest.mark.parametrize("name", MODELS)
def test_what_keras_writes_is_read(name: str, form: Any, tmp_path: Path) -> None:
    model, path, architecture = filled(MODELS[name]()), tmp_path / form, None
    if form == "m.weights.h5":
        model.save_weights(path)
        (tmp_path / "m.json").write_text(model.to_json())
        architecture = tmp_path / "m.json"
    else:
        model.save(path)
    expected = np.asarray(model(X.reshape(4, *model.input_shape[1:])))
    assert relative_error(open_model(path, architecture=architecture).predict(X), expected) < 2e-5


def tiny_chain() -> Any:
    return Sequential(
        [
            Input(PICTURE), T.Rescaling([2.0], -0.5), T.Normalization([0.1], [0.3]),
            T.Conv2D(6, 3, 2, ((1, 0), (0, 2)), activation="selu"),
            T.Conv2D(6, 3, groups=2, padding="same", dilation_rate=2), T.PReLU((1, 2)),
            T.DepthwiseConv2D(3, depth_multiplier=2, activation="silu"), T.LayerNormalization(),
            T.BatchNormalization(), T.MaxPooling2D(2, padding="same"),
            T.Conv2D(4, 1, activation="relu"), T.MaxPooling2D(2, 2, 1),
            T.AveragePooling2D(3, 1, 1, count_include_pad=True), T.LeakyReLU(0.1), T.ELU(0.5),
            T.GELU(), T.ReLU(2.0, 0.1), T.Permute((3, 1, 2)), T.Reshape((-1,)), T.Dropout(0.5),
            T.Dense(12, activation="hard_sigmoid"), T.Dense(10), T.Softmax(),
        ],
        rng=2,
    )  # fmt: skip


def tiny_branches() -> Any:
    return Sequential(
        [Input(PICTURE), T.Conv2D(4, 3, 2, "same", name="a/b", activation="relu"),
         T.Conv2D(4, 3, padding=1, name="c"), T.BatchNormalization(name="d"), T.Add(name="e"),
         T.Conv2D(4, 1, activation="sigmoid", name="f"), T.Multiply(name="g"),
         T.Concatenate(name="h"), T.GlobalAveragePooling2D(), T.Dense(10, activation="softmax")],
        wiring={"c": ["a/b"], "e": ["d", "a/b"], "f": ["e"], "g": ["f", "e"],
                "h": ["g", "c", "a/b"]},
        rng=2,
    )  # fmt: skip


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize("make", [tiny_chain, tiny_branches])
def test_keras_opens_what_is_written(make: Any, suffix: str, tmp_path: Path) -> None:
    model, path = make(), tmp_path / f"m{suffix}"
    export(model, path)
    opened = keras.models.load_model(path, compile=False)
    assert np.allclose(np.asarray(opened(X)), model.predict(X), rtol=1e-5, atol=1e-6)


def shared(folder: Any) -> Any:
    """The rows of the manifest that are whole Keras models."""
    with open(folder / "models" / "manifest.csv", newline="") as file:
        rows = [r for r in csv.DictReader(file) if r["format"] in ("h5", "keras")]
    return [r for r in rows if "weights-only" not in r["subformat"]]


def flat(model: Any) -> Any:
    """A Keras model's layers that are no inputs."""
    return [la for la in model.layers if type(la).__name__ != "InputLayer"]


def test_every_layer_of_other_peoples_files_agrees_with_keras(shared_folder: Path) -> None:
    compared = 0
    for row in shared(shared_folder):
        if row["loads_in_own_framework"] != "ok":
            continue
        path = shared_folder / "models" / row["file"]
        theirs = keras.models.load_model(path, compile=False)
        ours = open_model(path).capture(X)
        outputs = keras.Model(theirs.inputs, [la.output for la in flat(theirs)])(
            X.reshape(4, *theirs.input_shape[1:])
        )
        outputs = outputs if isinstance(outputs, list) else [outputs]
        for layer, output in zip(flat(theirs), outputs, strict=True):
            error = relative_error(ours[layer.name], np.asarray(output))
            assert error < 1e-4, f"{row['file']}: {layer.name} is off by {error}"
            compared += 1
        last = ours[flat(theirs)[-1].name]
        assert np.abs(last - np.asarray(outputs[-1])).max() < 1e-5 * max(1, np.abs(last).max())
    assert compared > 20


def test_at_least_95_percent_of_other_peoples_files_are_read(shared_folder: Path) -> None:
    """Those that Keras itself refuses are among them."""
    rows, refused = shared(shared_folder), []
    for row in rows:
        try:
            open_model(shared_folder / "models" / row["file"])
        except InputError as error:
            refused.append(str(error))
    assert len(refused) <= 0.05 * len(rows), refused
    assert all("it would need" in reason for reason in refused)


def test_small_files_reach_the_accuracy_on_record(shared_folder: Path, mnist_folder: Path) -> None:
    """To 0.02 points. benchmarks/conversion.py measures the others too, which takes minutes."""
    images, labels = load_mnist("test", mnist_folder)
    pictures = images[..., None].astype(np.float32) / 255
    measured = 0
    for row in shared(shared_folder):
        if "Conv" in row["layers"]:
            continue
        model = open_model(shared_folder / "models" / row["file"])
        scale, offset = SCALINGS[row["scaling"]]
        found = (model.predict(pictures * scale + offset).argmax(-1) == labels).mean()
        assert abs(found - float(row["accuracy"] or row["accuracy_ours"])) <= 2e-4, row["file"]
        measured += 1
    assert measured > 3


def test_what_tensorflow_saved_without_layers(tmp_path: Path) -> None:
    """Keras's export, and TensorFlow 1's graph for training: saved with variables, and frozen."""
    keras.utils.set_random_seed(0)
    model = chain(
        L.Rescaling(2.0), L.Conv2D(4, 3), L.BatchNormalization(), L.LeakyReLU(0.1),
        L.DepthwiseConv2D(3, strides=2, padding="same"), L.ZeroPadding2D(1),
        L.Conv2D(4, 3, dilation_rate=2, padding="same"), L.AveragePooling2D(2), L.Flatten(),
        L.Dropout(0.3), L.Dense(8, activation="relu"), L.Dense(10, activation="softmax"),
    )  # fmt: skip
    rng = np.random.default_rng(1)
    shapes = [w.shape for w in model.get_weights()]
    model.set_weights([rng.normal(0, 0.3, s) if len(s) > 1 else rng.random(s) for s in shapes])
    model.export(str(tmp_path / "keras"), verbose=False)
    found = open_model(tmp_path / "keras")
    assert np.abs(found.predict(X) - model.predict(X, verbose=0)).max() < 1e-5
    v1, path = tf.compat.v1, tmp_path / "frozen.pb"
    with tf.Graph().as_default() as graph, v1.Session() as session:
        x, keep = v1.placeholder("float", [None, 784]), v1.placeholder("float", name="keep_prob")
        kernel, bias = v1.get_variable("conv/w", [5, 5, 1, 4]), v1.get_variable("conv/b", [4])
        y = tf.nn.conv2d(tf.reshape(x, [-1, 28, 28, 1]), kernel, 1, "SAME") + bias
        y = tf.reshape(v1.nn.max_pool(tf.nn.relu(y), 2, 2, "SAME"), [-1, 784])
        dense = v1.get_variable("fc/w", [784, 10], use_resource=False)
        scores = tf.nn.softmax(tf.matmul(v1.nn.dropout(y, keep_prob=keep), dense), name="scores")
        tf.argmax(scores, 1, name="digit")
        session.run(v1.global_variables_initializer())
        expected = session.run(scores, {x: X.reshape(4, 784), keep: 1.0})
        v1.saved_model.simple_save(session, str(tmp_path / "v1"), {"x": x}, {"y": scores})
        frozen = v1.graph_util.convert_variables_to_constants
        path.write_bytes(frozen(session, graph.as_graph_def(), ["digit"]).SerializeToString())
    for place in (tmp_path / "v1", path):
        assert np.abs(open_model(place).predict(X) - expected).max() < 1e-5
