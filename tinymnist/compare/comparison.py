"""Two sides beside each other: measured layer by layer, and explained where they part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinymnist.compare.causes.search import Cause, find_causes
from tinymnist.compare.defaults import ATOL, RTOL
from tinymnist.compare.layouts import in_the_layout_of
from tinymnist.compare.matching import Pair, match
from tinymnist.compare.measuring import Row, measure
from tinymnist.compare.outputs import Output
from tinymnist.compare.rerun import Trial
from tinymnist.compare.side import Side
from tinymnist.errors import InputError


@dataclass(frozen=True)
class Explanation:
    """What was found by experiments.

    Attributes:
        actor: the side whose model was experimented on.
        causes: in the order in which they act.
        complete: whether the two sides agree with all of these changes.
    """

    actor: str
    causes: tuple[Cause, ...]
    complete: bool


@dataclass(frozen=True)
class Comparison:
    """The result of :func:`compare`.

    Attributes:
        a, b: what the sides are called.
        n: how many examples were run.
        atol, rtol: what was allowed.
        rows: one for each pair of layers, in order.
        alone_a, alone_b: layers without a counterpart.
        reference: whose model was run in float64; "" if none could.
        notes: what else was noticed.
        explanation: why they part, if they do and something was found.
    """

    a: str
    b: str
    n: int
    atol: float
    rtol: float
    rows: tuple[Row, ...]
    alone_a: tuple[str, ...]
    alone_b: tuple[str, ...]
    reference: str = ""
    notes: tuple[str, ...] = ()
    explanation: Explanation | None = None
    gradients: tuple[Row, ...] = field(default=())

    @property
    def first_parting(self) -> Row | None:
        """The first layer that parts; None if all agree. Gradients come last."""
        return next((row for row in (*self.rows, *self.gradients) if not row.passes), None)

    @property
    def agrees(self) -> bool:
        """Whether every layer passes."""
        return self.first_parting is None

    @property
    def smallest_rtol(self) -> float:
        """The smallest ``rtol`` that would pass every layer and gradient, at this ``atol``."""
        return max((row.smallest_rtol for row in (*self.rows, *self.gradients)), default=0.0)


def compare(
    a: Side, b: Side, *, atol: float = ATOL, rtol: float = RTOL, explain: bool = True
) -> Comparison:
    """Compare two sides layer by layer, and find out why they part.

    Args:
        a, b: see :class:`~tinymnist.compare.side.Side`; both ran on the same examples.
        atol, rtol: a layer passes if its largest error is at most ``atol + rtol * largest``,
            where ``largest`` is the largest magnitude in its output on side ``b``.
        explain: whether to try causes out where they part.

    Raises:
        InputError: when nothing on one side fits anything on the other.
    """
    _check_counts(a, b)
    theirs, notes = in_the_layout_of(a.outputs, b.outputs)
    pairs = match(a.outputs, theirs)
    if not pairs or all(pair.a.kind == "input" for pair in pairs):
        raise InputError(
            f"no layer of {b.name} has the shape of one of {a.name}; expected two forms of one "
            f"model. Last outputs: {_shape_of(a)} and {_shape_of(b)}"
        )
    exact, reference = _exact(a, b)
    rows = tuple(measure(*pair, _exact_of(pair, exact), atol, rtol) for pair in pairs)
    parted = any(not row.passes for row in rows)
    return Comparison(
        a=a.name,
        b=b.name,
        n=len(a.outputs[0].values),
        atol=atol,
        rtol=rtol,
        rows=rows,
        alone_a=_alone(a.outputs, [pair.a for pair in pairs]),
        alone_b=_alone(theirs, [pair.b for pair in pairs]),
        reference=reference,
        notes=(*notes, *_restless(a), *_restless(b), *_not_finite(a, b)),
        explanation=_explained(a, b, theirs, atol, rtol) if parted and explain else None,
    )


def _check_counts(a: Side, b: Side) -> None:
    for side in (a, b):
        if not side.outputs:
            raise InputError(f"{side.name} holds no outputs; expected one array for each layer")
    counts = [len(side.outputs[-1].values) for side in (a, b)]
    if counts[0] != counts[1]:
        raise InputError(
            f"{a.name} has outputs for {counts[0]} examples, {b.name} for {counts[1]}; expected "
            "the same examples on both sides"
        )


def _shape_of(side: Side) -> Any:
    return side.outputs[-1].values.shape[1:]


def _alone(outputs: Sequence[Output], paired: Sequence[Output]) -> tuple[str, ...]:
    known = {id(output) for output in paired}
    return tuple(
        output.name
        for output in outputs
        if id(output) not in known and not output.inner and output.kind != "input"
    )


def _exact(a: Side, b: Side) -> tuple[dict[int, Output], str]:
    """The float64 run that both are measured by: each output's counterpart, by identity."""
    for side in (a, b):
        if side.model is None or side.x is None:
            continue
        outputs = Trial(side.model.astype("float64"), side.x).run()
        return {id(p.b): p.a for p in match(outputs, side.outputs)}, side.name
    return {}, ""


def _exact_of(pair: Pair, exact: dict[int, Output]) -> Output | None:
    return exact.get(id(pair.a)) or exact.get(id(pair.b))


def _restless(side: Side) -> tuple[str, ...]:
    if not side.restless:
        return ()
    return (f"{side.name} gives other numbers each time, first in {side.restless}",)


def _not_finite(*sides: Side) -> tuple[str, ...]:
    """Agreement in what is not a number is worth a word."""
    found = {}
    for side in sides:
        bad = (one.name for one in side.outputs if not np.isfinite(one.values).all())
        if (name := next(bad, None)) is not None:
            found[f"{side.name} holds values that are not finite, first in {name}"] = True
    return tuple(found)


def _explained(
    a: Side, b: Side, theirs: Sequence[Output], atol: float, rtol: float
) -> Explanation | None:
    """Experiments on one model, then on the other; the explanation that reaches further."""
    tried = []
    for actor, target in ((a, theirs), (b, a.outputs)):
        if actor.model is None or actor.x is None:
            continue
        trial = Trial(actor.model, actor.x)
        pairs = match(trial.run(), target)
        causes = find_causes(trial, pairs, atol, rtol)
        if causes:
            complete = causes[-1].next_layer is None
            tried.append(Explanation(actor.name, tuple(causes), complete))
        if tried and tried[-1].complete:
            break
    return max(tried, key=lambda e: (e.complete, -len(e.causes)), default=None)
