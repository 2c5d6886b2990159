"""Plant faults, run ``tinymnist compare``, and check whether it names the cause."""

from __future__ import annotations

import functools
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.faults.planting import FAULTS, Fault, pairs_of_faults
from benchmarks.faults.port import Array, port_of
from tinymnist.cli import main
from tinymnist.imaging.digit.recipes import prepare_image
from tinymnist.nn.sequential import Sequential

SAMPLES = Path(__file__).parents[2] / "tinymnist" / "samples"
VIEWS = ("every layer", "the last only")
"""The outputs that the user captured from the faulty port."""


class Case(NamedTuple):
    """One fault in one model, or two, as the user sees them.

    Attributes:
        faults, model, view: what was planted, where, and what was captured.
        named: the causes that ``compare`` named.
        differs: whether it saw a difference at all.
        first: the first layer that differed.
    """

    faults: tuple[Fault, ...]
    model: str
    view: str
    named: tuple[str, ...]
    differs: bool
    first: str

    @property
    def found(self) -> bool:
        """Whether the right cause was named, first of all; or both, in any order."""
        causes = [fault.cause for fault in self.faults]
        return set(causes) == set(self.named) if len(causes) > 1 else self.named[:1] == (*causes,)


def pictures(model: Sequential) -> Array:
    """The six sample pictures, with the size and channels of the model."""
    return _pictures(model.input_shape)


@functools.cache
def _pictures(shape: tuple[int, ...]) -> Array:
    files = sorted(file for file in SAMPLES.iterdir() if file.suffix in (".png", ".jpg"))
    x = np.stack([prepare_image(file) for file in files]).astype(np.float32)
    h, w, c = shape
    x = np.pad(x, ((0, 0), (0, h - 28), (w - 28, 0), (0, 0)))
    tint = np.array([1.0, 0.7, 0.4], np.float32)[:c] if c > 1 else 1
    return np.asarray(x * tint, np.float32)


Planted = tuple[Sequential, tuple[Fault, ...]]
"""A model, and the faults that are planted in it together."""


def one_each(models: Sequence[Sequential], faults: Sequence[Fault] = FAULTS) -> Iterator[Planted]:
    """Every fault in every model that can have it."""
    for model in models:
        for fault in faults:
            if _plant(model, (fault,)) is not None:
                yield model, (fault,)


def two_at_once(models: Sequence[Sequential], count: int, seed: int = 0) -> Iterator[Planted]:
    """Two faults in one model, drawn at random; each of them changes the other's results."""
    rng, drawn = np.random.default_rng(seed), set[tuple[str, ...]]()
    for pair in pairs_of_faults(rng):
        model = models[int(rng.integers(len(models)))]
        key = model.name, *sorted(fault.name for fault in pair)
        if len(drawn) == count:
            return
        if key not in drawn and _both_show(model, pair):
            drawn.add(key)
            yield model, pair


def _plant(model: Sequential, faults: Sequence[Fault]) -> dict[str, Array] | None:
    """Every output of the faulty port; None if the model cannot have the faults."""
    port, fed = port_of(model).copy(), pictures(model)
    for fault in faults:
        damaged = fault.plant(port, fed)
        if damaged is None:
            return None
        port, fed = damaged
    with np.errstate(all="ignore"):
        return port.run(fed)


def _both_show(model: Sequential, pair: tuple[Fault, Fault]) -> bool:
    """Whether each fault changes what the port gives with the other one alone."""
    both, *alone = (_plant(model, faults) for faults in (pair, pair[:1], pair[1:]))
    if both is None or None in alone:
        return False
    shared = [both.keys() & one.keys() for one in alone if one is not None]
    return all(
        any(_differ(both[name], one[name]) for name in names)
        for one, names in zip(alone, shared, strict=True)
        if one is not None
    )


def _differ(a: Array, b: Array) -> bool:
    if a.shape != b.shape:
        return True
    a, b = np.nan_to_num(a), np.nan_to_num(b)
    return bool(np.abs(a - b).max() > 1e-3 * np.abs(b).max())


def cases(planted: Iterable[Planted], folder: Path, views: Sequence[str] = VIEWS) -> Iterator[Case]:
    """Plant faults and ask what is wrong, in every view.

    Args:
        planted: the models and their faults.
        folder: for files.
        views: of the user.
    """
    for model, faults in planted:
        weights, inputs = folder / f"{model.name}.npz", folder / "inputs.npz"
        if not weights.exists():
            model.save(weights)
        np.savez(inputs, input=pictures(model))
        outputs = _plant(model, faults) or {}
        for view in views:
            shown = outputs if view == VIEWS[0] else dict([list(outputs.items())[-1]])
            np.savez(folder / "captured.npz", **shown)  # type: ignore[arg-type]
            record = compared(weights, folder / "captured.npz", inputs)
            explanation = record["explanation"] or {"causes": []}
            named = tuple(cause["cause"] for cause in explanation["causes"])
            first = (record["first_mismatch"] or {"b": ""})["b"]
            yield Case(faults, model.name, view, named, not record["agrees"], first)


def compared(weights: Path, captured: Path, inputs: Path) -> dict:  # type: ignore[type-arg]
    """The report of ``tinymnist compare --json``."""
    printed = io.StringIO()
    with redirect_stdout(printed):
        main(["compare", str(weights), str(captured), "--inputs", str(inputs), "--json"])
    record: dict = json.loads(printed.getvalue())  # type: ignore[type-arg]
    return record
