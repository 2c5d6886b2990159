"""Faults that people make when they port a model from one framework to another.

Each planter takes a port and the pictures, and returns the faulty port and its input, or None if
the model cannot have the fault.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from benchmarks.faults.port import Array, Port, Step

Faulty = tuple[Port, Array] | None


class Fault(NamedTuple):
    """A kind of fault.

    Attributes:
        cause: the name that ``compare`` should report.
        name: what exactly is wrong.
        plant: the planter.
    """

    cause: str
    name: str
    plant: Callable[[Port, Array], Faulty]


def _fed(change: Callable[[Array], Array]) -> Callable[[Port, Array], Faulty]:
    """A fault of the input."""
    return lambda port, x: (port, np.ascontiguousarray(change(x), np.float32))


def _colours(port: Port, x: Array) -> Faulty:
    return (port, np.ascontiguousarray(x[..., ::-1])) if x.shape[-1] == 3 else None


def _steps(port: Port, *functions: str) -> Iterator[Step]:
    return (step for step in port.steps if step.function in functions)


def _convolutions(port: Port) -> list[Step]:
    found = _steps(port, "conv2d", "grouped_conv2d")
    return [step for step in found if step.arrays["kernel"].shape[0] > 1]


def _raw_kernel(port: Port, x: Array) -> Faulty:
    """The kernel of the last convolution, (out, in, h, w), is reshaped instead of transposed."""
    wide = [step for step in _convolutions(port) if step.arrays["kernel"].shape[2] > 1]
    for step in wide[-1:]:
        kernel = step.arrays["kernel"]
        theirs = np.ascontiguousarray(np.moveaxis(kernel, (3, 2), (0, 1)))  # (out, in, h, w)
        step.arrays["kernel"] = theirs.reshape(kernel.shape)
        return port, x
    return None


def _transposed_kernels(port: Port, x: Array) -> Faulty:
    """Height and width of every kernel are swapped."""
    for step in _convolutions(port):
        step.arrays["kernel"] = np.swapaxes(step.arrays["kernel"], 0, 1)
    return (port, x) if _convolutions(port) else None


def _flatten(port: Port, x: Array) -> Faulty:
    """Flatten is channels first, the kernel after it is not."""
    before = port.run(x[:1])
    port.flatten_first = True
    after = port.run(x[:1])
    last = list(before)[-1]
    return (port, x) if np.abs(before[last] - after[last]).max() > 1e-5 else None


def _epsilon(wrong: float) -> Callable[[Port, Array], Faulty]:
    def plant(port: Port, x: Array) -> Faulty:
        steps = [s for s in _steps(port, "batch_normalization") if s.settings["epsilon"] != wrong]
        for step in steps:
            step.settings["epsilon"] = wrong
        return (port, x) if steps else None

    return plant


def _exchanged(one: str, other: str) -> Callable[[Port, Array], Faulty]:
    """Two arrays of the last batch normalization under each other's name."""

    def plant(port: Port, x: Array) -> Faulty:
        steps = list(_steps(port, "batch_normalization"))
        for step in steps[-1:]:
            arrays = step.arrays
            step.arrays = arrays | {one: arrays[other], other: arrays[one]}
        return (port, x) if steps else None

    return plant


def _biases(port: Port, x: Array) -> Faulty:
    steps = [step for step in port.steps if "bias" in step.arrays]
    for step in steps:
        step.arrays["bias"] = np.zeros_like(step.arrays["bias"])
    return (port, x) if steps else None


def _classes(port: Port, x: Array) -> Faulty:
    """The class 0 comes last, as where labels are 1 to 10."""
    last = [step for step in port.steps if "kernel" in step.arrays][-1]
    last.arrays = {name: np.roll(array, -1, axis=-1) for name, array in last.arrays.items()}
    return port, x


def _ending(function: Callable[[Array], Array]) -> Callable[[Port, Array], Faulty]:
    """What is done to the results at the very end."""

    def plant(port: Port, x: Array) -> Faulty:
        port.ending = function
        return port, x

    return plant


def _temperature(port: Port, x: Array) -> Faulty:
    """The logits are halved before the softmax."""
    if port.steps[-1].function != "softmax":
        return None
    scaling = Step(port.steps[-1].layer, "", "rescaling", {}, {"scale": 0.5, "offset": 0.0}, [])
    scaling.inputs, port.steps[-1].inputs = port.steps[-1].inputs, [len(port.steps) - 1]
    port.steps.insert(-1, scaling)
    return port, x


def _activation(port: Port, x: Array) -> Faulty:
    """The last activation before the results is another one."""
    others = {"relu": "gelu", "tanh": "sigmoid", "leaky_relu": "relu"}
    for step in reversed(port.steps):
        if step.function in others:
            step.function, step.settings = others[step.function], {}
            return port, x
    return None


def _pooling(port: Port, x: Array) -> Faulty:
    """The mean instead of the maximum, in every pooling that does not pad."""
    steps = list(_steps(port, "max_pool"))
    for step in steps:
        step.function = "average_pool"
    return (port, x) if steps else None


def _training(port: Port, x: Array) -> Faulty:
    port.training = True
    return (port, x) if any(_steps(port, "batch_normalization")) else None


def _padding(port: Port, x: Array) -> Faulty:
    """All padding goes to the front, or one-sided padding to the other side."""
    found = False
    for step in _steps(port, "conv2d", "grouped_conv2d", "average_pool", "max_pool"):
        pads = step.settings.get("pads", ((0, 0), (0, 0)))
        if not any(map(any, pads)):
            continue
        turned = tuple((b, a) if a != b else (a + b, 0) for a, b in pads)
        step.settings["pads"] = turned
        found = True
    return (port, x) if found else None


def _flipped(last_only: bool) -> Callable[[Port, Array], Faulty]:
    def plant(port: Port, x: Array) -> Faulty:
        steps = _convolutions(port)
        if not steps or (last_only and len(steps) < 2):
            return None
        for step in steps[-1:] if last_only else steps:
            step.arrays["kernel"] = np.flip(step.arrays["kernel"], (0, 1))
        return port, x

    return plant


def _softmax(how: str) -> Callable[[Port, Array], Faulty]:
    def plant(port: Port, x: Array) -> Faulty:
        last = port.steps[-1]
        if how == "twice" and last.function == "softmax":
            again = Step("softmax_again", "Softmax", "softmax", {}, {}, [len(port.steps) - 1])
            port.steps.append(again)
        elif how == "missing":
            port.steps.pop()
        elif how == "logarithm" and last.function == "softmax":
            last.function = "log_softmax"
        elif how == "over the batch" and last.function == "softmax":
            port.softmax_over_batch = True
        else:
            return None
        return port, x

    return plant


def _dropout(port: Port, x: Array) -> Faulty:
    port.rng = np.random.default_rng(5)
    return (port, x) if port.rates else None


_STATISTICS = ("moving_mean", "moving_variance")
FAULTS = (
    Fault("input scaling", "0..255 instead of 0..1", _fed(lambda x: x * 255)),
    Fault("input scaling", "minus 0.1307, over 0.3081", _fed(lambda x: (x - 0.1307) / 0.3081)),
    Fault("input scaling", "-1..1 instead of 0..1", _fed(lambda x: 2 * x - 1)),
    Fault("polarity", "black on white", _fed(lambda x: 1 - x)),
    Fault("polarity", "black on white, 0..255", _fed(lambda x: 255 * (1 - x))),
    Fault("channel order or layout", "pictures transposed", _fed(lambda x: x.swapaxes(1, 2))),
    Fault("channel order or layout", "blue, green, red", _colours),
    Fault("channel order or layout", "a kernel reshaped, not transposed", _raw_kernel),
    Fault("channel order or layout", "kernels transposed", _transposed_kernels),
    Fault("flatten order", "channels first", _flatten),
    Fault("BatchNorm epsilon", "1e-5 for 1e-3", _epsilon(1e-5)),
    Fault("BatchNorm epsilon", "1e-3 for 1e-5", _epsilon(1e-3)),
    Fault("BatchNorm in training mode", "statistics of the batch", _training),
    Fault(
        "BatchNorm arrays exchanged",
        "mean and variance",
        _exchanged("moving_mean", "moving_variance"),
    ),
    Fault("BatchNorm arrays exchanged", "gamma and beta", _exchanged("gamma", "beta")),
    Fault("bias left out", "every bias", _biases),
    Fault("padding side", "in front", _padding),
    Fault("flipped kernels", "all", _flipped(last_only=False)),
    Fault("flipped kernels", "the last", _flipped(last_only=True)),
    Fault("softmax", "twice", _softmax("twice")),
    Fault("softmax", "missing", _softmax("missing")),
    Fault("softmax", "its logarithm", _softmax("logarithm")),
    Fault("softmax", "over the batch", _softmax("over the batch")),
    Fault("class order", "0 comes last", _classes),
    Fault("output scaling", "in percent", _ending(lambda y: 100 * y)),
    Fault("output scaling", "half the logits", _temperature),
    Fault("activation", "another one at the end", _activation),
    Fault("pooling", "mean for maximum", _pooling),
    Fault("dropout active", "every dropout", _dropout),
)
"""All faults, with the names of causes in ``compare``."""
_INPUT = {"input scaling", "polarity"}
"""Two of these at once are one line from what was meant to what is fed."""


def pairs_of_faults(rng: np.random.Generator) -> Iterator[tuple[Fault, Fault]]:
    """Two faults of different causes, drawn again and again."""
    while True:
        one, other = (FAULTS[i] for i in rng.choice(len(FAULTS), 2, replace=False))
        causes = {one.cause, other.cause}
        if len(causes) == 2 and causes != _INPUT:
            yield one, other
