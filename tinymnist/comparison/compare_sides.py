"""Two sides beside each other: matched, measured layer by layer, and explained."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tinymnist.comparison.comparison import Comparison, Findings
from tinymnist.comparison.matching import in_layout_of, match
from tinymnist.comparison.measuring import measure
from tinymnist.comparison.outputs import ATOL, RTOL, Output, Side
from tinymnist.comparison.rerun import Rerun
from tinymnist.comparison.search_cause import find_causes
from tinymnist.errors import InputError
from tinymnist.nn.arrays import Shape


def compare(
    a: Side, b: Side, *, atol: float = ATOL, rtol: float = RTOL, explain: bool = True
) -> Comparison:
    """Compare two sides layer by layer, and find out why they differ.

    Args:
        a, b: see :class:`~tinymnist.comparison.outputs.Side`; both ran on the same examples.
        atol, rtol: a layer passes if its largest error is at most ``atol + rtol * largest``,
            where ``largest`` is the largest magnitude in its output on side ``b``.
        explain: whether to search for causes if the sides differ.

    Raises:
        InputError: when no output of one side matches any of the other.
    """
    _check_counts(a, b)
    outputs_b, notes = in_layout_of(a.outputs, b.outputs)
    pairs = match(a.outputs, outputs_b)
    if not pairs or all(pair.a.kind == "input" for pair in pairs):
        raise InputError(
            f"no layer of {b.name} has the shape of one of {a.name}; expected two forms of one "
            f"model. Last outputs: {_shape_of(a)} and {_shape_of(b)}"
        )
    exact, reference = _exact_outputs(a, b)
    rows = tuple(
        measure(*pair, exact.get(id(pair.a)) or exact.get(id(pair.b)), atol, rtol) for pair in pairs
    )
    differ = any(not row.passes for row in rows)
    return Comparison(
        a=a.name,
        b=b.name,
        n=len(a.outputs[0].values),
        atol=atol,
        rtol=rtol,
        rows=rows,
        unmatched_a=_unmatched(a.outputs, [pair.a for pair in pairs]),
        unmatched_b=_unmatched(outputs_b, [pair.b for pair in pairs]),
        reference=reference,
        notes=(*notes, *_nondeterminism(a, b), *_not_finite(a, b)),
        explanation=_explain(a, b, outputs_b, atol, rtol) if differ and explain else None,
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


def _shape_of(side: Side) -> Shape:
    return side.outputs[-1].values.shape[1:]


def _unmatched(outputs: Sequence[Output], paired: Sequence[Output]) -> tuple[str, ...]:
    known = {id(output) for output in paired}
    return tuple(
        output.name
        for output in outputs
        if id(output) not in known and not output.inner and output.kind != "input"
    )


def _exact_outputs(a: Side, b: Side) -> tuple[dict[int, Output], str]:
    """The float64 run that both sides are measured against.

    Returns:
        The float64 output by the ``id`` of its counterpart, and the side whose model was run.
    """
    for side in (a, b):
        if side.model is None or side.x is None:
            continue
        outputs = Rerun(side.model.astype("float64"), side.x).run()
        return {id(pair.b): pair.a for pair in match(outputs, side.outputs)}, side.name
    return {}, ""


def _nondeterminism(*sides: Side) -> tuple[str, ...]:
    return tuple(
        f"{side.name} gives different numbers each time, first in {side.nondeterministic_layer}"
        for side in sides
        if side.nondeterministic_layer
    )


def _not_finite(*sides: Side) -> tuple[str, ...]:
    """Infinite values and NaN pass when both sides have them, so they are mentioned."""
    found = []
    for side in sides:
        bad = (one.name for one in side.outputs if not np.isfinite(one.values).all())
        if (name := next(bad, None)) is not None:
            found.append(f"{side.name} holds values that are not finite, first in {name}")
    return tuple(dict.fromkeys(found))


def _explain(
    a: Side, b: Side, outputs_b: Sequence[Output], atol: float, rtol: float
) -> Findings | None:
    """Experiments on one model, then on the other; the findings that explain more."""
    tried = []
    for side, target in ((a, outputs_b), (b, a.outputs)):
        if side.model is None or side.x is None:
            continue
        rerun = Rerun(side.model, side.x)
        causes = find_causes(rerun, match(rerun.run(), target), atol, rtol)
        if causes:
            complete = causes[-1].next_layer is None
            tried.append(Findings(side.name, tuple(causes), complete))
        if tried and tried[-1].complete:
            break
    return max(tried, key=lambda found: (found.complete, -len(found.causes)), default=None)
