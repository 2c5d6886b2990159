"""Gradients at every layer, beside each other: whether backward agrees as well as forward.

What is differentiated is one number: the outputs, weighted by fixed random numbers and summed. Its
gradient at the output of each layer can be compared without matching the names of parameters or
the layouts of kernels, and if all of these agree, those of the parameters follow by one product
each.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from tinymnist.comparison.comparison import Comparison
from tinymnist.comparison.layer_outputs import framework_of, runner
from tinymnist.comparison.measuring import Row, measure
from tinymnist.comparison.opening import Opened, fit_shape
from tinymnist.comparison.outputs import Output
from tinymnist.errors import InputError
from tinymnist.nn.arrays import Array
from tinymnist.nn.graph import INPUT
from tinymnist.nn.sequential import Sequential


def with_gradients(comparison: Comparison, a: Opened, b: Opened, x: Array) -> Comparison:
    """The comparison with a row for the gradient at each layer, from the last to the first.

    The layers are those whose outputs were matched.

    Raises:
        InputError: when a side cannot be differentiated.
    """
    of_a, of_b = _gradients_of(a, x), _gradients_of(b, x)
    exact: dict[str, Output] = {}
    if a.model is not None and a.native is None:
        exact = gradients_in_tinymnist(a.model.astype("float64"), _input_of(a.model, x))
    rows: list[Row] = []
    for name_a, name_b in reversed({row.a: row.b for row in comparison.rows}.items()):
        one, other = of_a.get(name_a), of_b.get(name_b)
        if one is not None and other is not None and one.values.shape == other.values.shape:
            rows.append(measure(one, other, exact.get(name_a), comparison.atol, comparison.rtol))
    return dataclasses.replace(comparison, gradients=tuple(rows))


def _gradients_of(side: Opened, x: Array) -> dict[str, Output]:
    if side.native is not None:
        framework = framework_of(side.native)
        module = runner(str(framework))
        if not hasattr(module, "gradients"):
            raise InputError(
                f"{side.name}: {framework} computes no gradients; leave out --gradients"
            )
        outputs: list[Output] = module.gradients(side.native, x, seed_weights)
        return {output.name: output for output in outputs}
    if side.model is None:
        raise InputError(
            f"{side.name} holds outputs and no model, so there are no gradients; leave out "
            "--gradients"
        )
    return gradients_in_tinymnist(side.model, _input_of(side.model, x))


def _input_of(model: Sequential, x: Array) -> Array:
    fitted = fit_shape(x, model.input_shape)
    return x if fitted is None else fitted


def seed_weights(shape: Any) -> Array:
    """The weights of the outputs in the sum, (n, ...) float64: the same for the same shape."""
    return np.random.default_rng(0).normal(size=tuple(shape))


def gradients_in_tinymnist(model: Sequential, x: Array) -> dict[str, Output]:
    """The gradient at the output of every layer, and at the input, by the layer's name."""
    y, caches = model.forward(model.cast(x))
    arriving: dict[str, Array] = {model.layers[-1].name: seed_weights(y.shape).astype(y.dtype)}
    for layer, cache in zip(reversed(model.layers), reversed(caches), strict=True):
        if layer.name not in arriving:
            continue
        dxs, _ = layer.backward(arriving[layer.name], cache, need_dx=True)
        for source, dx in zip(model.sources[layer.name], dxs, strict=True):
            if dx is not None:
                arriving[source] = arriving[source] + dx if source in arriving else dx
    names = [INPUT, *(layer.name for layer in model.layers)]
    return {name: Output(name, "", arriving[name]) for name in names if name in arriving}
