"""Every operation against PyTorch's float64, on random settings of odd and even sizes.

The same numbers go into both. tinymnist in float64 must agree to 1e-10, and in float32 to 1e-5,
both relative to the largest magnitude of the array. PyTorch computes on the very float32 inputs,
widened, so what is measured is the arithmetic and not the rounding of the inputs.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from tinymnist.nn import functional as F
from tinymnist.nn.architectures import keras_cnn
from tinymnist.nn.arrays import Array
from tinymnist.nn.layers import BatchNormalization, Dropout
from tinymnist.nn.losses import (
    CategoricalCrossentropy,
    cross_entropy,
    cross_entropy_backward,
    example_weights,
    one_hot,
)
from tinymnist.nn.optimizers import SGD, Adam, AdamW
from tinymnist.nn.schedules import CosineDecay, ExponentialDecay
from tinymnist.nn.sequential import Sequential

torch = pytest.importorskip("torch")
T = torch.nn.functional
pytestmark = pytest.mark.peer

Arrays = dict[str, Array]
Drawn = tuple[Arrays, dict[str, Any]]
"""Arrays and settings of one case."""

TOLERANCE = {"float64": 1e-10, "float32": 1e-5}
FIXED = ("labels", "weights", "mean", "variance")
"""Arguments without a gradient."""


@dataclass
class Configuration:
    """One operation with one choice of arrays and settings."""

    operation: str
    arrays: Arrays
    settings: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        shapes = {name: array.shape for name, array in self.arrays.items()}
        return f"{self.operation}({shapes}, {self.settings})"


def relative_error(found: Any, expected: Any) -> float:
    """The largest difference as a share of the largest magnitude."""
    assert found.shape == expected.shape
    if not expected.size:
        return 0.0
    largest = np.abs(expected).max()
    return float(np.abs(found - expected).max() / (largest or 1.0))


@pytest.fixture(scope="module", autouse=True)
def one_torch_thread() -> Iterator[None]:
    """On arrays as small as these, PyTorch's threads only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


# --- both sides of each operation -----------------------------------------------------------
# ours(arrays, **settings) -> y, backward; theirs(tensors, **settings) -> y in our layout.


def channels_first(x: Any) -> Any:
    return x.permute(0, 3, 1, 2)


def channels_last(y: Any) -> Any:
    return y.permute(0, 2, 3, 1)


def in_pixels(
    padding: Any, sizes: Sequence[int], kernel: Any, strides: Any, dilation: Any = (1, 1)
) -> Any:
    """((top, bottom), (left, right)), worked out apart from tinymnist."""
    if padding == "valid":
        return (0, 0), (0, 0)
    if padding == "same":
        sides = []
        for size, k, stride, d in zip(sizes, kernel, strides, dilation, strict=True):
            reach = (math.ceil(size / stride) - 1) * stride + (k - 1) * d + 1
            total = max(0, reach - size)
            sides.append((total // 2, (total + 1) // 2))
        return tuple(sides)
    if isinstance(padding, int):
        padding = (padding, padding)
    return tuple((side, side) if isinstance(side, int) else side for side in padding)


def framed(x: Any, pads: Any, value: float = 0.0) -> Any:
    """A picture (n, c, h, w) with a frame around it."""
    (top, bottom), (left, right) = pads
    return T.pad(x, (left, right, top, bottom), value=value)


def our_conv2d(a: Arrays, **settings: Any) -> tuple[Array, Any]:
    y, cache = F.conv2d(a["x"], a["kernel"], a.get("bias"), **settings)
    return y, lambda dy: zip(("x", "kernel", "bias"), F.conv2d_backward(dy, cache), strict=True)


def their_conv2d(t: dict[str, Any], strides: Any, padding: Any, dilation: Any, groups: int) -> Any:
    x = channels_first(t["x"])
    kernel = t["kernel"].permute(3, 2, 0, 1).contiguous()
    pads = in_pixels(padding, x.shape[2:], kernel.shape[2:], strides, dilation)
    settings = {"stride": strides, "dilation": dilation, "groups": groups}
    if all(first == last for first, last in pads):
        y = T.conv2d(x, kernel, t.get("bias"), padding=[p for p, _ in pads], **settings)
    else:
        y = T.conv2d(framed(x, pads), kernel, t.get("bias"), **settings)
    return channels_last(y)


def our_max_pool2d(a: Arrays, **settings: Any) -> tuple[Array, Any]:
    y, cache = F.max_pool2d(a["x"], **settings)
    return y, lambda dy: {"x": F.max_pool2d_backward(dy, cache)}.items()


def their_max_pool2d(t: dict[str, Any], pool_size: Any, strides: Any, padding: Any) -> Any:
    x = channels_first(t["x"])
    pads = in_pixels(padding, x.shape[2:], pool_size, strides or pool_size)
    return channels_last(T.max_pool2d(framed(x, pads, -math.inf), pool_size, strides))


def our_average_pool2d(a: Arrays, **settings: Any) -> tuple[Array, Any]:
    y, cache = F.average_pool2d(a["x"], **settings)
    return y, lambda dy: {"x": F.average_pool2d_backward(dy, cache)}.items()


def their_average_pool2d(
    t: dict[str, Any], pool_size: Any, strides: Any, padding: Any, count_include_pad: bool
) -> Any:
    x = channels_first(t["x"])
    pads = in_pixels(padding, x.shape[2:], pool_size, strides or pool_size)
    native = all(a == b and a <= k // 2 for (a, b), k in zip(pads, pool_size, strict=True))
    if native:
        sides = [a for a, _ in pads]
        y = T.avg_pool2d(x, pool_size, strides, sides, count_include_pad=count_include_pad)
    else:
        y = T.avg_pool2d(framed(x, pads), pool_size, strides)
        if not count_include_pad:
            y = y / T.avg_pool2d(framed(torch.ones_like(x), pads), pool_size, strides)
    return channels_last(y)


def our_dense(a: Arrays) -> tuple[Array, Any]:
    y, cache = F.dense(a["x"], a["kernel"], a.get("bias"))
    return y, lambda dy: zip(("x", "kernel", "bias"), F.dense_backward(dy, cache), strict=True)


def our_batch_normalization(a: Arrays, epsilon: float) -> tuple[Array, Any]:
    y, cache = F.batch_normalization(a["x"], a["gamma"], a["beta"], epsilon)
    names = ("x", "gamma", "beta")
    return y, lambda dy: zip(names, F.batch_normalization_backward(dy, cache), strict=True)


def our_batch_normalization_inference(a: Arrays, epsilon: float) -> tuple[Array, Any]:
    y, cache = F.batch_normalization_inference(**a, epsilon=epsilon)
    names = ("x", "gamma", "beta")
    return y, lambda dy: zip(
        names, F.batch_normalization_inference_backward(dy, cache), strict=True
    )


def their_batch_normalization(t: dict[str, Any], epsilon: float) -> Any:
    x = t["x"].movedim(-1, 1)
    training = "mean" not in t
    settings = {"weight": t["gamma"], "bias": t["beta"], "training": training, "eps": epsilon}
    return T.batch_norm(x, t.get("mean"), t.get("variance"), **settings).movedim(1, -1)


def our_cross_entropy(a: Arrays, smoothing: float, classes: int) -> tuple[Array, Any]:
    """A batch's loss as ``fit`` computes it: the weighted sum over the number of examples."""
    dtype, n = a["x"].dtype, len(a["x"])
    targets = CategoricalCrossentropy(label_smoothing=smoothing).smooth(
        one_hot(a["labels"], classes, dtype)
    )
    by_class = dict(enumerate(a["weights"])) if "weights" in a else None
    weights = example_weights(a["labels"], by_class, dtype=dtype)
    losses, cache = cross_entropy(a["x"], targets)
    y = np.asarray((losses * weights).sum() / n, dtype)
    return y, lambda dy: {"x": cross_entropy_backward(dy * weights / n, cache)}.items()


def their_cross_entropy(t: dict[str, Any], smoothing: float, classes: int) -> Any:
    """PyTorch's, brought to the same normalization.

    PyTorch divides by the sum of the weights, tinymnist (like Keras) by the number of examples.
    With smoothing besides, PyTorch weights each share of the smeared target by its own class;
    tinymnist (like Keras) weights the example as a whole.
    """
    if "weights" not in t:
        return T.cross_entropy(t["x"], t["labels"], label_smoothing=smoothing)
    of_example = t["weights"][t["labels"]]
    if not smoothing:
        mean = T.cross_entropy(t["x"], t["labels"], t["weights"])
        return mean * of_example.sum() / len(of_example)
    losses = T.cross_entropy(t["x"], t["labels"], label_smoothing=smoothing, reduction="none")
    return (losses * of_example).mean()


def our_zero_padding2d(a: Arrays, pads: Any) -> tuple[Array, Any]:
    y, cache = F.zero_padding2d(a["x"], pads)
    return y, lambda dy: {"x": F.zero_padding2d_backward(dy, cache)}.items()


def our_concatenate(a: Arrays) -> tuple[Array, Any]:
    y, cache = F.concatenate(*a.values())
    return y, lambda dy: zip(a, F.concatenate_backward(dy, cache), strict=True)


def our_add(a: Arrays) -> tuple[Array, Any]:
    y, cache = F.add(*a.values())
    return y, lambda dy: zip(a, F.add_backward(dy, cache), strict=True)


def of_x(forward: Callable[..., tuple[Array, Any]], backward: Callable[[Array, Any], Any]) -> Any:
    """Our side of an operation that takes nothing but ``x``."""

    def ours(a: Arrays, **settings: Any) -> tuple[Array, Any]:
        y, cache = forward(a["x"], **settings)
        return y, lambda dy: {"x": backward(dy, cache)}.items()

    return ours


OPERATIONS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "conv2d": (our_conv2d, their_conv2d),
    "max_pool2d": (our_max_pool2d, their_max_pool2d),
    "average_pool2d": (our_average_pool2d, their_average_pool2d),
    "global_max_pool2d": (
        of_x(F.global_max_pool2d, F.global_max_pool2d_backward),
        lambda t: T.adaptive_max_pool2d(channels_first(t["x"]), 1).flatten(1),
    ),
    "global_average_pool2d": (
        of_x(F.global_average_pool2d, F.global_average_pool2d_backward),
        lambda t: T.adaptive_avg_pool2d(channels_first(t["x"]), 1).flatten(1),
    ),
    "dense": (our_dense, lambda t: T.linear(t["x"], t["kernel"].T, t.get("bias"))),
    "batch_normalization": (our_batch_normalization, their_batch_normalization),
    "batch_normalization_inference": (
        our_batch_normalization_inference,
        their_batch_normalization,
    ),
    "relu": (of_x(F.relu, F.relu_backward), lambda t: T.relu(t["x"])),
    "leaky_relu": (
        of_x(F.leaky_relu, F.leaky_relu_backward),
        lambda t, negative_slope: T.leaky_relu(t["x"], negative_slope),
    ),
    "elu": (of_x(F.elu, F.elu_backward), lambda t, alpha: T.elu(t["x"], alpha)),
    "gelu": (
        of_x(F.gelu, F.gelu_backward),
        lambda t, approximate: T.gelu(t["x"], approximate="tanh" if approximate else "none"),
    ),
    "sigmoid": (of_x(F.sigmoid, F.sigmoid_backward), lambda t: torch.sigmoid(t["x"])),
    "tanh": (of_x(F.tanh, F.tanh_backward), lambda t: torch.tanh(t["x"])),
    "softmax": (of_x(F.softmax, F.softmax_backward), lambda t: T.softmax(t["x"], -1)),
    "log_softmax": (
        of_x(F.log_softmax, F.log_softmax_backward),
        lambda t: T.log_softmax(t["x"], -1),
    ),
    "cross_entropy": (our_cross_entropy, their_cross_entropy),
    "zero_padding2d": (
        our_zero_padding2d,
        lambda t, pads: channels_last(framed(channels_first(t["x"]), pads)),
    ),
    "concatenate": (our_concatenate, lambda t: torch.cat(tuple(t.values()), -1)),
    "add": (our_add, lambda t: sum(t.values())),
    "flatten": (of_x(F.flatten, F.flatten_backward), lambda t: t["x"].flatten(1)),
}


# --- random configurations ------------------------------------------------------------------


def normal(rng: np.random.Generator, *shape: Any, scale: float = 1.0, offset: float = 0.0) -> Array:
    return (rng.standard_normal(shape) * scale + offset).astype(np.float32)


def pictures(rng: np.random.Generator, channels: Any = None) -> Array:
    h, w = rng.integers(1, 14, 2)
    return normal(rng, rng.integers(1, 5), h, w, channels or rng.integers(1, 7))


def pair(rng: np.random.Generator, low: int, high: int) -> tuple[int, int]:
    first, second = (int(v) for v in rng.integers(low, high + 1, 2))
    return first, second


def draw_padding(rng: np.random.Generator, kernel: Any) -> Any:
    """Any way to write it; never so much that a window sees nothing but padding."""
    most = [k - 1 for k in kernel]
    sides = tuple(tuple(int(v) for v in rng.integers(0, m + 1, 2)) for m in most)
    one = int(rng.integers(0, min(most) + 1))
    written = ["valid", "same", one, tuple(a for a, _ in sides), sides, sides]
    return written[rng.integers(len(written))]


def fits(x: Any, padding: Any, kernel: Any, strides: Any, dilation: Any = (1, 1)) -> bool:
    pads = in_pixels(padding, x.shape[1:3], kernel, strides, dilation)
    return all(
        size + sum(pad) > (k - 1) * d
        for size, pad, k, d in zip(x.shape[1:3], pads, kernel, dilation, strict=True)
    )


def draw_conv2d(rng: np.random.Generator, number: int) -> Drawn:
    """In turn: one group, one group dilated, several groups, depthwise."""
    kind = number % 4
    groups = int(rng.integers(2, 5)) if kind == 2 else 1
    channels = groups * int(rng.integers(1, 4))
    if kind == 3:
        groups = channels
    outputs = groups * int(rng.integers(1, 4))
    while True:
        kernel, strides = pair(rng, 1, 5), pair(rng, 1, 3)
        dilation = (1, 1) if kind == 0 else pair(rng, 1, 3)
        padding = draw_padding(rng, kernel)
        x = pictures(rng, channels)
        if fits(x, padding, kernel, strides, dilation):
            break
    arrays = {"x": x, "kernel": normal(rng, *kernel, channels // groups, outputs)}
    if rng.random() < 0.7:
        arrays["bias"] = normal(rng, outputs)
    settings = {"strides": strides, "padding": padding, "dilation": dilation, "groups": groups}
    return arrays, settings


def draw_pool(rng: np.random.Generator) -> Drawn:
    while True:
        pool_size, x = pair(rng, 1, 5), pictures(rng)
        strides = None if rng.random() < 0.3 else pair(rng, 1, 4)
        padding = draw_padding(rng, pool_size)
        if fits(x, padding, pool_size, strides or pool_size):
            return {"x": x}, {"pool_size": pool_size, "strides": strides, "padding": padding}


def draw_max_pool2d(rng: np.random.Generator, number: int) -> Drawn:
    arrays, settings = draw_pool(rng)
    if number % 3 == 0:  # ties: the first maximum takes the gradient
        arrays["x"] = rng.integers(-1, 2, arrays["x"].shape).astype(np.float32)
    return arrays, settings


def draw_average_pool2d(rng: np.random.Generator, number: int) -> Drawn:
    arrays, settings = draw_pool(rng)
    return arrays, settings | {"count_include_pad": bool(number % 2)}


def draw_dense(rng: np.random.Generator, number: int) -> Drawn:
    n, features, units = rng.integers(1, 40, 3)
    arrays = {"x": normal(rng, n, features), "kernel": normal(rng, features, units)}
    return arrays | ({"bias": normal(rng, units)} if number % 3 else {}), {}


def draw_batch_normalization(rng: np.random.Generator, number: int) -> Drawn:
    """Off-centre inputs, pictures and vectors; enough numbers that the gradient is not all 0."""
    c = rng.integers(1, 9)
    shape = (rng.integers(8, 33), c) if number % 2 else (*rng.integers(3, 8, 3), c)
    arrays = {
        "x": normal(rng, *shape, scale=2, offset=rng.uniform(-5, 5)),
        "gamma": normal(rng, c),
        "beta": normal(rng, c),
    }
    return arrays, {"epsilon": float(rng.choice([1e-3, 1e-5]))}


def draw_batch_normalization_inference(rng: np.random.Generator, number: int) -> Drawn:
    arrays, settings = draw_batch_normalization(rng, number)
    c = arrays["x"].shape[-1]
    variance = rng.uniform(0.3, 4, (c,)).astype(np.float32)
    return arrays | {"mean": normal(rng, c, scale=3), "variance": variance}, settings


def draw_any(rng: np.random.Generator, number: int) -> Drawn:
    """Vectors and pictures; large magnitudes and exact zeros among them."""
    x = pictures(rng) if number % 2 else normal(rng, *rng.integers(1, 12, 2))
    if number % 3 == 0:
        x = rng.integers(-2, 3, x.shape).astype(np.float32)
    return {"x": x * np.float32(10.0 if number % 5 == 0 else 1.0)}, {}


def draw_cross_entropy(rng: np.random.Generator, number: int) -> Drawn:
    n, classes = (int(v) for v in rng.integers(2, 20, 2))
    arrays = {
        "x": normal(rng, n, classes, scale=float(rng.choice([1, 5, 50]))),
        "labels": rng.integers(0, classes, n),
    }
    if number % 2:
        arrays["weights"] = rng.uniform(0.1, 3, classes).astype(np.float32)
    return arrays, {"smoothing": [0.0, 0.1, 0.3][number % 3], "classes": classes}


def draw_several(rng: np.random.Generator, number: int, same: bool) -> Drawn:
    x = pictures(rng)
    widths = [x.shape[-1] if same else rng.integers(1, 6) for _ in range(2 + number % 2)]
    return {f"x{i}": normal(rng, *x.shape[:-1], width) for i, width in enumerate(widths)}, {}


def with_setting(name: str, values: Sequence[Any]) -> Callable[..., Drawn]:
    def draw(rng: np.random.Generator, number: int) -> Drawn:
        return draw_any(rng, number)[0], {name: values[number % len(values)]}

    return draw


def draw_pictures(rng: np.random.Generator, number: int) -> Drawn:
    x = pictures(rng)
    return {"x": np.round(x) if number % 3 == 0 else x}, {}


def draw_zero_padding2d(rng: np.random.Generator, number: int) -> Drawn:
    return {"x": pictures(rng)}, {"pads": (pair(rng, 0, 3), pair(rng, 0, 3))}


DRAWS: dict[str, tuple[int, Callable[[np.random.Generator, int], Drawn]]] = {
    "conv2d": (240, draw_conv2d),
    "max_pool2d": (90, draw_max_pool2d),
    "average_pool2d": (90, draw_average_pool2d),
    "global_max_pool2d": (12, draw_pictures),
    "global_average_pool2d": (12, draw_pictures),
    "dense": (30, draw_dense),
    "batch_normalization": (30, draw_batch_normalization),
    "batch_normalization_inference": (30, draw_batch_normalization_inference),
    "relu": (12, draw_any),
    "leaky_relu": (12, with_setting("negative_slope", [0.01, 0.2, 0.3])),
    "elu": (12, with_setting("alpha", [1.0, 0.5, 1.5])),
    "gelu": (24, with_setting("approximate", [False, True])),
    "sigmoid": (12, draw_any),
    "tanh": (12, draw_any),
    "softmax": (12, draw_any),
    "log_softmax": (12, draw_any),
    "cross_entropy": (36, draw_cross_entropy),
    "zero_padding2d": (8, draw_zero_padding2d),
    "concatenate": (8, lambda rng, number: draw_several(rng, number, same=False)),
    "add": (8, lambda rng, number: draw_several(rng, number, same=True)),
    "flatten": (4, draw_pictures),
}


def configurations() -> list[Any]:
    """All of them, the same ones in every run."""
    return [
        pytest.param(
            Configuration(operation, *draw(np.random.default_rng([kind, number]), number)),
            id=f"{operation}-{number}",
        )
        for kind, (operation, (count, draw)) in enumerate(DRAWS.items())
        for number in range(count)
    ]


CONFIGURATIONS = configurations()


# --- the comparison -------------------------------------------------------------------------


def compute_theirs(configuration: Configuration, seed: int = 0) -> tuple[Array, Arrays]:
    """PyTorch's output and gradients in float64, and the gradient of the output that was used."""
    arrays = {k: widen(v) for k, v in configuration.arrays.items()}
    tensors = {k: torch.tensor(v, requires_grad=k not in FIXED) for k, v in arrays.items()}
    y = OPERATIONS[configuration.operation][1](tensors, **configuration.settings)
    dy = np.asarray(np.random.default_rng(seed).standard_normal(y.shape), np.float32)
    y.backward(torch.tensor(dy, dtype=torch.float64))
    gradients = {f"d{k}": t.grad.numpy() for k, t in tensors.items() if k not in FIXED}
    return dy, {"y": y.detach().numpy(), **gradients}


def widen(array: Array) -> Array:
    return array.astype(np.float64) if array.dtype == np.float32 else array


def compute_ours(configuration: Configuration, dy: Array, dtype: str) -> Arrays:
    """Our output and gradients in ``dtype``, which they must all have."""
    arrays = {
        k: v.astype(dtype) if v.dtype == np.float32 else v for k, v in configuration.arrays.items()
    }
    y, backward = OPERATIONS[configuration.operation][0](arrays, **configuration.settings)
    found = {f"d{name}": g for name, g in backward(dy.astype(dtype)) if g is not None}
    return {"y": y, **found}


def errors(configuration: Configuration, dtype: str) -> dict[str, float]:
    """The relative error of the output and of every gradient."""
    dy, expected = compute_theirs(configuration)
    found = compute_ours(configuration, dy, dtype)
    assert found.keys() == expected.keys()
    assert {array.dtype for array in found.values()} == {np.dtype(dtype)}
    return {name: relative_error(found[name], expected[name]) for name in expected}


def test_there_are_enough_configurations_of_odd_and_even_sizes() -> None:
    drawn = [parameter.values[0] for parameter in CONFIGURATIONS]
    assert len(drawn) >= 500
    sliding = [c for c in drawn if c.operation in ("conv2d", "max_pool2d", "average_pool2d")]
    windows = [c.settings.get("pool_size") or c.arrays["kernel"].shape[:2] for c in sliding]
    parities = Counter(
        (c.arrays["x"].shape[1] % 2, window[0] % 2, (c.settings["strides"] or window)[0] % 2)
        for c, window in zip(sliding, windows, strict=True)
        if c.settings["padding"] == "same"
    )
    assert len(parities) == 8, "odd and even: picture x window x stride"


@pytest.mark.parametrize("configuration", CONFIGURATIONS)
def test_operation(configuration: Configuration) -> None:
    for dtype, tolerance in TOLERANCE.items():
        found = errors(configuration, dtype)
        assert max(found.values()) <= tolerance, f"{configuration} in {dtype}: {found}"


@pytest.mark.parametrize("momentum", [0.9, 0.99])
@pytest.mark.parametrize("shape", [(5, 3, 4, 6), (7, 3)])
def test_moving_statistics(shape: tuple[int, ...], momentum: float) -> None:
    """PyTorch keeps the unbiased variance (over n - 1), tinymnist, like Keras, the biased one."""
    rng = np.random.default_rng(0)
    layer = BatchNormalization(momentum=momentum, trainable=True)
    layer.build(shape[1:], rng=rng, dtype=np.dtype("float64"))
    mean, variance = torch.zeros(shape[-1]).double(), torch.ones(shape[-1]).double()
    count = math.prod(shape[:-1])
    for _ in range(3):
        x = rng.standard_normal(shape) * 3 + 1
        _, cache = layer.forward(x, training=True)
        for name, value in layer.new_statistics(cache).items():
            setattr(layer, name, value)
        moved = torch.tensor(np.moveaxis(x, -1, 1))
        T.batch_norm(moved, mean, variance, training=True, momentum=1 - momentum)
    bias = 1 - momentum**3  # the share of what was measured; the rest is the 1 it began with
    biased = (variance.numpy() - (1 - bias)) * (count - 1) / count + (1 - bias)
    assert relative_error(layer.moving_mean, mean.numpy()) <= 1e-10
    assert relative_error(layer.moving_variance, biased) <= 1e-10


# --- optimizers and schedules ---------------------------------------------------------------

OPTIMIZERS: dict[str, tuple[Callable[[], Any], Callable[[Any], Any]]] = {
    "sgd": (lambda: SGD(0.1), lambda p: torch.optim.SGD(p, 0.1)),
    "momentum": (lambda: SGD(0.1, 0.9), lambda p: torch.optim.SGD(p, 0.1, 0.9)),
    "nesterov": (
        lambda: SGD(0.1, 0.9, nesterov=True),
        lambda p: torch.optim.SGD(p, 0.1, 0.9, nesterov=True),
    ),
    "adam": (
        lambda: Adam(0.01, epsilon=1e-8, epsilon_hat=False),
        lambda p: torch.optim.Adam(p, 0.01),
    ),
    "adamw": (
        lambda: AdamW(0.01, epsilon=1e-8, epsilon_hat=False, weight_decay=0.05),
        lambda p: torch.optim.AdamW(p, 0.01, weight_decay=0.05),
    ),
}


def take_steps(
    ours: Any, theirs: Any, clip: Callable[[Any], None] = lambda tensors: None, scale: float = 1.0
) -> tuple[Arrays, Arrays]:
    """Ten steps of both along the same gradients; the parameters of both at the end."""
    rng = np.random.default_rng(3)
    shapes = {"a/kernel": (5, 4), "a/bias": (4,)}
    parameters = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
    tensors = {name: torch.tensor(p.copy(), requires_grad=True) for name, p in parameters.items()}
    optimizer = theirs(list(tensors.values()))
    for _ in range(10):
        gradients = {name: rng.standard_normal(shape) * scale for name, shape in shapes.items()}
        for name, gradient in gradients.items():
            tensors[name].grad = torch.tensor(gradient)
        clip(list(tensors.values()))
        optimizer.step()
        ours.apply(parameters, gradients)
    return parameters, {name: tensor.detach().numpy() for name, tensor in tensors.items()}


@pytest.mark.parametrize("scale", [1.0, 1e-7], ids=["ordinary", "tiny"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizer(name: str, scale: float) -> None:
    """Tiny gradients tell the two Adams apart."""
    ours, theirs = OPTIMIZERS[name]
    found, expected = take_steps(ours(), theirs, scale=scale)
    for parameter in expected:
        assert relative_error(found[parameter], expected[parameter]) <= 1e-10


def test_keras_adam_is_another_one_where_gradients_are_tiny() -> None:
    _, theirs = OPTIMIZERS["adam"]
    found, expected = take_steps(Adam(0.01, epsilon=1e-8), theirs, scale=1e-7)
    assert relative_error(found["a/bias"], expected["a/bias"]) > 1e-3


def test_clipping() -> None:
    """PyTorch divides by the norm plus 1e-6, so the norms agree to six digits only."""
    by_value, by_norm = torch.nn.utils.clip_grad_value_, torch.nn.utils.clip_grad_norm_
    _, theirs = OPTIMIZERS["sgd"]
    found, expected = take_steps(SGD(0.1, clipvalue=0.5), theirs, lambda ts: by_value(ts, 0.5))
    assert relative_error(found["a/kernel"], expected["a/kernel"]) <= 1e-10
    found, expected = take_steps(SGD(0.1, global_clipnorm=1.0), theirs, lambda ts: by_norm(ts, 1.0))
    assert relative_error(found["a/kernel"], expected["a/kernel"]) <= 1e-6


def test_schedules() -> None:
    schedules: Any = torch.optim.lr_scheduler
    pairs: list[tuple[Any, Callable[[Any], Any]]] = [
        (ExponentialDecay(0.5, 4, 0.3, staircase=True), lambda o: schedules.StepLR(o, 4, 0.3)),
        (CosineDecay(0.5, 12, 0.1), lambda o: schedules.CosineAnnealingLR(o, 12, 0.05)),
    ]
    for ours, theirs in pairs:
        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], 0.5)
        schedule = theirs(optimizer)
        for step in range(12):
            assert ours(step) == pytest.approx(schedule.get_last_lr()[0], rel=1e-10)
            optimizer.step()
            schedule.step()


# --- a whole training step ------------------------------------------------------------------


def without_dropout(dtype: str) -> Sequential:
    layers = [layer for layer in keras_cnn(rng=1) if not isinstance(layer, Dropout)]
    return Sequential(layers, input_shape=(28, 28, 1), dtype=dtype)


def torch_loss(weights: dict[str, Any], x: Any, labels: Array) -> Any:
    """The keras-cnn architecture, written out in PyTorch's own layout."""
    y = torch.tensor(x).permute(0, 3, 1, 2)
    for name in ("conv2d", "conv2d_1"):
        kernel = weights[f"{name}/kernel"].permute(3, 2, 0, 1)
        y = T.max_pool2d(T.relu(T.conv2d(y, kernel, weights[f"{name}/bias"])), 2)
    features = channels_last(y).flatten(1)
    logits = features @ weights["dense/kernel"] + weights["dense/bias"]
    return T.cross_entropy(logits, torch.tensor(labels))


def batch() -> tuple[Array, Array]:
    rng = np.random.default_rng(5)
    x = rng.random((37, 28, 28, 1), np.float32) * (rng.random((37, 28, 28, 1)) < 0.2)
    return x.astype(np.float32), rng.integers(0, 10, 37)


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_keras_cnn_loss_and_gradients(dtype: str) -> None:
    model, (x, labels) = without_dropout(dtype), batch()
    weights = {
        name: torch.tensor(widen(array), requires_grad=True)
        for name, array in model.weights.items()
    }
    loss = torch_loss(weights, x.astype(np.float64), labels)
    loss.backward()
    logits, caches = model.forward(model.cast(x), logits=True)
    losses, cache = cross_entropy(logits, one_hot(labels, 10, dtype))
    dlogits = cross_entropy_backward(np.full(len(x), 1 / len(x), dtype), cache)
    _, gradients = model.backward(dlogits, caches, logits=True)
    assert relative_error(losses.mean(), loss.detach().numpy()) <= TOLERANCE[dtype]
    assert gradients.keys() == weights.keys()
    for name, gradient in gradients.items():
        assert relative_error(gradient, weights[name].grad.numpy()) <= TOLERANCE[dtype], name


def test_keras_cnn_after_a_step_of_fit() -> None:
    """``fit`` cuts the batch of 37 into pieces; the step must be that of the whole batch."""
    model, (x, labels) = without_dropout("float64"), batch()
    weights = {
        name: torch.tensor(array.copy(), requires_grad=True)
        for name, array in model.weights.items()
    }
    optimizer = torch.optim.SGD(list(weights.values()), 0.1, 0.9)
    model.compile(SGD(0.1, 0.9))
    history = model.fit(x, labels, batch_size=37, epochs=2, verbose=0).history
    for epoch in range(2):
        optimizer.zero_grad()
        loss = torch_loss(weights, x.astype(np.float64), labels)
        loss.backward()
        optimizer.step()
        assert history["loss"][epoch] == pytest.approx(loss.item(), rel=1e-10)
    for name, array in model.weights.items():
        assert relative_error(array, weights[name].detach().numpy()) <= 1e-10, name
