"""From the arguments of the command to the two sides: open files, choose examples, run models."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tinymnist.comparison.captured import is_captured, read_captured
from tinymnist.comparison.layer_outputs import first_change, outputs_of, runner
from tinymnist.comparison.outputs import INPUT_KIND, Output, Side
from tinymnist.comparison.rerun import Rerun
from tinymnist.comparison.runners.torch import build
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

    @property
    def own_input(self) -> Array | None:
        """The input of the captured outputs, if it is in the file."""
        return next((one.values for one in self.captured if one.kind == INPUT_KIND), None)

    def side(self, x: Array) -> Side:
        """Run the model, unless its outputs were captured.

        Raises:
            InputError: when the model does not take such examples.
        """
        own = None if self.model is None else fit_shape(x, self.model.input_shape)
        if self.captured:
            return Side(self.name, self.captured)
        if self.native is not None:
            outputs = tuple(outputs_of(self.native, x))
            changes = first_change(self.native, x, outputs)
            return Side(self.name, outputs, self.model, own, changes)
        if self.model is None or own is None:
            raise InputError(
                f"{self.name} takes {_expected(self.model)}; the examples are {x.shape[1:]} each; "
                "give others with --inputs"
            )
        return Side(self.name, tuple(Rerun(self.model, own).run()), self.model, own)


def open_side(source: str, run: str | None, read: Callable[[str], Sequential]) -> Opened:
    """Open one argument of the comparison.

    Args:
        source: the name of a shipped model, a model file of any kind, or an .npz of outputs.
        run: what runs it, one of :data:`~tinymnist.comparison.outputs.RUNS`; None is tinymnist.
        read: opens a model file.

    Raises:
        InputError: when it cannot be opened, or not be run by ``run``.
    """
    name = Path(source).name
    if is_captured(source):
        if run is not None:
            raise InputError(
                f"{source} holds outputs, which do not have to be run; leave out --run"
            )
        return Opened(name, captured=read_captured(source))
    if run in (None, "tinymnist"):
        return Opened(name, model=read(source))
    native = _native(source, str(run), read)
    try:
        model = read(source)
    except InputError:
        model = None  # only its own framework reads it; it can still be compared
    return Opened(f"{name} in {run}", model=model, native=native)


def _native(source: str, run: str, read: Callable[[str], Sequential]) -> Any:
    """The model as its framework opens it; for PyTorch, built of its layers with the weights."""
    if run == "torch":
        runner("torch")
        return build(read(source))
    module = runner({"onnxruntime": "onnx"}.get(run, run))
    if not Path(source).exists():
        raise InputError(f"there is no file {source} that {run} could run")
    return module.load(source)


def _expected(model: Sequential | None) -> Any:
    return model.input_shape if model is not None else "other examples"


def fit_shape(x: Array, shape: Shape) -> Array | None:
    """Examples in the shape that a model takes; None if they have another number of values."""
    if x.shape[1:] == shape:
        return x
    if len(shape) == 3 and x.ndim == 4 and (x.shape[3], *x.shape[1:3]) == shape:
        return np.ascontiguousarray(x.transpose(0, 3, 1, 2))
    if int(np.prod(x.shape[1:])) == int(np.prod(shape)):
        return x.reshape(len(x), *shape)
    return None


def examples(a: Opened, b: Opened, given: Array | None) -> Array:
    """What both sides are run on: ``given``, the input of captured outputs, or samples.

    Raises:
        InputError: when captured outputs come without their input, or the examples hold values
            that are not finite.
    """
    x = _chosen(a, b, given)
    if not np.isfinite(x).all():
        raise InputError("the examples hold values that are not finite; expected finite numbers")
    return x


def _chosen(a: Opened, b: Opened, given: Array | None) -> Array:
    if given is not None:
        return given
    for one in (a, b):
        if (own := one.own_input) is not None:
            return own
    for one in (a, b):
        if one.captured and not (a.captured and b.captured):
            raise InputError(
                f"{one.name} does not hold the input of its outputs; add it as an array 'input', "
                "or give it with --inputs"
            )
    model = a.model or b.model
    return samples(model.input_shape if model is not None else (28, 28, 1))


def samples(shape: Shape) -> Array:
    """The sample pictures that come with tinymnist; fixed random numbers for other shapes.

    Returns:
        (n, *shape) float32, 0..1.
    """
    if int(np.prod(shape)) == 28 * 28:
        from tinymnist.imaging.digit.recipes import prepare_image

        files = sorted(file for file in SAMPLES.iterdir() if file.suffix in (".png", ".jpg"))
        pictures = np.stack([prepare_image(file) for file in files]).astype(np.float32)
        return pictures.reshape(len(pictures), *shape)
    return np.random.default_rng(0).random((8, *shape), np.float32)
