"""A model computed by other code, as if ported to another framework.

It shares nothing with ``tinymnist.comparison`` or with the layers: the arithmetic is that of the
standalone files, and the settings are plain dictionaries, which a fault changes.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinymnist.interop.standalone import functions
from tinymnist.interop.standalone.network_code import calls_of
from tinymnist.nn.sequential import Sequential

Array = NDArray[Any]


@dataclass
class Step:
    """One call of a function.

    Attributes:
        layer: name of the layer.
        kind: class of the layer.
        function: name of the function.
        arrays: its arguments after the inputs, by name.
        settings: its other arguments.
        inputs: indices of the steps whose outputs it takes; -1 is the input of the model.
    """

    layer: str
    kind: str
    function: str
    arrays: dict[str, Array]
    settings: dict[str, Any]
    inputs: list[int]


@dataclass
class Port:
    """The steps of a model, and its possible misuses.

    Attributes:
        steps: in order.
        flatten_first: whether images are flattened channels first.
        training: whether batch normalization uses the statistics of the batch.
        rng: source of dropout's choices; None drops nothing.
        rates: of dropout by the index of the step that it follows.
        softmax_over_batch: whether softmax sums up the examples instead of the classes.
        ending: what is done to the results.
    """

    steps: list[Step]
    flatten_first: bool = False
    training: bool = False
    rng: np.random.Generator | None = None
    rates: dict[int, tuple[str, float]] = field(default_factory=dict)
    softmax_over_batch: bool = False
    ending: Callable[[Array], Array] | None = None

    def copy(self) -> Port:
        """A copy to plant a fault in."""
        return copy.deepcopy(self)

    def run(self, x: Array) -> dict[str, Array]:
        """Compute every output by name: the last step of a layer has the layer's name."""
        outputs: list[Array] = []
        named: dict[str, Array] = {}
        for number, step in enumerate(self.steps):
            xs = [x if i < 0 else outputs[i] for i in step.inputs]
            y = self._call(step, xs)
            ends = number + 1 == len(self.steps) or self.steps[number + 1].layer != step.layer
            named[step.layer if ends else f"{step.layer}/{step.function}"] = y
            if self.rng is not None and number in self.rates:
                name, rate = self.rates[number]
                kept = self.rng.random(y.shape) >= rate
                y = (y * kept / np.float32(1 - rate)).astype(y.dtype)
                named[name] = y
            outputs.append(y)
        if self.ending is not None:
            last = list(named)[-1]
            named[last] = self.ending(named[last])
        return named

    def _call(self, step: Step, xs: list[Array]) -> Array:
        if step.function == "flatten" and self.flatten_first and xs[0].ndim == 4:
            return np.ascontiguousarray(xs[0].transpose(0, 3, 1, 2)).reshape(len(xs[0]), -1)
        if step.function == "softmax" and self.softmax_over_batch:
            return functions.softmax(xs[0].T).T
        arrays = dict(step.arrays)
        if step.function == "batch_normalization" and self.training:
            axes = tuple(range(xs[0].ndim - 1))
            arrays["moving_mean"] = xs[0].mean(axis=axes)
            arrays["moving_variance"] = xs[0].var(axis=axes)
        result: Array = getattr(functions, step.function)(*xs, *arrays.values(), **step.settings)
        return result


def port_of(model: Sequential) -> Port:
    """Convert a model to steps."""
    steps: list[Step] = []
    rates: dict[int, tuple[str, float]] = {}
    at = {"input": -1}
    for layer in model.layers:
        sources = model.sources[layer.name]
        inputs = [at[source] for source in sources]
        for call in calls_of(layer, model.shapes[sources[0]]):
            arrays = {name: np.array(layer.weights[name]) for name in call.arrays}
            kind = type(layer).__name__
            settings = dict(call.settings)
            steps.append(Step(layer.name, kind, call.function, arrays, settings, inputs))
            inputs = [len(steps) - 1]
        at[layer.name] = inputs[0]
        if type(layer).__name__ == "Dropout":
            rates[inputs[0]] = (layer.name, layer.config()["rate"])
    return Port(steps, rates=rates)
