"""Plant faults, run ``tinymnist compare``, and check whether it names the cause."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.faults.planting import FAULTS, Fault
from benchmarks.faults.port import Array, port_of
from tinymnist.cli import main
from tinymnist.imaging.digit.recipes import prepare_image
from tinymnist.nn.sequential import Sequential

SAMPLES = Path(__file__).parents[2] / "tinymnist" / "samples"
VIEWS = ("every layer", "the last only")
"""The outputs that the user captured from the faulty port."""


class Case(NamedTuple):
    """One fault in one model, as the user sees it.

    Attributes:
        fault, model, view: what was planted, where, and what was captured.
        named: the first cause that ``compare`` named; "" for none.
        differs: whether it saw a difference at all.
        first: the first layer that differed.
    """

    fault: Fault
    model: str
    view: str
    named: str
    differs: bool
    first: str

    @property
    def found(self) -> bool:
        """Whether the right cause was named."""
        return self.named == self.fault.cause


def pictures(model: Sequential) -> Array:
    """The six sample pictures, with the size and channels of the model."""
    files = sorted(file for file in SAMPLES.iterdir() if file.suffix in (".png", ".jpg"))
    x = np.stack([prepare_image(file) for file in files]).astype(np.float32)
    _, h, w, c = (0, *model.input_shape)
    x = np.pad(x, ((0, 0), (0, h - 28), (w - 28, 0), (0, 0)))
    tint = np.array([1.0, 0.7, 0.4], np.float32)[:c] if c > 1 else 1
    return np.asarray(x * tint, np.float32)


def cases(
    models: Sequence[Sequential],
    folder: Path,
    faults: Sequence[Fault] = FAULTS,
    views: Sequence[str] = VIEWS,
) -> Iterator[Case]:
    """Plant every fault in every model that can have it, in every view.

    Args:
        models: to plant faults in.
        folder: for files.
        faults: to plant.
        views: of the user.
    """
    for model in models:
        weights, inputs = folder / f"{model.name}.npz", folder / "inputs.npz"
        model.save(weights)
        x = pictures(model)
        np.savez(inputs, input=x)
        for fault in faults:
            damaged = fault.plant(port_of(model).copy(), x)
            if damaged is None:
                continue
            port, fed = damaged
            with np.errstate(all="ignore"):
                outputs = port.run(fed)
            for view in views:
                shown = outputs if view == VIEWS[0] else dict([list(outputs.items())[-1]])
                np.savez(folder / "captured.npz", **shown)  # type: ignore[arg-type]
                record = compared(weights, folder / "captured.npz", inputs)
                explanation = record["explanation"]
                named = explanation["causes"][0]["cause"] if explanation else ""
                first = (record["first_mismatch"] or {"b": ""})["b"]
                yield Case(fault, model.name, view, named, not record["agrees"], first)


def compared(weights: Path, captured: Path, inputs: Path) -> dict:  # type: ignore[type-arg]
    """The report of ``tinymnist compare --json``."""
    printed = io.StringIO()
    with redirect_stdout(printed):
        main(["compare", str(weights), str(captured), "--inputs", str(inputs), "--json"])
    record: dict = json.loads(printed.getvalue())  # type: ignore[type-arg]
    return record
