"""Two sides beside each other: matched, measured layer by layer, and explained."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from tinymnist.comparison.comparison import Comparison, Findings, Place
from tinymnist.comparison.matching import Pair, folded, in_layout_of, match
from tinymnist.comparison.measuring import measure
from tinymnist.comparison.outputs import ATOL, RTOL, Output, Side, as_outputs
from tinymnist.comparison.rerun import Rerun
from tinymnist.comparison.runners import first_change, outputs_of, precision_of
from tinymnist.comparison.search_cause import find_causes
from tinymnist.comparison.verdict import ARCHITECTURES, QUANTIZED, UNKNOWN, WEIGHTS, judge
from tinymnist.errors import InputError
from tinymnist.nn.arrays import Array
from tinymnist.nn.sequential import Sequential


def assert_model_matches(
    model: Any, reference: Any, x: Array, *, atol: float = ATOL, rtol: float = RTOL
) -> Comparison:
    """Check that a model computes what a reference computes, layer by layer.

    For the test suites of other projects::

        assert_model_matches(my_torch_module.eval(), tinymnist.load_model("lenet5"), x)

    With pytest, the fixture of :mod:`tinymnist.pytest_plugin` does the same in one line.

    Args:
        model: a model of tinymnist, Keras, PyTorch or ONNX; or outputs, as a dict of arrays by
            layer in the order of execution, or as one array: the last layer's.
        reference: the same. If one of the two is a model of tinymnist, the failure message names
            the cause if it can be found.
        x: (n, h, w, c) or (n, features).
        atol, rtol: see :func:`compare`.

    Returns:
        The comparison, if they match.

    Raises:
        AssertionError: when they do not; the message names the first layer that differs, and why.
    """
    sides = _side(model, x, "model"), _side(reference, x, "reference")
    comparison = compare(*sides, atol=atol, rtol=rtol)
    if not comparison.agrees:
        raise AssertionError(comparison.failure_message())
    return comparison


def _side(model: Any, x: Array, name: str) -> Side:
    if isinstance(model, (Mapping, np.ndarray)):
        arrays: Mapping[str, Any] = model if isinstance(model, Mapping) else {"output": model}
        return Side(name, as_outputs(arrays, name))
    outputs = tuple(outputs_of(model, x))
    if isinstance(model, Sequential):
        return Side(name, outputs, model, np.asarray(x))
    changes = first_change(model, x, outputs)
    return Side(name, outputs, nondeterministic_layer=changes, precision=precision_of(model))


def compare(a: Side, b: Side, *, atol: float = ATOL, rtol: float = RTOL) -> Comparison:
    """Compare two sides layer by layer, and find out why they differ.

    Args:
        a, b: see :class:`~tinymnist.comparison.outputs.Side`; both ran on the same examples.
        atol, rtol: a layer passes if its largest error is at most ``atol + rtol * largest``,
            where ``largest`` is the largest magnitude in its output on side ``b``.

    Raises:
        InputError: when no output of one side matches any of the other.
    """
    _check_counts(a, b)
    outputs_b, notes = in_layout_of(a.outputs, b.outputs)
    pairs = match(a.outputs, outputs_b)
    if all(pair.a.is_input for pair in pairs):
        shapes = " and ".join(str(side.outputs[-1].values.shape[1:]) for side in (a, b))
        raise InputError(
            f"no layer of {b.name} has the shape of one of {a.name}; expected two forms of one "
            f"model. Last outputs: {shapes}"
        )
    exact, reference = _exact_outputs(a, b)
    rows = tuple(
        measure(*pair, exact.get(id(pair.a)) or exact.get(id(pair.b)), atol, rtol) for pair in pairs
    )
    inside = folded(a.outputs, outputs_b), folded(outputs_b, a.outputs)
    verdict, explanation = UNKNOWN, None
    if any(not row.passes for row in rows):
        verdict = judge(a, b, pairs, rows, reference)
        if verdict.kind not in (ARCHITECTURES, QUANTIZED):
            thorough = verdict.kind != WEIGHTS
            explanation = _explain(a, b, outputs_b, atol, rtol, thorough)
        if verdict.kind == WEIGHTS and explanation is not None and explanation.complete:
            verdict = UNKNOWN
    return Comparison(
        a=a.name,
        b=b.name,
        n=len(a.outputs[0].values),
        atol=atol,
        rtol=rtol,
        rows=rows,
        unmatched_a=_unmatched(a.outputs, [pair.a for pair in pairs], inside[0]),
        unmatched_b=_unmatched(outputs_b, [pair.b for pair in pairs], inside[1]),
        reference="" if reference is None else reference.name,
        notes=(*notes, *_folded_notes(pairs, *inside), *_remarks(a, b)),
        verdict=verdict,
        explanation=explanation,
        structure=tuple(_structure(a.outputs, outputs_b, pairs)),
    )


def _structure(
    a: Sequence[Output], b: Sequence[Output], pairs: Sequence[Pair]
) -> Iterator[tuple[Place | None, Place | None]]:
    """The layers of both sides in order: pairs, and between them what has no counterpart."""
    order_a, order_b = ({id(one): i for i, one in enumerate(side)} for side in (a, b))
    i = j = 0
    for pair in [*pairs, None]:
        end_a = len(a) if pair is None else order_a[id(pair.a)]
        end_b = len(b) if pair is None else order_b[id(pair.b)]
        yield from ((_place(one), None) for one in a[i:end_a] if not one.inner)
        yield from ((None, _place(one)) for one in b[j:end_b] if not one.inner)
        if pair is not None:
            yield _place(pair.a), _place(pair.b)
        i, j = end_a + 1, end_b + 1


def _place(output: Output) -> Place:
    return Place(output.name, output.kind, output.values.shape[1:])


def _folded_notes(
    pairs: Sequence[Pair], inside_a: Mapping[str, Output], inside_b: Mapping[str, Output]
) -> Iterator[str]:
    """Which pair of layers on one side is one layer on the other."""
    for one, other in pairs:
        for name, norm in inside_a.items():
            if norm is one:
                yield f"{name} and {norm.name} of a are one layer of b, {other.name}"
        for name, norm in inside_b.items():
            if norm is other:
                yield f"{name} and {norm.name} of b are one layer of a, {one.name}"


def _check_counts(a: Side, b: Side) -> None:
    for side in (a, b):
        if not side.outputs:
            raise InputError(f"{side.name} holds no outputs; expected one array for each layer")
    n_a, n_b = (len(side.outputs[-1].values) for side in (a, b))
    if n_a != n_b:
        raise InputError(f"{a.name} has outputs for {n_a} examples, but {b.name} for {n_b}")


def _unmatched(
    outputs: Sequence[Output], paired: Sequence[Output], inside: Mapping[str, Output]
) -> tuple[str, ...]:
    """The layers without a counterpart, except those that are part of a folded one."""
    known = {id(output) for output in paired}
    parts = {name for name, norm in inside.items() if id(norm) in known}
    rest = (one for one in outputs if id(one) not in known and one.name not in parts)
    return tuple(one.name for one in rest if not (one.inner or one.is_input))


def _exact_outputs(a: Side, b: Side) -> tuple[dict[int, Output], Side | None]:
    """The outputs of one side's model in float64, by the ``id`` of their counterparts; the side."""
    for side in (a, b):
        if side.model is not None and side.x is not None:
            outputs = Rerun(side.model.astype("float64"), side.x).run()
            return {id(pair.b): pair.a for pair in match(outputs, side.outputs)}, side
    return {}, None


def _remarks(*sides: Side) -> list[str]:
    """What makes a comparison doubtful; values that are not finite pass if both sides have them."""
    found = [
        f"{side.name} gives different numbers each time, first in {side.nondeterministic_layer}"
        for side in sides
        if side.nondeterministic_layer
    ]
    for side in sides:
        bad = (one.name for one in side.outputs if not np.isfinite(one.values).all())
        if (name := next(bad, None)) is not None:
            found.append(f"{side.name} holds values that are not finite, first in {name}")
    return list(dict.fromkeys(found))


def _explain(
    a: Side, b: Side, outputs_b: Sequence[Output], atol: float, rtol: float, thorough: bool
) -> Findings | None:
    """Experiments on one model, then on the other; the findings that explain more."""
    tried = []
    for side, target in ((a, outputs_b), (b, a.outputs)):
        if side.model is None or side.x is None:
            continue
        rerun = Rerun(side.model, side.x)
        outputs = rerun.run()
        pairs = match(outputs, target if side is a else in_layout_of(outputs, target)[0])
        if causes := find_causes(rerun, pairs, atol, rtol, thorough=thorough):
            complete = causes[-1].next_layer is None and not causes[-1].last_only
            tried.append(Findings(side.name, tuple(causes), complete))
            if tried[-1].complete:
                break
    return max(tried, key=lambda found: (found.complete, -len(found.causes)), default=None)
