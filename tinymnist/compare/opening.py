"""From what a command was given to the two sides: files opened, examples chosen, models run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tinymnist.compare.captured import is_captured, read_captured
from tinymnist.compare.layer_outputs import first_change, outputs_of, runner
from tinymnist.compare.outputs import INPUT_KIND, Output
from tinymnist.compare.rerun import Trial
from tinymnist.compare.side import Side
from tinymnist.errors import InputError
from tinymnist.nn.arrays import Array, Shape
from tinymnist.nn.sequential import Sequential

SAMPLES = Path(__file__).parents[1] / "samples"


@dataclass(frozen=True)
class Opened:
    """What stands behind one argument.

    Attributes:
        name: what to call it.
        captured: outputs, if it is a file of those.
        model: tinymnist's reading, if it is a model that tinymnist reads.
        native: the model in its own framework, if it shall run there.
    """

    name: str
    captured: tuple[Output, ...] = ()
    model: Sequential | None = None
    native: Any = None

    @property
    def own_input(self) -> Array | None:
        """The examples that captured outputs belong to, if they are in the file."""
        return next((one.values for one in self.captured if one.kind == INPUT_KIND), None)

    def side(self, x: Array) -> Side:
        """Run it, unless it is captured already.

        Raises:
            InputError: when the model does not take such examples.
        """
        own = None if self.model is None else fitted(x, self.model.input_shape)
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
        return Side(self.name, tuple(Trial(self.model, own).run()), self.model, own)


def open_side(source: str, run: str | None, read: Callable[[str], Sequential]) -> Opened:
    """Open one argument of the comparison.

    Args:
        source: the name of a shipped model, a model file of any kind, or an .npz of outputs.
        run: who runs it, of :data:`~tinymnist.compare.defaults.RUNS`; None is tinymnist.
        read: opens a model file.

    Raises:
        InputError: when it cannot be opened, or not be run so.
    """
    name = Path(source).name
    if is_captured(source):
        if run is not None:
            raise InputError(f"{source} holds outputs, which nobody has to run; leave out --run")
        return Opened(name, captured=read_captured(source))
    if run in (None, "tinymnist"):
        return Opened(name, model=read(source))
    native = _native(source, str(run), read)
    try:
        model = read(source)
    except InputError:
        model = None  # what only its own framework reads can be compared all the same
    return Opened(f"{name} in {run}", model=model, native=native)


def _native(source: str, run: str, read: Callable[[str], Sequential]) -> Any:
    """The model as its framework opens it."""
    if run == "torch":
        return _in_torch(source, read)
    framework = {"onnxruntime": "onnx"}.get(run, run)
    module = runner(framework)
    if not Path(source).exists():
        raise InputError(f"there is no file {source}, which {run} could run")
    return module.load(source)


def _in_torch(source: str, read: Callable[[str], Sequential]) -> Any:
    """The network built of torch's own layers, with the weights that are in the file."""
    runner("torch")
    from tinymnist.compare.runners.torch_build import build

    return build(read(source))


def _expected(model: Sequential | None) -> Any:
    return model.input_shape if model is not None else "other examples"


def fitted(x: Array, shape: Shape) -> Array | None:
    """Examples in the shape that a model takes; None where they hold other numbers of numbers."""
    if x.shape[1:] == shape:
        return x
    if len(shape) == 3 and x.ndim == 4 and (x.shape[3], *x.shape[1:3]) == shape:
        return np.ascontiguousarray(x.transpose(0, 3, 1, 2))
    if int(np.prod(x.shape[1:])) == int(np.prod(shape)):
        return x.reshape(len(x), *shape)
    return None


def examples(a: Opened, b: Opened, given: Array | None) -> Array:
    """What both sides are run on: what was given, what captured outputs belong to, or samples.

    Raises:
        InputError: when captured outputs do not say what they belong to, or the examples hold
            values that are not finite, with which nothing can be told apart.
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
                f"{one.name} does not say what its outputs belong to; add the examples to it as "
                "'input', or give them with --inputs"
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
