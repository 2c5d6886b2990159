"""The commands as functions: what ``tinymnist COMMAND`` does, for programs.

Each opens what it is given by name, as the command line does, and returns what was found. They are
reached as ``tinymnist.convert(...)``. ``train`` and ``finetune`` are in ``learning``, ``evaluate``
in ``labelled``, ``explain`` in ``explanation``.
"""

from __future__ import annotations

from os import PathLike
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import NDArray

from tinymnist.adapter import Prediction
from tinymnist.comparison import ATOL, RTOL
from tinymnist.data import load_set
from tinymnist.errors import InputError
from tinymnist.labelled import Pictures, prepare_set, spread
from tinymnist.nn.arrays import Array
from tinymnist.nn.sequential import Sequential
from tinymnist.reader import DEFAULT_MODEL, Reader

if TYPE_CHECKING:
    from tinymnist.comparison import Comparison
    from tinymnist.diagnosis.results import Diagnosis
    from tinymnist.interop.conversion import Conversion
    from tinymnist.pages import Page

Model = str | PathLike[str] | Sequential
"""The name of a shipped model, a model file of any framework, or a model."""
Examples = str | PathLike[str] | NDArray[Any] | None
"""What two models are run on; see :func:`compare`."""


@overload
def predict(
    source: list[Any] | tuple[Any, ...], model: Model = DEFAULT_MODEL, recipe: str | None = None
) -> list[Prediction]: ...
@overload
def predict(
    source: NDArray[Any], model: Model = DEFAULT_MODEL, recipe: str | None = None
) -> Any: ...
@overload
def predict(source: Any, model: Model = DEFAULT_MODEL, recipe: str | None = None) -> Prediction: ...
def predict(source: Any, model: Model = DEFAULT_MODEL, recipe: str | None = None) -> Any:
    """Read the digit on a picture, or on each of several. A :class:`tinymnist.Reader` reads more.

    Args:
        source: see :meth:`tinymnist.Reader.predict`, also for errors.
        model: see :data:`Model`.
        recipe: ``"mnist"``, ``"resize"`` or ``"none"``; None takes the model's own.
    """
    return Reader(model, recipe).predict(source)


def read(source: Any, model: Model = DEFAULT_MODEL) -> Page:
    """Read all digits on a picture, row by row; arguments and errors as for :func:`predict`."""
    return Reader(model).read(source)


def diagnose(
    pictures: str | PathLike[str],
    model: Model = DEFAULT_MODEL,
    *,
    labels: bool | None = None,
    limit: int | None = None,
    workers: int | None = None,
) -> Diagnosis:
    """Find out why a model fails on pictures, and what each mismatch with MNIST costs.

    Args:
        pictures: a labelled set as for :func:`tinymnist.load_set`, a picture, or any folder or
            archive of pictures.
        model: see :data:`Model`.
        labels: whether to use labels; None uses them if there are any that the model knows.
        limit: how many pictures to draw at random, the same each time; None for all.
        workers: how many processes prepare pictures; None takes one per core.

    Raises:
        InputError: when there are no such pictures, or none can be read.
    """
    from tinymnist.diagnosis.diagnose import diagnose as measure
    from tinymnist.diagnosis.diagnose import open_pictures

    reader = Reader(model, "mnist")
    return measure(open_pictures(str(pictures), reader, labels, limit), reader, workers=workers)


def convert(
    source: str | PathLike[str],
    *,
    architecture: str | PathLike[str] | None = None,
    plan: int | None = None,
    pictures: Pictures | None = None,
    scaling: str | None = None,
) -> Conversion:
    """Turn another framework's model into one of tinymnist; ``save`` of its model writes the file.

    Args:
        source: a model file of any framework.
        architecture: for a file that holds weights alone: a file that describes the layers, or
            the name of a shipped architecture.
        plan: which of several architectures that fit the weights, from 1.
        pictures: labelled digits that choose between architectures and scalings; None takes
            MNIST's test pictures, if they are on this machine, for the scaling.
        scaling: a name of :data:`tinymnist.adapter.SCALINGS`, to take it untried.

    Raises:
        InputError: when the file cannot be used, several architectures fit and nothing decides,
            or the pictures cannot be used.
    """
    from tinymnist.data.sets import DIGITS
    from tinymnist.interop.bare.scaling import Labelled
    from tinymnist.interop.conversion import convert as convert_file

    chosen = None
    if pictures is not None:
        found = prepare_set(pictures)
        if found.source.class_names != DIGITS:
            classes = list(found.source.class_names)[:12]
            raise InputError(f"{found.source.name} shows {classes}; expected digits")
        chosen = Labelled(found.source.name, found.images, found.labels)
    return convert_file(
        source, architecture=architecture, plan=plan, pictures=chosen, scaling=scaling
    )


def compare(
    a: Any,
    b: Any,
    inputs: Examples = None,
    *,
    limit: int = 64,
    run_a: str | None = None,
    run_b: str | None = None,
    atol: float = ATOL,
    rtol: float = RTOL,
    gradients: bool = False,
) -> Comparison:
    """Find the first layer at which two models differ, and why.

    Args:
        a, b: each the name of a shipped model, a model file of any framework, an .npz of captured
            outputs, or a model of tinymnist.
        inputs: what both are run on: a labelled set, an .npz with an array ``input``, or an array
            (n, ...), whole numbers of which are divided by 255; None takes six sample pictures.
        limit: how many examples at most.
        run_a, run_b: ``"keras"``, ``"torch"`` or ``"onnxruntime"`` to run that side in its own
            framework; None for tinymnist.
        atol, rtol: a layer passes if its largest error is at most ``atol + rtol * largest``, where
            ``largest`` is the largest magnitude in its output on side ``b``.
        gradients: whether to compare the gradient at every layer too.

    Raises:
        InputError: when a side or the examples cannot be used, or nothing on one side fits
            anything on the other.
    """
    from tinymnist.comparison import compare as compare_sides
    from tinymnist.comparison.opening import Opened, examples, open_side, with_gradients
    from tinymnist.interop import open_model

    first, second = (
        Opened(side.name, model=side)
        if isinstance(side, Sequential)
        else open_side(str(side), run, open_model)
        for side, run in ((a, run_a), (b, run_b))
    )
    x = examples(first, second, load_examples(inputs, limit)[0])
    found = compare_sides(first.side(x), second.side(x), atol=atol, rtol=rtol)
    return with_gradients(found, first, second, x) if gradients else found


def load_examples(inputs: Examples, limit: int) -> tuple[Array | None, dict[str, str]]:
    """What two models are run on, for :func:`compare`.

    Of a set, pictures are taken evenly from all of it and brought to MNIST's form; arrays are
    taken from their start, as they are.

    Returns:
        (n, ...) floats, None if no inputs are given; and a line on each unreadable picture by
        its name.

    Raises:
        InputError: when there are no examples.
    """
    from tinymnist.comparison.outputs import INPUT_NAMES, read_arrays

    if inputs is None:
        return None, {}
    if isinstance(inputs, np.ndarray):
        array = inputs
    elif str(inputs).endswith(".npz"):
        arrays = read_arrays(inputs)
        name = next((name for name in INPUT_NAMES if name in arrays), None)
        if name is None:
            raise InputError(f"{inputs} holds {sorted(arrays)}; expected an array 'input'")
        array = arrays[name]
    else:
        labelled = load_set(inputs)
        found = prepare_set(labelled, only=spread(len(labelled.labels), limit))
        return found.images, found.failures
    if not len(array):
        raise InputError(f"{inputs} holds no examples")
    array = array[:limit]
    if array.dtype.kind in "iu":
        array = array / np.float32(255)
    if array.ndim == 3:
        array = array[..., None]  # (n, h, w) -> (n, h, w, 1)
    return array.astype(np.float64 if array.dtype == np.float64 else np.float32), {}
