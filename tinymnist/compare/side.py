"""One side of a comparison: outputs, and the model behind them if tinymnist can read it."""

from __future__ import annotations

from dataclasses import dataclass

from tinymnist.compare.outputs import Output
from tinymnist.nn.arrays import Array
from tinymnist.nn.sequential import Sequential


@dataclass(frozen=True)
class Side:
    """What one side gave.

    Attributes:
        name: what to call it.
        outputs: every layer's, in the order of execution, channels last.
        model: tinymnist's own reading of the model: for the float64 run and for experiments.
        x: what that model takes for the examples that the outputs belong to.
        restless: the first layer that gave something else in a second run; "" if none did.
    """

    name: str
    outputs: tuple[Output, ...]
    model: Sequential | None = None
    x: Array | None = None
    restless: str = ""
