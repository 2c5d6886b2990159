"""Layers, optimizers, schedules, names and losses against Keras 3 (TensorFlow).

In float64 both must agree to 1e-10 relative to the largest magnitude of the array, and in float32
to 1e-5.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tests.peers.tensorflow_keras import keras, tf
from tinymnist import optimizers
from tinymnist.nn import layers as L
from tinymnist.nn.architectures import ARCHITECTURES, keras_cnn
from tinymnist.nn.arrays import Array
from tinymnist.nn.losses import (
    CategoricalCrossentropy,
    SparseCategoricalCrossentropy,
    cross_entropy,
    cross_entropy_backward,
    one_hot,
)
from tinymnist.nn.optimizers import SGD, AdamW
from tinymnist.nn.schedules import (
    Constant,
    CosineDecay,
    ExponentialDecay,
    InverseTimeDecay,
    PiecewiseConstantDecay,
    PolynomialDecay,
    WarmUp,
)
from tinymnist.nn.sequential import Input, Sequential

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="Keras runs elsewhere"),
]

K = keras.layers
TOLERANCE = {"float64": 1e-10, "float32": 1e-5}
ROUGH = {"float64": 1e-7, "float32": 1e-5}
"""For what Keras computes with constants that were rounded to float32, whatever the dtype."""


def relative_error(found: Any, expected: Any) -> float:
    """The largest difference as a share of the largest magnitude."""
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape
    if not expected.size:
        return 0.0
    largest = np.abs(expected).max()
    return float(np.abs(found - expected).max() / (largest or 1.0))


# --- layers: output and gradients -----------------------------------------------------------


def layer_pairs() -> Iterator[tuple[Any, ...]]:
    """(id, input shape, our layers, Keras's layers), over odd and even sizes."""
    rng = np.random.default_rng(0)
    windows = itertools.product((1, 2, 3, 4, 5), (1, 2, 3), ("same", "valid"))
    for kernel, stride, padding in windows:
        # A window of two odd or even sides over a picture of two odd or even sides.
        size = (int(rng.integers(5, 9)), int(rng.integers(9, 13)))
        other = int(rng.integers(1, 6))
        word = f"{kernel}x{other}-stride{stride}-{padding}-{size[0]}x{size[1]}"
        shape = (*size, 3)
        way: dict[str, Any] = {"strides": stride, "padding": padding}
        pool = {"pool_size": (kernel, other), **way}
        window = {"kernel_size": (kernel, other), **way}
        yield f"conv-{word}", shape, [L.Conv2D(4, **window)], [K.Conv2D(4, **window)]
        depth = 1 + kernel % 2
        yield (
            f"depthwise-{word}",
            shape,
            [L.DepthwiseConv2D(**window, depth_multiplier=depth)],
            [K.DepthwiseConv2D(**window, depth_multiplier=depth)],
        )
        yield (
            f"separable-{word}",
            shape,
            [L.DepthwiseConv2D(**window, use_bias=False), L.Conv2D(5, 1)],
            [K.SeparableConv2D(5, **window)],
        )
        yield f"max-pool-{word}", shape, [L.MaxPooling2D(**pool)], [K.MaxPooling2D(**pool)]
        yield (
            f"average-pool-{word}",
            shape,
            [L.AveragePooling2D(**pool)],
            [K.AveragePooling2D(**pool)],
        )
    for dilation, side, padding in itertools.product((2, 3), (9, 10), ("same", "valid")):
        way = {"padding": padding, "dilation_rate": dilation}
        yield (
            f"conv-dilated{dilation}-{padding}-{side}",
            (side, 8, 3),
            [L.Conv2D(4, (3, 2), **way)],
            [K.Conv2D(4, (3, 2), **way)],
        )
    pads = ((1, 0), (2, 3))
    same_name: dict[str, dict[str, Any]] = {
        "GlobalMaxPooling2D": {},
        "GlobalAveragePooling2D": {},
        "Flatten": {},
        "Reshape": {"target_shape": (5, -1)},
        "ZeroPadding2D": {"padding": pads},
        "ReLU": {},
        "PReLU": {"shared_axes": [1, 2]},
        "LayerNormalization": {},
        "Permute": {"dims": (3, 1, 2)},
        "LeakyReLU": {"negative_slope": 0.25},
        "ELU": {"alpha": 0.75},
        "Softmax": {},
        "Rescaling": {"scale": 0.5, "offset": -0.25},
        "Normalization": {"mean": [0.125, 0.25, 0.5], "variance": [1.5, 2.0, 0.5]},
        "Dropout": {"rate": 0.5},  # in inference
        "BatchNormalization": {},  # in inference
    }
    for name, settings in same_name.items():
        yield name, (4, 5, 3), [getattr(L, name)(**settings)], [getattr(K, name)(**settings)]
    bent: dict[str, Any] = {"max_value": 1.5, "negative_slope": 0.25, "threshold": 0.5}
    yield "ReLU-bent", (4, 5, 3), [L.ReLU(**bent)], [K.ReLU(**bent)]
    for word in L.ACTIVATIONS:
        yield f"dense-{word}", (7,), [L.Dense(5, activation=word)], [K.Dense(5, activation=word)]
        yield (
            f"conv-{word}",
            (4, 5, 2),
            [L.Conv2D(3, 2, activation=word)],
            [K.Conv2D(3, 2, activation=word)],
        )


LAYER_PAIRS = list(layer_pairs())


def keras_weights(ours: Any) -> list[Array]:
    """One of our layers' arrays in Keras's order and shapes."""
    arrays = dict(ours.weights)
    if isinstance(ours, L.DepthwiseConv2D):
        kernel = arrays["kernel"]
        arrays["kernel"] = kernel.reshape(*kernel.shape[:2], -1, ours.depth_multiplier)
    return list(arrays.values())


def randomize(model: Sequential, rng: np.random.Generator) -> None:
    """Random arrays, positive where they are variances."""
    values = {
        name: rng.uniform(0.5, 2, a.shape) if "variance" in name else rng.standard_normal(a.shape)
        for name, a in model.weights.items()
    }
    model.set_weights(values)


def keras_twin(model: Sequential, stack: list[Any], dtype: str) -> Any:
    """A Keras model of the layers ``stack`` with our model's weights."""
    for layer in stack:
        layer.dtype_policy = keras.DTypePolicy(dtype)
    twin = keras.Sequential([keras.Input(model.input_shape, dtype=dtype), *stack])
    twin.set_weights([array for layer in model for array in keras_weights(layer)])
    return twin


def keras_gradients(twin: Any, x: Any, dy: Array, training: bool) -> tuple[Array, list[Array]]:
    """Keras's output, dx, and the gradients of its trainable weights in their order."""
    x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = twin(x, training=training)
        total = tf.reduce_sum(y * tf.constant(dy))
    wanted = [x, *(variable.value for variable in twin.trainable_variables)]
    return y.numpy(), [gradient.numpy() for gradient in tape.gradient(total, wanted)]


def compare(
    model: Sequential,
    stack: list[Any],
    x: Any,
    dtype: str,
    training: bool = False,
    tolerances: dict[str, float] = TOLERANCE,
) -> tuple[Any, Any]:
    """Output, dx and all parameter gradients of both; returns our caches and Keras's model."""
    tolerance = tolerances[dtype]
    rng, x = np.random.default_rng(7), x.astype(dtype)
    twin = keras_twin(model, stack, dtype)
    y, caches = model.forward(x, training=training)
    dy = rng.standard_normal(y.shape).astype(dtype)
    dx, gradients = model.backward(dy, caches, need_dx=True)
    their_y, (their_dx, *theirs) = keras_gradients(twin, x, dy, training)
    assert dx is not None
    assert {y.dtype, dx.dtype, *(g.dtype for g in gradients.values())} == {np.dtype(dtype)}
    assert relative_error(y, their_y) <= tolerance
    assert relative_error(dx, their_dx) <= tolerance
    ours = [gradients[name] for name in model.trainable_weights]
    for gradient, expected in zip(ours, theirs, strict=True):
        assert relative_error(gradient, expected.reshape(gradient.shape)) <= tolerance
    return caches, twin


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize(
    ("shape", "ours", "theirs"), [pytest.param(*rest, id=word) for word, *rest in LAYER_PAIRS]
)
def test_layer(shape: tuple[int, ...], ours: list[L.Layer], theirs: list[Any], dtype: str) -> None:
    rng = np.random.default_rng(1)
    copies = [L.layer_from_config(layer.config()) for layer in ours]
    model = Sequential(copies, input_shape=shape, dtype=dtype)
    randomize(model, rng)
    stack = [type(layer).from_config(layer.get_config()) for layer in theirs]
    rough = getattr(ours[0], "activation", None) in ("gelu", "leaky_relu")
    x = rng.standard_normal((2, *shape))
    compare(model, stack, x, dtype, tolerances=ROUGH if rough else TOLERANCE)


@pytest.mark.parametrize("approximate", [False, True])
def test_gelu(approximate: bool) -> None:
    model = Sequential([L.GELU(approximate)], input_shape=(9,), dtype="float64")
    theirs = K.Lambda(lambda x: keras.activations.gelu(x, approximate=approximate))
    x = np.random.default_rng(0).standard_normal((4, 9)) * 3
    compare(model, [theirs], x, "float64", tolerances=ROUGH)


def test_the_first_of_tied_maxima_takes_the_gradient() -> None:
    x = np.random.default_rng(0).integers(0, 2, (3, 9, 10, 2))
    for size, strides, padding in itertools.product((2, 3), (1, 2, 3), ("same", "valid")):
        model = Sequential([L.MaxPooling2D(size, strides, padding)], input_shape=(9, 10, 2))
        compare(model, [K.MaxPooling2D(size, strides, padding)], x, "float32")


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_add_and_concatenate(dtype: str) -> None:
    x = np.random.default_rng(0).standard_normal((2, 5, 4, 3))
    inputs = keras.Input((5, 4, 3), dtype=dtype)
    for ours, theirs in ((L.Add, K.Add), (L.Concatenate, K.Concatenate)):
        model = Sequential(
            [Input((5, 4, 3)), L.ReLU(name="a"), L.ELU(name="b"), ours(name="c")],
            wiring={"c": ["a", "b"]},
            dtype=dtype,
        )
        a = K.ReLU(dtype=dtype)(inputs)
        twin = keras.Model(inputs, theirs(dtype=dtype)([a, K.ELU(dtype=dtype)(a)]))
        y, caches = model.forward(x.astype(dtype))
        dy = np.random.default_rng(1).standard_normal(y.shape).astype(dtype)
        dx, _ = model.backward(dy, caches, need_dx=True)
        their_y, (their_dx,) = keras_gradients(twin, x.astype(dtype), dy, training=False)
        assert relative_error(y, their_y) <= TOLERANCE[dtype]
        assert relative_error(dx, their_dx) <= TOLERANCE[dtype]


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("shape", [(5, 4, 3), (6,)], ids=["pictures", "vectors"])
def test_batch_normalization_in_training(shape: tuple[int, ...], dtype: str) -> None:
    rng = np.random.default_rng(2)
    settings: dict[str, Any] = {"momentum": 0.9, "epsilon": 1e-3}
    model = Sequential([L.BatchNormalization(**settings)], input_shape=shape, dtype=dtype)
    randomize(model, rng)
    x = rng.standard_normal((8, *shape)) * 3 + 1
    stack = [K.BatchNormalization(**settings)]
    (cache,), twin = compare(model, stack, x, dtype, training=True)
    statistics = model.layers[0].new_statistics(cache)
    _gamma, _beta, moving_mean, moving_variance = twin.get_weights()
    assert relative_error(statistics["moving_mean"], moving_mean) <= TOLERANCE[dtype]
    assert relative_error(statistics["moving_variance"], moving_variance) <= TOLERANCE[dtype]


def test_a_frozen_batch_normalization_infers() -> None:
    model = Sequential([L.BatchNormalization()], input_shape=(4, 4, 2), dtype="float64")
    randomize(model, np.random.default_rng(0))
    model.freeze()
    theirs = K.BatchNormalization(trainable=False)
    x = np.random.default_rng(1).standard_normal((3, 4, 4, 2))
    (cache,), twin = compare(model, [theirs], x, "float64", training=True)
    assert model.layers[0].new_statistics(cache) == {}
    assert (
        relative_error(model.weights[f"{model.layers[0].name}/moving_mean"], twin.get_weights()[2])
        == 0
    )


# --- whole models ---------------------------------------------------------------------------

KERAS_LAYERS = {
    L.Conv2D: lambda layer: K.Conv2D(
        layer.filters,
        layer.kernel_size,
        padding=layer.padding,
        activation=layer.activation,
        use_bias=layer.use_bias,
    ),
    L.Dense: lambda layer: K.Dense(layer.units, activation=layer.activation),
    L.Dropout: lambda layer: K.Dropout(layer.rate),
    L.BatchNormalization: lambda layer: K.BatchNormalization(
        momentum=layer.momentum, epsilon=layer.epsilon
    ),
    L.AveragePooling2D: lambda layer: K.AveragePooling2D(layer.pool_size),
}


def twin_of(model: Sequential, dtype: str = "float32") -> Any:
    """Keras's layers of the same names, with our weights in them."""
    stack = [
        KERAS_LAYERS.get(type(layer), lambda layer: getattr(K, type(layer).__name__)())(layer)
        for layer in model
    ]
    return keras_twin(model, stack, dtype)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_predict_with_the_same_weights(name: str) -> None:
    """Of the architectures that ship, with batch statistics that are not 0 and 1."""
    model, rng = ARCHITECTURES[name](rng=4), np.random.default_rng(4)
    weights = model.weights
    for key, array in weights.items():
        if "kernel" not in key:
            weights[key] = array + rng.uniform(0, 0.3, array.shape)
    model.set_weights(weights)
    x = rng.random((20, 28, 28, 1), np.float32)
    expected = twin_of(model).predict(x, verbose=0)
    found = model.predict(x)
    assert np.abs(found - expected).max() <= 1e-5
    assert relative_error(model.astype("float64").predict(x), expected) <= 1e-5


def test_default_names() -> None:
    """As Keras names them, numbering included."""
    names = [
        "Conv2D",
        "ReLU",
        "Conv2D",
        "LeakyReLU",
        "DepthwiseConv2D",
        "BatchNormalization",
        "MaxPooling2D",
        "Conv2D",
        "BatchNormalization",
        "AveragePooling2D",
        "ELU",
        "ZeroPadding2D",
        "Rescaling",
        "Dropout",
        "ReLU",
        "GlobalAveragePooling2D",
        "Reshape",
        "GlobalMaxPooling2D",
        "Flatten",
        "Dense",
        "Activation",
        "Dense",
        "Softmax",
    ]
    settings = {
        "Conv2D": (2, 1),
        "DepthwiseConv2D": (1,),
        "Rescaling": (2.0,),
        "Dropout": (0.1,),
        "Reshape": ((1, 1, -1),),
        "Dense": (2,),
        "Activation": ("relu",),
        "AveragePooling2D": (2,),
    }
    keras.utils.clear_session()
    theirs = [getattr(K, name)(*settings.get(name, ())).name for name in names]
    ours = [getattr(L, name)(*settings.get(name, ())) for name in names]
    model = Sequential(ours, input_shape=(28, 28, 1))
    assert [layer.name for layer in model] == theirs


# --- losses and training --------------------------------------------------------------------


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.3])
@pytest.mark.parametrize("sparse", [False, True])
def test_cross_entropy(smoothing: float, sparse: bool) -> None:
    """Loss of each example and its gradient. Keras's sparse loss knows no smoothing."""
    rng = np.random.default_rng(0)
    logits, labels = rng.standard_normal((9, 6)) * 4, rng.integers(0, 6, 9)
    targets, share = one_hot(labels, 6, "float64"), rng.random(9)
    ours = (SparseCategoricalCrossentropy if sparse else CategoricalCrossentropy)(
        label_smoothing=smoothing
    )
    given = ours.targets(labels if sparse else targets, 6, np.dtype("float64"))
    losses, cache = cross_entropy(logits, ours.smooth(given))
    theirs = keras.losses.CategoricalCrossentropy(
        from_logits=True, label_smoothing=smoothing, reduction=None, dtype="float64"
    )
    z = tf.constant(logits)
    with tf.GradientTape() as tape:
        tape.watch(z)
        expected = theirs(targets, z)
        total = tf.reduce_sum(expected * share)
    assert relative_error(losses, expected) <= 1e-10
    assert relative_error(cross_entropy_backward(share, cache), tape.gradient(total, z)) <= 1e-10


WEIGHTINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "class_weight": {"class_weight": {0: 2.0, 3: 0.25, 7: 0.0}},
    "sample_weight": {"sample_weight": np.linspace(0, 2, 23).astype(np.float32)},
}


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_a_step_of_fit(weighting: str, smoothing: float) -> None:
    """The loss that is reported and the weights afterwards, in the way Keras reduces them."""
    rng = np.random.default_rng(6)
    x, labels = rng.random((23, 28, 28, 1), np.float32), rng.integers(0, 10, 23)
    model = Sequential(
        [layer for layer in keras_cnn(rng=1) if not isinstance(layer, L.Dropout)],
        input_shape=(28, 28, 1),
    )
    twin = twin_of(model)
    twin.compile(
        keras.optimizers.SGD(0.1, momentum=0.9),
        keras.losses.CategoricalCrossentropy(label_smoothing=smoothing),
    )
    expected = twin.train_on_batch(x, one_hot(labels, 10), **WEIGHTINGS[weighting])
    model.compile(SGD(0.1, 0.9), SparseCategoricalCrossentropy(label_smoothing=smoothing))
    history = model.fit(x, labels, batch_size=23, verbose=0, **WEIGHTINGS[weighting]).history
    assert history["loss"][0] == pytest.approx(float(expected), rel=1e-5)
    for layer, their_layer in zip(model, twin.layers, strict=True):
        for array, wanted in zip(layer.weights.values(), their_layer.get_weights(), strict=True):
            assert relative_error(array, wanted) <= 1e-5


# --- optimizers and schedules ---------------------------------------------------------------

# Keras turns every setting into float32, so all of them are exact in float32 here.
RATE, DECAY, MOMENTUM = 2.0**-7, 2.0**-3, 1 - 2.0**-3
ADAM: dict[str, Any] = {"beta_1": 1 - 2.0**-3, "beta_2": 1 - 2.0**-10, "epsilon": 2.0**-23}

RMSPROP: dict[str, Any] = {"rho": 1 - 2.0**-3, "epsilon": 2.0**-23}

OPTIMIZERS = {
    "sgd": ("SGD", {}),
    "sgd-decay": ("SGD", {"weight_decay": DECAY}),
    "momentum": ("SGD", {"momentum": MOMENTUM}),
    "nesterov": ("SGD", {"momentum": MOMENTUM, "nesterov": True}),
    "rmsprop": ("RMSprop", RMSPROP),
    "rmsprop-momentum": ("RMSprop", RMSPROP | {"momentum": MOMENTUM}),
    "adam": ("Adam", ADAM),
    "adam-epsilon": ("Adam", ADAM | {"epsilon": 2.0**-10}),
    "adamw": ("AdamW", ADAM | {"weight_decay": DECAY}),
    "adagrad": ("Adagrad", {"epsilon": 2.0**-23}),
    "adadelta": ("Adadelta", {"rho": 1 - 2.0**-3, "epsilon": 2.0**-23}),
    "adamax": ("Adamax", ADAM),
    "nadam": ("Nadam", ADAM),
    "lion": ("Lion", {"beta_1": 1 - 2.0**-3, "beta_2": 1 - 2.0**-7}),
    "clipvalue": ("SGD", {"clipvalue": 0.5}),
    "clipnorm": ("SGD", {"clipnorm": 1.0}),
    "global_clipnorm": ("Adam", ADAM | {"global_clipnorm": 1.0}),
}


@pytest.mark.parametrize("scale", [1.0, 1e-7], ids=["ordinary", "tiny"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizer(name: str, scale: float) -> None:
    """Ten golden steps in float64; the settings that both leave alone are the same ones."""
    kind, settings = OPTIMIZERS[name]
    ours = getattr(optimizers, kind)(RATE, **settings)
    theirs = getattr(keras.optimizers, kind)(RATE, **settings)
    rng = np.random.default_rng(3)
    shapes = {"a/kernel": (5, 4), "a/bias": (4,)}
    parameters = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
    variables = [keras.Variable(p, dtype="float64") for p in parameters.values()]
    for _ in range(10):
        gradients = {name: rng.standard_normal(shape) * scale for name, shape in shapes.items()}
        theirs.apply([tf.constant(g) for g in gradients.values()], variables)
        ours.apply(parameters, gradients)
    tolerance = 1e-7 if name == "nadam" else 1e-10  # whose 0.96 is not exact in Keras's float32
    for parameter, variable in zip(parameters.values(), variables, strict=True):
        assert relative_error(parameter, variable.numpy()) <= tolerance


def test_parameters_spared_from_weight_decay() -> None:
    settings = ADAM | {"weight_decay": DECAY}
    ours = AdamW(RATE, **settings, exclude_from_weight_decay=("bias",))
    theirs = keras.optimizers.AdamW(RATE, **settings)
    theirs.exclude_from_weight_decay(var_names=["bias"])
    parameters = {"a/kernel": np.ones(3), "a/bias": np.ones(3)}
    variables = [
        keras.Variable(np.ones(3), dtype="float64", name=name) for name in ("kernel", "bias")
    ]
    for _ in range(3):
        theirs.apply([tf.constant(np.ones(3))] * 2, variables)
        ours.apply(parameters, {name: np.ones(3) for name in parameters})
    for parameter, variable in zip(parameters.values(), variables, strict=True):
        assert relative_error(parameter, variable.numpy()) <= 1e-10
    assert parameters["a/kernel"][0] != parameters["a/bias"][0]


S = keras.optimizers.schedules
SCHEDULES: dict[str, tuple[Any, Any]] = {
    "constant": (Constant(0.5), S.PiecewiseConstantDecay([100], [0.5, 0.5])),
    "cosine": (CosineDecay(0.5, 20), S.CosineDecay(0.5, 20)),
    "cosine-alpha": (CosineDecay(0.5, 20, 0.1), S.CosineDecay(0.5, 20, alpha=0.1)),
    "exponential": (ExponentialDecay(0.5, 7, 0.3), S.ExponentialDecay(0.5, 7, 0.3)),
    "steps": (
        ExponentialDecay(0.5, 7, 0.3, staircase=True),
        S.ExponentialDecay(0.5, 7, 0.3, staircase=True),
    ),
    "inverse": (InverseTimeDecay(0.5, 7, 0.3), S.InverseTimeDecay(0.5, 7, 0.3)),
    "inverse-steps": (
        InverseTimeDecay(0.5, 7, 0.3, staircase=True),
        S.InverseTimeDecay(0.5, 7, 0.3, staircase=True),
    ),
    "polynomial": (PolynomialDecay(0.5, 9, 0.1, 2.0), S.PolynomialDecay(0.5, 9, 0.1, 2.0)),
    "polynomial-cycle": (
        PolynomialDecay(0.5, 9, 0.1, cycle=True),
        S.PolynomialDecay(0.5, 9, 0.1, cycle=True),
    ),
    "pieces": (
        PiecewiseConstantDecay([3, 9], [0.5, 0.25, 0.125]),
        S.PiecewiseConstantDecay([3, 9], [0.5, 0.25, 0.125]),
    ),
    "cosine-warm-up": (
        CosineDecay(0.1, 20, warmup_target=0.5, warmup_steps=5),
        S.CosineDecay(0.1, 20, warmup_target=0.5, warmup_steps=5),
    ),
    "warm-up": (
        # Keras rises from any rate; from the first share of the target it is our straight line.
        WarmUp(5, CosineDecay(0.5, 20)),
        S.CosineDecay(0.5 / 6, 20, warmup_target=0.5, warmup_steps=5),
    ),
}


@pytest.mark.parametrize(
    "name",
    ["SGD", "RMSprop", "Adam", "AdamW", "Adagrad", "Adadelta", "Adamax", "Nadam", "Lion"],
)
def test_default_settings(name: str) -> None:
    ours = getattr(optimizers, name)()
    theirs = getattr(keras.optimizers, name)().get_config()
    assert ours.learning_rate == pytest.approx(theirs["learning_rate"], rel=1e-7)
    for setting in ("momentum", "nesterov", "rho", "beta_1", "beta_2", "epsilon", "weight_decay"):
        if setting in theirs:
            assert getattr(ours, setting) == (theirs[setting] or 0), setting


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedule(name: str) -> None:
    """Keras computes its schedules in float32."""
    ours, theirs = SCHEDULES[name]
    found = np.array([ours(step) for step in range(30)])
    expected = np.array([float(theirs(step)) for step in range(30)])
    assert relative_error(found, expected) <= 1e-6


def test_a_schedule_drives_the_optimizer() -> None:
    """Step by step the same rate: the first step is taken at the schedule's beginning."""
    ours, theirs = SGD(CosineDecay(0.5, 8)), keras.optimizers.SGD(S.CosineDecay(0.5, 8))
    parameters, variable = {"a": np.zeros(1)}, keras.Variable(np.zeros(1), dtype="float64")
    for _ in range(10):
        ours.apply(parameters, {"a": np.ones(1)})
        theirs.apply([tf.constant(np.ones(1))], [variable])
        assert relative_error(parameters["a"], variable.numpy()) <= 1e-6
