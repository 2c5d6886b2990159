"""One or more cases of every layer, with the shapes of their inputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import cast

import numpy as np
import pytest

from tinymnist.nn.arrays import Array
from tinymnist.nn.layers import (
    ACTIVATIONS,
    ELU,
    GELU,
    GRU,
    LSTM,
    Activation,
    Add,
    AveragePooling2D,
    BatchNormalization,
    Concatenate,
    Conv2D,
    Conv2DTranspose,
    Dense,
    DepthwiseConv2D,
    Dropout,
    Flatten,
    GaussianNoise,
    GlobalAveragePooling2D,
    GlobalMaxPooling2D,
    Layer,
    LayerNormalization,
    LeakyReLU,
    MaxPooling2D,
    Multiply,
    Normalization,
    Permute,
    PReLU,
    ReLU,
    Rescaling,
    Reshape,
    SimpleRNN,
    Softmax,
    SpatialDropout2D,
    UpSampling2D,
    ZeroPadding2D,
)


@dataclass(frozen=True)
class LayerCase:
    """How to make a layer, and the shapes of its inputs without the batch axis."""

    make: Callable[[], Layer]
    input_shapes: tuple[tuple[int, ...], ...]

    def __str__(self) -> str:
        settings = self.make().config().items()
        shown = [f"{k}={v}" for k, v in settings if k not in ("class", "name", "trainable")]
        return f"{type(self.make()).__name__}({','.join(shown)})".replace(" ", "")

    def built(self, dtype: str = "float64") -> Layer:
        """The layer with arrays that are neither all 0 nor all 1."""
        layer, rng = self.make(), np.random.default_rng(0)
        layer.build(*self.input_shapes, rng=rng, dtype=np.dtype(dtype))
        layer.set_weights({k: rng.uniform(0.5, 1.5, a.shape) for k, a in layer.weights.items()})
        return layer

    def inputs(self, n: int, dtype: str = "float64") -> list[Array]:
        """A random batch for each input."""
        rng = np.random.default_rng(1)
        return [rng.normal(size=(n, *shape)).astype(dtype) for shape in self.input_shapes]


def case(make: Callable[[], Layer], *input_shapes: tuple[int, ...]) -> LayerCase:
    return LayerCase(make, input_shapes)


PICTURE = (6, 7, 3)  # one even and one odd side
VECTOR = (5,)
ROWS = (4, 3)  # times, features

LAYER_CASES = [
    *(case(partial(Activation, name), VECTOR) for name in ACTIVATIONS),
    case(lambda: Activation("relu"), PICTURE),
    case(Add, PICTURE, PICTURE),
    case(Add, VECTOR, VECTOR, VECTOR),
    case(AveragePooling2D, PICTURE),
    case(lambda: AveragePooling2D((3, 2), 2, "same"), PICTURE),
    case(lambda: AveragePooling2D(3, 2, 1, count_include_pad=True), PICTURE),
    case(BatchNormalization, PICTURE),
    case(lambda: BatchNormalization(momentum=0.9, epsilon=1e-5), VECTOR),
    case(Concatenate, PICTURE, (6, 7, 2)),
    case(lambda: Conv2D(4, 3), PICTURE),
    case(lambda: Conv2D(2, (3, 2), (2, 1), "same", activation="tanh", use_bias=False), PICTURE),
    case(lambda: Conv2D(4, 3, 2, ((1, 0), (0, 2)), activation="relu"), PICTURE),
    case(lambda: Conv2D(6, 2, dilation_rate=(2, 3), groups=3), PICTURE),
    case(lambda: Conv2D(3, 3, padding="same"), (9, 8, 10)),  # more channels than "few"
    case(lambda: Dense(4), VECTOR),
    case(lambda: Dense(4, activation="softmax", use_bias=False), VECTOR),
    case(lambda: DepthwiseConv2D(3, padding="same"), PICTURE),
    case(lambda: DepthwiseConv2D(2, 2, depth_multiplier=2, activation="elu"), PICTURE),
    case(lambda: Dropout(0.4), PICTURE),
    case(lambda: Dropout(0), VECTOR),
    case(lambda: ELU(0.7), PICTURE),
    case(Flatten, PICTURE),
    case(GELU, VECTOR),
    case(lambda: GELU(approximate=True), PICTURE),
    case(GlobalAveragePooling2D, PICTURE),
    case(GlobalMaxPooling2D, PICTURE),
    case(LayerNormalization, PICTURE),
    case(lambda: LayerNormalization(epsilon=1e-5), VECTOR),
    case(LeakyReLU, PICTURE),
    case(MaxPooling2D, PICTURE),
    case(lambda: MaxPooling2D(3, (2, 1), "same"), PICTURE),
    case(lambda: MaxPooling2D((2, 3), 3), PICTURE),
    case(Multiply, PICTURE, PICTURE),
    case(Multiply, VECTOR, VECTOR, VECTOR),
    case(Multiply, PICTURE, (1, 1, 3)),
    case(lambda: Normalization(0.1307, 0.095), PICTURE),
    case(lambda: Normalization([0.1, 0.2, 0.3], [0.5, 1.0, 2.0]), PICTURE),
    case(lambda: Permute((3, 1, 2)), PICTURE),
    case(lambda: PReLU([1, 2]), PICTURE),
    case(PReLU, VECTOR),
    case(ReLU, PICTURE),
    case(lambda: ReLU(max_value=0.5, negative_slope=0.1, threshold=-0.2), PICTURE),
    case(lambda: Rescaling(1 / 255, -0.5), PICTURE),
    case(lambda: Rescaling([1.0, 2.0, 3.0], [0.0, 0.5, 1.0]), PICTURE),
    case(lambda: Reshape((7, -1, 3)), PICTURE),
    case(Softmax, VECTOR),
    case(lambda: Conv2DTranspose(2, 3, 2, "same", activation="tanh"), PICTURE),
    case(lambda: Conv2DTranspose(4, (3, 2), (2, 3), use_bias=False), PICTURE),
    case(UpSampling2D, PICTURE),
    case(lambda: UpSampling2D((1, 3)), PICTURE),
    case(lambda: GaussianNoise(0.5), VECTOR),
    case(lambda: SpatialDropout2D(0.4), PICTURE),
    case(lambda: SimpleRNN(3), ROWS),
    case(lambda: SimpleRNN(3, activation="softsign", use_bias=False, go_backwards=True), ROWS),
    case(lambda: LSTM(3), ROWS),
    case(lambda: LSTM(2, return_sequences=True, go_backwards=True, activation="softplus"), ROWS),
    case(lambda: GRU(3, return_sequences=True), ROWS),
    case(lambda: SimpleRNN(2, return_sequences=True, go_backwards=True, in_input_order=True), ROWS),
    case(lambda: GRU(2, reset_after=False, recurrent_activation="softsign"), ROWS),
    case(lambda: GRU(2, use_bias=False), ROWS),
    case(ZeroPadding2D, PICTURE),
    case(lambda: ZeroPadding2D(((1, 0), (2, 3))), PICTURE),
]

ONLY_READ = {"Conv2DTranspose", "GRU", "LSTM", "SimpleRNN", "UpSampling2D"}
"""Layers that other frameworks' files are read into, and no writer of files knows."""
WRITTEN_CASES = [one for one in LAYER_CASES if type(one.make()).__name__ not in ONLY_READ]


@pytest.fixture(params=LAYER_CASES, ids=str)
def layer_case(request: pytest.FixtureRequest) -> LayerCase:
    """Every layer in turn."""
    return cast(LayerCase, request.param)


@pytest.fixture
def one_press(monkeypatch: pytest.MonkeyPatch) -> None:
    """A training that is broken off does not wait for a second Ctrl-C."""
    monkeypatch.setattr("tinymnist.nn.training.fit.ONE_PRESS_SECONDS", 0.0)


@pytest.fixture
def covered_layers() -> set[str]:
    """The classes that the cases cover."""
    return {type(example.make()).__name__ for example in LAYER_CASES}
