"""Every gradient against central differences, by one checker, which is tested itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pytest

from tinymnist.nn import functional as F
from tinymnist.nn.arrays import Array
from tinymnist.nn.layers import (
    Add,
    BatchNormalization,
    Concatenate,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    Layer,
    MaxPooling2D,
    SimpleRNN,
)
from tinymnist.nn.layers.base import default_name
from tinymnist.nn.losses import cross_entropy, cross_entropy_backward
from tinymnist.nn.sequential import Input, Sequential

STEP = 1e-5
TOLERANCE = 1e-7
DIRECTIONS = 3


Arrays = dict[str, Array]
Pull = Callable[[Array], Arrays]


def check_gradients(run: Callable[[], tuple[Array, Pull]], arrays: Arrays) -> None:
    """Fail unless the gradients predict how much the output moves when an array moves.

    Everything is float64. A random ``dy`` turns the output into one number, <dy, y>. Along a random
    direction v, central differences measure how fast that number grows; for the gradient g it must
    be <g, v>.

    Args:
        run: computes from the arrays: ``run() -> y, pull`` with ``pull(dy) -> {name: g}``.
        arrays: what ``run`` reads, by name; moved in place and put back.
    """
    rng = np.random.default_rng(2)
    y, pull = run()
    dy = rng.normal(size=y.shape)
    gradients = pull(dy)
    assert gradients.keys() == arrays.keys()
    noise = 1e-10 * np.abs(dy * y).sum()  # what float64 rounds away, divided by the step
    for name, array in arrays.items():
        gradient, before = gradients[name], array.copy()
        assert gradient.shape == array.shape, name
        assert gradient.dtype == array.dtype == np.float64, name
        for _ in range(DIRECTIONS):
            v = rng.normal(size=array.shape)
            v /= np.linalg.norm(v)
            totals = []
            for step in (STEP, -STEP):
                array[...] = before + step * v
                totals.append((dy * run()[0]).sum())
            array[...] = before
            measured = (totals[0] - totals[1]) / (2 * STEP)
            stated = (gradient * v).sum()
            allowed = TOLERANCE * np.linalg.norm(gradient) + noise
            assert abs(measured - stated) <= allowed, f"{name}: {measured=} {stated=}"


# The operations ---------------------------------------------------------------------------------


class Operation(NamedTuple):
    """``forward(*arrays) -> y, cache`` and ``backward(dy, cache) -> gradient or gradients``."""

    name: str
    shapes: list[tuple[int, ...]]
    forward: Callable[..., tuple[Array, Any]]
    backward: Callable[[Array, Any], Any]


def operation(name: str, *shapes: tuple[int, ...], **settings: Any) -> Operation:
    """A pair of functions from ``functional`` on arrays of these shapes."""
    forward, backward = getattr(F, name), getattr(F, f"{name}_backward")
    return Operation(name, list(shapes), lambda *a: forward(*a, **settings), backward)


def convolution(x: tuple[int, ...], kernel: tuple[int, ...], **settings: Any) -> Operation:
    return operation("conv2d", x, kernel, kernel[-1:], **settings)


PICTURES = (2, 5, 6, 4)
MEAN, VARIANCE = np.array([0.1, -0.2, 0.3, 0.0]), np.array([0.5, 1.0, 2.0, 1.5])
TARGETS = np.array([[0.0, 1.0, 0.0], [0.3, 0.3, 0.4]])

ACTIVATIONS = (
    *("relu", "leaky_relu", "elu", "gelu", "sigmoid", "tanh", "softmax", "log_softmax", "selu"),
    *("exponential", "hard_sigmoid", "hard_silu", "hard_tanh", "mish", "relu6", "relu_pieces"),
    *("silu", "softplus", "softsign"),
)

OPERATIONS = [
    *(operation(name, (3, 4)) for name in ACTIVATIONS),
    operation("gelu", (3, 4), approximate=True),
    operation("dense", (3, 4), (4, 2), (2,)),
    operation("dense", (3, 4), (4, 2)),
    convolution(PICTURES, (3, 2, 4, 3)),
    convolution(PICTURES, (3, 3, 4, 2), padding="same", strides=2),
    convolution(PICTURES, (2, 2, 2, 6), padding=((1, 2), (0, 1)), groups=2, dilation=(1, 2)),
    convolution(PICTURES, (3, 3, 1, 8), padding=1, strides=(1, 3), groups=4),
    convolution((2, 4, 5, 9), (1, 3, 9, 2), padding="same"),
    operation("conv2d", PICTURES, (3, 2, 4, 3)),
    operation("max_pool2d", PICTURES),
    operation("max_pool2d", PICTURES, pool_size=3, strides=2, padding="same"),
    operation("max_pool2d", PICTURES, pool_size=(2, 3), strides=1, padding=1),
    operation("average_pool2d", PICTURES),
    operation("average_pool2d", PICTURES, pool_size=3, strides=2, padding="same"),
    operation("average_pool2d", PICTURES, pool_size=3, padding=1, count_include_pad=True),
    operation("global_max_pool2d", PICTURES),
    operation("global_average_pool2d", PICTURES),
    operation("batch_normalization", PICTURES, (4,), (4,)),
    operation("batch_normalization", (6, 4), (4,), (4,), epsilon=1e-5),
    operation("batch_normalization_inference", PICTURES, (4,), (4,), mean=MEAN, variance=VARIANCE),
    operation("layer_normalization", PICTURES, (4,), (4,)),
    operation("prelu", (3, 4), (4,)),
    operation("prelu", PICTURES, (1, 1, 4)),
    operation("relu_pieces", (3, 4), max_value=0.7, negative_slope=0.2, threshold=-0.1),
    operation("rescaling", PICTURES, scale=MEAN, offset=0.5),
    operation("normalization", PICTURES, mean=MEAN, variance=VARIANCE),
    operation("add", (2, 3), (2, 3), (2, 3)),
    operation("multiply", (2, 3), (2, 3), (2, 3)),
    operation("multiply", PICTURES, (2, 1, 1, 4)),
    operation("concatenate", (2, 3, 1), (2, 3, 4)),
    operation("flatten", PICTURES),
    operation("reshape", PICTURES, target_shape=(6, 20)),
    operation("permute", PICTURES, dims=(2, 3, 1)),
    operation("zero_padding2d", PICTURES, pads=((1, 0), (2, 3))),
    Operation(
        "dropout",
        [PICTURES],
        lambda x: F.dropout(x, 0.4, np.random.default_rng(3)),
        F.dropout_backward,
    ),
    Operation(
        "cross_entropy", [(2, 3)], lambda z: cross_entropy(z, TARGETS), cross_entropy_backward
    ),
]


def runner(
    forward: Callable[..., tuple[Array, Any]], backward: Callable[[Array, Any], Any], arrays: Arrays
) -> Callable[[], tuple[Array, Pull]]:
    """The ``run`` of the checker for a pair of functions."""

    def run() -> tuple[Array, Pull]:
        y, cache = forward(*arrays.values())

        def pull(dy: Array) -> Arrays:
            gradients = backward(dy, cache)
            listed = gradients if isinstance(gradients, tuple) else (gradients,)
            return dict(zip(arrays, (g for g in listed if g is not None), strict=True))

        return y, pull

    return run


def random_arrays(shapes: Sequence[tuple[int, ...]]) -> Arrays:
    rng = np.random.default_rng(1)
    return {f"array {i}": rng.normal(size=shape) for i, shape in enumerate(shapes)}


@pytest.mark.parametrize("case", OPERATIONS, ids=lambda case: case.name)
def test_operation(case: Operation) -> None:
    arrays = random_arrays(case.shapes)
    check_gradients(runner(case.forward, case.backward, arrays), arrays)


def test_every_operation_is_covered() -> None:
    named = {name.removesuffix("_backward") for name in F.__all__ if name.endswith("_backward")}
    assert named <= {case.name for case in OPERATIONS}


# The layers, each with a layer in front ---------------------------------------------------------


def model_runner(model: Sequential, x: Array) -> tuple[Callable[[], tuple[Array, Pull]], Arrays]:
    """The ``run`` of the checker for all of a model's parameters and its input."""

    def run() -> tuple[Array, Pull]:
        y, caches = model.forward(x, training=True, rng=np.random.default_rng(3))

        def pull(dy: Array) -> Arrays:
            dx, gradients = model.backward(dy, caches, need_dx=True)
            assert dx is not None
            return {"x": dx, **gradients}

        return y, pull

    return run, {"x": x, **model.trainable_weights}


def test_layer(layer_case: Any) -> None:
    """In training mode, behind a convolution or a Dense layer of its own for each input."""
    first, *_ = layer_case.input_shapes
    picture = len(first) == 3
    fronts: list[Layer] = [
        Conv2D(shape[-1], 3, padding="same", name=f"front_{i}")
        if picture
        else SimpleRNN(shape[-1], return_sequences=True, name=f"front_{i}")
        if len(shape) == 2
        else Dense(shape[0], name=f"front_{i}")
        for i, shape in enumerate(layer_case.input_shapes)
    ]
    layer = layer_case.built()
    layer.name = default_name(layer)
    names = [front.name for front in fronts]
    wiring = {name: ["input"] for name in names} | {layer.name: names}
    input_shape = (*first[:-1], first[-1] + 1)
    model = Sequential([*fronts, layer], input_shape=input_shape, wiring=wiring, dtype="float64")
    x = np.random.default_rng(4).normal(size=(3, *input_shape))
    run, arrays = model_runner(model, x)
    assert set(arrays) > {"x"} | {f"{name}/kernel" for name in names}
    check_gradients(run, arrays)


def graph_model(**settings: Any) -> Sequential:
    """Branches that are summed, concatenated and used twice."""
    return Sequential(
        [
            Input((6, 5, 2)),
            Conv2D(3, 3, padding="same", activation="tanh", name="stem"),
            Conv2D(3, 3, padding="same", name="left"),
            BatchNormalization(name="norm"),
            Add(name="sum"),
            Conv2D(2, 1, activation="sigmoid", name="right"),
            Concatenate(name="both"),
            MaxPooling2D(),
            Dropout(0.2),
            Flatten(),
            Dense(4, activation="softmax"),
        ],
        wiring={"sum": ["norm", "stem"], "right": ["stem"], "both": ["sum", "right", "stem"]},
        **settings,
    )


def test_graph_with_add_and_concatenate() -> None:
    x = np.random.default_rng(4).normal(size=(3, 6, 5, 2))
    run, arrays = model_runner(graph_model(dtype="float64"), x)
    check_gradients(run, arrays)


def test_graph_with_a_frozen_layer() -> None:
    """The frozen layer has no gradients, and the others keep theirs."""
    model = graph_model(dtype="float64")
    model.get_layer("left").trainable = False
    model.get_layer("norm").trainable = False
    run, arrays = model_runner(model, np.random.default_rng(4).normal(size=(3, 6, 5, 2)))
    assert "stem/kernel" in arrays
    assert not {"left/kernel", "norm/gamma"} & arrays.keys()
    check_gradients(run, arrays)


def test_logits_are_differentiated_without_the_last_softmax() -> None:
    model = graph_model(dtype="float64")
    x = np.random.default_rng(4).normal(size=(3, 6, 5, 2))

    def run() -> tuple[Array, Pull]:
        y, caches = model.forward(x, training=True, rng=np.random.default_rng(3), logits=True)
        return y, lambda dy: model.backward(dy, caches, logits=True)[1]

    check_gradients(run, model.trainable_weights)


# The checker ------------------------------------------------------------------------------------

CONVOLUTION = convolution(PICTURES, (3, 2, 4, 3), padding="same")


def check_with(spoil: Callable[[list[Array]], None]) -> None:
    """The check of a convolution whose gradients went through ``spoil(gradients)``."""
    arrays = random_arrays(CONVOLUTION.shapes)

    def backward(dy: Array, cache: Any) -> tuple[Array, ...]:
        gradients = [g.copy() for g in CONVOLUTION.backward(dy, cache)]
        spoil(gradients)
        return tuple(gradients)

    check_gradients(runner(CONVOLUTION.forward, backward, arrays), arrays)


def scale(gradient: Array, factor: float) -> None:
    gradient *= factor


def test_the_checker_accepts_what_is_right() -> None:
    check_with(lambda gradients: None)


@pytest.mark.parametrize("which", range(3), ids=["dx", "dkernel", "dbias"])
def test_the_checker_catches_an_error_of_a_twentieth_of_a_percent(which: int) -> None:
    with pytest.raises(AssertionError, match=f"array {which}: measured"):
        check_with(lambda gradients: scale(gradients[which], 1.0005))


@pytest.mark.parametrize("which", range(3), ids=["dx", "dkernel", "dbias"])
def test_the_checker_catches_that_error_in_one_number(which: int) -> None:
    def spoil(gradients: list[Array]) -> None:
        flat = gradients[which].reshape(-1)
        flat[np.abs(flat).argmax()] *= 1.0005

    with pytest.raises(AssertionError, match=f"array {which}: measured"):
        check_with(spoil)


def test_the_checker_catches_a_gradient_that_was_forgotten() -> None:
    with pytest.raises(AssertionError, match="array 2: measured"):
        check_with(lambda gradients: scale(gradients[2], 0))


def test_the_checker_insists_on_float64() -> None:
    arrays = {name: a.astype(np.float32) for name, a in random_arrays([(3, 4)]).items()}
    with pytest.raises(AssertionError, match="array 0"):
        check_gradients(runner(F.relu, F.relu_backward, arrays), arrays)
