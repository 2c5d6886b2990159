"""A model computed by other code, as somebody who ported it to another framework would have it.

Nothing here is shared with ``tinymnist.compare``, nor with the layers that it runs: the
arithmetic is that of the standalone files, the settings lie open in plain dictionaries, and a fault
is planted by changing those.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinymnist.interop.standalone import functions
from tinymnist.interop.standalone.calls import calls_of
from tinymnist.nn.sequential import Sequential

Array = np.ndarray


@dataclass
class Step:
    """One call of a function.

    Attributes:
        layer: whose call it is.
        kind: the layer's class.
        function: what is called.
        arrays: what it takes after its inputs, by name.
        settings: its other arguments.
        inputs: the steps whose outputs it takes; -1 is the input of the model.
    """

    layer: str
    kind: str
    function: str
    arrays: dict[str, Array]
    settings: dict[str, Any]
    inputs: list[int]


@dataclass
class Port:
    """The steps of a model in order, and how it can be misused.

    Attributes:
        steps: in order.
        flatten_first: whether pictures are flattened channels first.
        training: whether batch normalization looks at the batch.
        rng: source of dropout's choices; None drops nothing.
        rates: of dropout by the number of the step that it follows.
    """

    steps: list[Step]
    flatten_first: bool = False
    training: bool = False
    rng: np.random.Generator | None = None
    rates: dict[int, tuple[str, float]] = field(default_factory=dict)

    def copy(self) -> Port:
        """A port of its own to damage."""
        return copy.deepcopy(self)

    def run(self, x: Array) -> dict[str, Array]:
        """Every output by name: what a step that ends a layer gives has the layer's name."""
        outputs: list[Array] = []
        told: dict[str, Array] = {}
        for number, step in enumerate(self.steps):
            xs = [x if i < 0 else outputs[i] for i in step.inputs]
            y = self._call(step, xs)
            ends = number + 1 == len(self.steps) or self.steps[number + 1].layer != step.layer
            told[step.layer if ends else f"{step.layer}/{step.function}"] = y
            if self.rng is not None and number in self.rates:
                name, rate = self.rates[number]
                kept = self.rng.random(y.shape) >= rate
                y = (y * kept / np.float32(1 - rate)).astype(y.dtype)
                told[name] = y
            outputs.append(y)
        return told

    def _call(self, step: Step, xs: list[Array]) -> Array:
        if step.function == "flatten" and self.flatten_first and xs[0].ndim == 4:
            return np.ascontiguousarray(xs[0].transpose(0, 3, 1, 2)).reshape(len(xs[0]), -1)
        arrays = dict(step.arrays)
        if step.function == "batch_normalization" and self.training:
            axes = tuple(range(xs[0].ndim - 1))
            arrays["moving_mean"] = xs[0].mean(axis=axes)
            arrays["moving_variance"] = xs[0].var(axis=axes)
        result: Array = getattr(functions, step.function)(*xs, *arrays.values(), **step.settings)
        return result


def port_of(model: Sequential) -> Port:
    """Write a model down as steps."""
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
