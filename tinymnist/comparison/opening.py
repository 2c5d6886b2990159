"""From the arguments of the command to the two sides: open files, choose examples, run models."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tinymnist.comparison.comparison import Comparison
from tinymnist.comparison.matching import in_layout_of
from tinymnist.comparison.measuring import measure
from tinymnist.comparison.outputs import RUNS, Output, Side, as_outputs, is_captured, read_arrays
from tinymnist.comparison.rerun import Rerun, gradients_in_tinymnist, seed_weights
from tinymnist.comparison.runners import (
    first_change,
    framework_of,
    outputs_of,
    precision_of,
    runner,
)
from tinymnist.comparison.runners.torch_network import build
from tinymnist.errors import InputError
from tinymnist.nn.arrays import Array, Shape
from tinymnist.nn.sequential import Sequential

SAMPLES = Path(__file__).parents[1] / "samples"


@dataclass(frozen=True)
class Opened:
    """What one argument names.

    Attributes:
        name: what to call it.
        captured: the outputs, if it is a file of captured outputs.
        model: tinymnist's reading, if it is a model that tinymnist reads.
        native: the model in the framework that runs it; None if tinymnist does.
    """

    name: str
    captured: tuple[Output, ...] = ()
    model: Sequential | None = None
    native: Any = None

    def side(self, x: Array) -> Side:
        """Run the model, unless its outputs were captured.

        Raises:
            InputError: when the model does not take such examples.
        """
        if self.captured:
            return Side(self.name, self.captured)
        own = None if self.model is None else _fit_shape(x, self.model.input_shape)
        if self.native is not None:
            outputs = tuple(outputs_of(self.native, x))
            changes = first_change(self.native, x, outputs)
            return Side(self.name, outputs, self.model, own, changes, precision_of(self.native))
        if self.model is None or own is None:
            expected = "other examples" if self.model is None else self.model.input_shape
            raise InputError(f"{self.name} takes {expected}, not {x.shape[1:]}; see --inputs")
        return Side(self.name, tuple(Rerun(self.model, own).run()), self.model, own)

    def gradients(self, x: Array) -> dict[str, Output]:
        """The gradient at the output of every layer, by the layer's name.

        Raises:
            InputError: when there is no model, or its framework computes no gradients.
        """
        problem = "holds outputs and no model"
        if self.native is not None:
            problem = "computes no gradients"
            with runner(framework_of(self.native)) as module:
                if hasattr(module, "gradients"):
                    outputs = module.gradients(self.native, x, seed_weights)
                    return {output.name: output for output in outputs}
        elif self.model is not None:
            own = _fit_shape(x, self.model.input_shape)
            return gradients_in_tinymnist(self.model, x if own is None else own)
        raise InputError(f"{self.name} {problem}; leave out --gradients")


def open_side(source: str, run: str | None, read: Callable[[str], Sequential]) -> Opened:
    """Open one argument of the comparison.

    Args:
        source: the name of a shipped model, a model file of any kind, or an .npz of outputs.
        run: what runs it, one of :data:`~tinymnist.comparison.outputs.RUNS`; None is tinymnist.
        read: opens a model file.

    Raises:
        InputError: when it cannot be opened, or not be run by ``run``.
    """
    if run is not None and run not in RUNS:
        raise InputError(f"a model is run by one of {', '.join(RUNS)}; received {run!r}")
    name = Path(source).name
    if is_captured(source):
        if run is not None:
            raise InputError(f"{source} holds outputs, which cannot be run; leave out --run")
        return Opened(name, captured=as_outputs(read_arrays(source), source))
    if run is None or run == "tinymnist":
        return Opened(name, model=read(source))
    with runner("onnx" if run == "onnxruntime" else run) as module:
        if run != "torch" and not Path(source).exists():
            raise InputError(f"there is no file {source} that {run} could run")
        native = build(read(source)) if run == "torch" else module.load(source)
    try:
        model = read(source)
    except InputError:
        model = None  # only its own framework reads it; it can still be compared
    return Opened(f"{name} in {run}", model=model, native=native)


def _fit_shape(x: Array, shape: Shape) -> Array | None:
    """Examples in the shape that a model takes; None if they have another number of values."""
    if x.shape[1:] == shape:
        return x
    if len(shape) == 3 and x.ndim == 4 and (x.shape[3], *x.shape[1:3]) == shape:
        return np.ascontiguousarray(x.transpose(0, 3, 1, 2))
    if math.prod(x.shape[1:]) == math.prod(shape):
        return x.reshape(len(x), *shape)
    return None


def examples(a: Opened, b: Opened, given: Array | None) -> Array:
    """What both sides are run on: ``given``, the input of captured outputs, or samples.

    Raises:
        InputError: when captured outputs come without their input, or the examples hold values
            that are not finite.
    """
    captured = (one.values for one in (*a.captured, *b.captured) if one.is_input)
    x = next(captured, None) if given is None else given
    if x is None and bool(a.captured) != bool(b.captured):
        name = a.name if a.captured else b.name
        raise InputError(f"{name} does not hold the input; add an array 'input' or give --inputs")
    if x is None:
        model = a.model or b.model
        x = _samples(model.input_shape if model is not None else (28, 28, 1))
    if not np.isfinite(x).all():
        raise InputError("the examples hold values that are not finite; expected finite numbers")
    return x


def _samples(shape: Shape) -> Array:
    """(n, *shape), 0..1: the sample pictures of tinymnist; random numbers for other shapes."""
    if math.prod(shape) == 28 * 28:
        from tinymnist.imaging.digit.recipes import prepare_image

        files = sorted(file for file in SAMPLES.iterdir() if file.suffix in (".png", ".jpg"))
        pictures = np.stack([prepare_image(file) for file in files]).astype(np.float32)
        return pictures.reshape(len(pictures), *shape)
    return np.random.default_rng(0).random((8, *shape), np.float32)


def with_gradients(comparison: Comparison, a: Opened, b: Opened, x: Array) -> Comparison:
    """The comparison with a row for the gradient at each matched layer, from the last to the first.

    Raises:
        InputError: when a side cannot be differentiated.
    """
    of_a = a.gradients(x)
    arranged, _ = in_layout_of([*of_a.values()], [*b.gradients(x).values()])
    of_b = {output.name: output for output in arranged}
    exact: dict[str, Output] = {}
    if a.model is not None and a.native is None:
        exact = replace(a, model=a.model.astype("float64")).gradients(x)
    rows = []
    for name_a, name_b in reversed({row.a: row.b for row in comparison.rows}.items()):
        one, other = of_a.get(name_a), of_b.get(name_b)
        if one is not None and other is not None and one.values.shape == other.values.shape:
            rows.append(measure(one, other, exact.get(name_a), comparison.atol, comparison.rtol))
    return replace(comparison, gradients=tuple(rows))
