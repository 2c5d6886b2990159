"""Search for the causes of differences: keep the experiment that explains most, then go on.

If none explains the difference by itself, two at once are tried, and if that fails too, only the
last output is looked at: layers in between may have been matched wrongly.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from tinymnist.comparison.causes import (
    DROPOUT,
    RESULTS,
    Experiment,
    Experiments,
    Mismatch,
    inputs,
    layers,
    results,
)
from tinymnist.comparison.causes.dropout import dropout_spread, masks
from tinymnist.comparison.matching import Pair, arranged_alike
from tinymnist.comparison.measuring import difference, largest, mean_error
from tinymnist.comparison.rerun import Rerun
from tinymnist.nn.arrays import Array
from tinymnist.reporting.text import show_progress

EXPERIMENTS: tuple[Callable[[Mismatch], Experiments], ...] = (
    masks,
    results.heads,
    results.class_orders,
    results.output_scalings,
    layers.epsilons,
    layers.exchanged_arrays,
    layers.biases,
    layers.batch_statistics,
    layers.flatten_orders,
    layers.padding_sides,
    layers.kernel_layouts,
    inputs.scalings,
    inputs.orientations,
    layers.poolings,
    layers.activations,
)
"""All of them. Of two that explain the same share, the earlier one is reported."""
FITTED = (results.heads, results.class_orders, results.output_scalings, inputs.fitted_line)
"""Those that cost little: they act on the results, or are computed from the two outputs."""
_MAX_CAUSES = 3
_MIN_EXPLAINED_ALONE = 0.9
"""A change that does not move the first mismatch must explain this share of its error."""
_MIN_EXPLAINED = 0.5
"""Any change must explain this share of the error at the first mismatch."""
_TOLERANCE_FACTOR = 10.0
"""By how much an experiment may exceed the tolerance: a change multiplies rounding errors."""
_MAX_LAYER_RUNS, _MAX_EXAMPLE_RUNS = 6000, 120_000
"""How many layers all pairs of experiments may run, or if that is more, layers times examples."""
_BEST = 4
"""This many experiments, those that come nearest, are paired with every other one."""
_MIN_ERROR_OF_TWO = 0.01
"""Two faults at once are looked for if outputs differ by this share of their mean size."""
_RANKS = (4, 8, 24)
"""Of every cause, this many experiments are paired: the best first, then more."""


@dataclass(frozen=True)
class Cause:
    """A cause that an experiment confirmed.

    Attributes:
        cause: one of :data:`~tinymnist.comparison.causes.CAUSES`.
        change: what was changed, worded to follow "with".
        layer: where the two sides first differed before the change.
        explained: the share of the mean error in that layer that the change removed, 0..1.
        next_layer: where they first differ after it; None if they agree to the end.
        is_observed: whether ``change`` is a sentence about an observation, without an experiment.
        joint: whether it takes the next cause as well: neither is enough alone.
        last_only: whether only the last output was looked at, since no cause explained the layers.
    """

    cause: str
    change: str
    layer: str
    explained: float
    next_layer: str | None
    is_observed: bool = False
    joint: bool = False
    last_only: bool = False

    @property
    def outcome(self) -> str:
        """What the change explains, in words."""
        if self.is_observed:
            return "which explains the difference"
        if self.joint:
            return "which is not enough alone"
        share = f"{100 * self.explained:.4g} % of the error in {self.layer} is gone"
        if self.last_only:
            return f"{share}; the layers before it could not be explained"
        if self.next_layer is None:
            return f"{share}, and everything agrees to the end"
        if self.next_layer == self.layer:
            return f"{share}; the rest is not explained"
        return f"{share}; the next difference is in {self.next_layer}"


class _Result(NamedTuple):
    """An experiment's new pairs, the index of the first that differs, and what it explains.

    ``nearest`` is what became of the first mismatch; None if the experiment did not reach it.
    """

    experiment: Experiment
    pairs: list[Pair]
    first: int
    explained: float
    nearest: Pair | None


def find_causes(
    rerun: Rerun, pairs: Sequence[Pair], atol: float, rtol: float, *, thorough: bool = True
) -> list[Cause]:
    """Find the changes of a model or its input that give the outputs of the other side.

    Args:
        rerun: the model as it was run.
        pairs: its outputs beside those of the other side.
        atol, rtol: as for the comparison.
        thorough: whether to try two changes at once if no single one is enough.

    Returns:
        Causes in the order of the layers where they act; empty if nothing explains the difference.
    """
    with np.errstate(all="ignore"):  # an experiment may overflow
        found = _find(rerun, pairs, atol, rtol, thorough)
        if not found and len(pairs) > 1 and not _agree(pairs[-1], atol, rtol):
            last = _find(rerun, pairs[-1:], atol, rtol, thorough=False)
            if last and last[-1].next_layer is None:
                return [replace(cause, last_only=True) for cause in last]
    return found


def _find(
    rerun: Rerun, pairs: Sequence[Pair], atol: float, rtol: float, thorough: bool
) -> list[Cause]:
    found: list[Cause] = []
    first = _first_mismatch(pairs, atol, rtol)
    while first < len(pairs) and len(found) < _MAX_CAUSES:
        mismatch = _mismatch(rerun, pairs, first)
        tried = _results(mismatch, atol, rtol)
        steps = [best] if (best := _best(tried, len(pairs))) else []
        name = pairs[first].a.name
        if best is None or best.first <= first:  # not enough alone
            size = float(np.abs(pairs[first].b.values).mean())
            if thorough and not mismatch.error <= _MIN_ERROR_OF_TWO * size:
                steps = _two_at_once(mismatch, atol, rtol) or steps
        if not steps or (steps[-1].first <= first and steps[-1].explained < _MIN_EXPLAINED_ALONE):
            if thorough and (words := dropout_spread(mismatch)) is not None:
                found.append(Cause(DROPOUT, words, name, 1.0, None, is_observed=True))
            return found
        for step in steps:
            following = step.pairs[step.first].a.name if step.first < len(pairs) else None
            cause, change, rerun = step.experiment
            joint = step is not steps[-1]
            found.append(Cause(cause, change, name, step.explained, following, joint=joint))
        if steps[-1].first <= first:
            return found
        pairs = arranged_alike(steps[-1].pairs)
        first = _first_mismatch(pairs, atol * _TOLERANCE_FACTOR, rtol * _TOLERANCE_FACTOR)
    return found


def _two_at_once(mismatch: Mismatch, atol: float, rtol: float) -> list[_Result]:
    """Two experiments after which the first mismatch is gone; empty if no pair does that."""
    best: list[_Result] = []
    seen: set[frozenset[str]] = set()
    base, runs = None, 0
    most = max(_MAX_LAYER_RUNS, _MAX_EXAMPLE_RUNS // max(len(mismatch.rerun.x), 1))
    for first, changed, experiment in _pairs_to_try(mismatch, atol, rtol):
        if first is not base:
            base, runs = first, runs + mismatch.depth
        both = {base.experiment.cause, experiment.cause}
        changes = frozenset((base.experiment.change, experiment.change))
        if len(both) == 1 or changes in seen or (best and both != _causes(best)):
            continue  # of the two causes that were found, only what reaches further
        seen.add(changes)
        runs += 2 if experiment.cause in RESULTS else mismatch.depth
        show_progress(f"trying two causes at once: {len(seen)} pairs")
        result = _run(changed, experiment, atol, rtol)
        if result and result.first > max(mismatch.first, best[-1].first if best else 0):
            best = [base, result]
            if result.first == len(mismatch.pairs):
                break
        if runs > most:
            break
    show_progress("")
    return best


def _pairs_to_try(
    mismatch: Mismatch, atol: float, rtol: float
) -> Iterator[tuple[_Result, Mismatch, Experiment]]:
    """An experiment's result, the mismatch after it, and a second experiment on that.

    First all are combined with those that are fitted or act on the model's results, which costs
    little; then the nearest few with all; then those that come nearest among their cause.
    """
    ranked = _ranked(_results(mismatch, atol, rtol))
    for base, _ in ranked:
        changed = _after(mismatch, base)
        yield from ((base, changed, one) for fit in FITTED for one in fit(changed))
    for base, _ in ranked[:_BEST]:
        changed = _after(mismatch, base)
        yield from ((base, changed, one) for one in _experiments(changed))
    for limit in _RANKS:
        unlikely = {one.experiment.change for one, rank in ranked if rank >= limit}
        for base, rank in ranked:
            if rank < limit:
                changed = _after(mismatch, base)
                likely = (one for one in _experiments(changed) if one.change not in unlikely)
                yield from ((base, changed, one) for one in likely)


def _after(mismatch: Mismatch, result: _Result) -> Mismatch:
    """The mismatch that an experiment leaves."""
    return replace(mismatch, rerun=result.experiment.rerun.remembered(), pairs=result.pairs)


def _causes(results: Sequence[_Result]) -> set[str]:
    return {result.experiment.cause for result in results}


def _ranked(results: Iterable[_Result]) -> list[tuple[_Result, int]]:
    """Results, those that come nearest by any measure first, with their rank in their cause."""
    if not (found := list(results)):
        return []
    distances = [_distances(one.nearest) for one in found]
    places = np.argsort(np.argsort(distances, axis=0, kind="stable"), axis=0)
    ranked, counts = [], Counter[str]()
    for place in np.argsort(places.min(axis=1), kind="stable"):
        cause = found[place].experiment.cause
        ranked.append((found[place], counts[cause]))
        counts[cause] += 1
    return ranked


def _first_mismatch(pairs: Sequence[Pair], atol: float, rtol: float) -> int:
    """The index of the first pair that differs; the number of pairs if none does."""
    return next((i for i, pair in enumerate(pairs) if not _agree(pair, atol, rtol)), len(pairs))


def _agree(pair: Pair, atol: float, rtol: float) -> bool:
    """Whether two outputs are equal within the tolerance; what both were run on always is."""
    worst = float(difference(pair.a.values, pair.b.values).max(initial=0.0))
    return pair.a.is_input or worst <= atol + rtol * largest(pair.b.values)


def _mismatch(rerun: Rerun, pairs: Sequence[Pair], first: int) -> Mismatch:
    """The suspects are the layers after the last pair that agrees."""
    order = {layer.name: number for number, layer in enumerate(rerun.model.layers)}
    known = [order[pair.a.layer] for pair in pairs[:first] if pair.a.layer in order]
    inner = first > 0 and pairs[first - 1].a.inner
    start = max(known) + (not inner) if known else 0
    end = order.get(pairs[first].a.layer, len(order) - 1)
    suspects = rerun.model.layers[start : end + 1]
    return Mismatch(rerun.remembered(), pairs, first, suspects, not known)


def _best(results: Iterator[_Result], complete: int) -> _Result | None:
    """The first that explains everything, or else the one after which most pairs agree."""
    best, reached = None, (-1, -1.0)
    for result in results:
        if result.explained < _MIN_EXPLAINED:
            continue  # any improvement further on is chance
        if result.first == complete:
            return result
        reaches = (result.first, round(result.explained, 3))
        if reaches > reached:
            best, reached = result, reaches
    return best


def _experiments(mismatch: Mismatch) -> Experiments:
    return (one for experiments in EXPERIMENTS for one in experiments(mismatch))


def _results(mismatch: Mismatch, atol: float, rtol: float) -> Iterator[_Result]:
    """Run every experiment."""
    found = (_run(mismatch, experiment, atol, rtol) for experiment in _experiments(mismatch))
    return (result for result in found if result is not None)


def _run(mismatch: Mismatch, experiment: Experiment, atol: float, rtol: float) -> _Result | None:
    """Run an experiment; None if the change does not fit this model.

    A run is left at the first mismatch if it does not end there.
    """
    atol, rtol = atol * _TOLERANCE_FACTOR, rtol * _TOLERANCE_FACTOR
    pairs = list(mismatch.pairs)
    places = {pair.a.name: number for number, pair in enumerate(pairs)}
    first, explained = mismatch.first, 0.0
    nearest: Pair | None = None
    try:
        for output in experiment.rerun.steps():
            place = places.get(output.name, len(pairs))
            if place == len(pairs) or output.values is pairs[place].a.values:
                continue
            if output.values.shape == pairs[place].b.values.shape:
                pairs[place] = Pair(output, pairs[place].b)
            if place == first:
                nearest, after = pairs[place], mean_error(*pairs[place])
                explained = max(0.0, 1 - after / mismatch.error) if mismatch.error else 0.0
            if place <= first and not _agree(pairs[place], atol, rtol):
                return _Result(experiment, pairs, place, explained, nearest)
    except ValueError:
        return None
    return _Result(experiment, pairs, _first_mismatch(pairs, atol, rtol), explained, nearest)


def _distances(pair: Pair | None) -> tuple[float, ...]:
    """How far two outputs are: in the mean, in size, and in direction alone.

    For the last two, probabilities are compared by their logarithms. Without outputs, infinitely.

    A second fault hides how near the first experiment comes, but seldom from both measures.
    """
    if pair is None:
        return np.inf, np.inf, np.inf
    a, b = (_spread(one.values.astype(np.float64)) for one in pair)
    lengths = float(np.linalg.norm(a) * np.linalg.norm(b))
    found = float(np.abs(a - b).mean()), -float((a * b).sum()) / lengths if lengths else 0.0
    return mean_error(*pair), *(one if np.isfinite(one) else np.inf for one in found)


def _spread(values: Array) -> Array:
    if values.ndim == 2 and (values >= 0).all() and np.allclose(values.sum(axis=1), 1, atol=1e-3):
        values = np.log(np.maximum(values, 1e-30))
    spread: Array = values - values.mean(axis=-1, keepdims=True)
    return spread
