"""Search for the causes of differences: keep the experiment that explains most, then go on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from tinymnist.comparison.causes import DROPOUT, Experiment, Experiments, Mismatch, inputs, layers
from tinymnist.comparison.causes.dropout import dropout_spread, masks
from tinymnist.comparison.matching import Pair
from tinymnist.comparison.measuring import difference, largest
from tinymnist.comparison.rerun import Rerun

EXPERIMENTS: tuple[Callable[[Mismatch], Experiments], ...] = (
    masks,
    layers.heads,
    layers.epsilons,
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
_MAX_CAUSES = 3
_MIN_EXPLAINED_ALONE = 0.9
"""A change that does not move the first mismatch must explain this share of its error."""
_MIN_EXPLAINED = 0.5
"""Any change must explain this share of the error at the first mismatch."""
_TOLERANCE_FACTOR = 10.0
"""By how much an experiment may exceed the tolerance: a change multiplies rounding errors."""


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
    """

    cause: str
    change: str
    layer: str
    explained: float
    next_layer: str | None
    is_observed: bool = False

    @property
    def outcome(self) -> str:
        """What the change explains, in words."""
        if self.is_observed:
            return "which explains the difference"
        share = f"{100 * self.explained:.4g} % of the error in {self.layer} is gone"
        if self.next_layer is None:
            return f"{share}, and everything agrees to the end"
        if self.next_layer == self.layer:
            return f"{share}; the rest is not explained"
        return f"{share}; the next difference is in {self.next_layer}"


class _Result(NamedTuple):
    """An experiment's new pairs, the index of the first that differs, and what it explains."""

    experiment: Experiment
    pairs: list[Pair]
    first: int
    explained: float


def find_causes(rerun: Rerun, pairs: Sequence[Pair], atol: float, rtol: float) -> list[Cause]:
    """Find the changes of a model or its input that give the outputs of the other side.

    Args:
        rerun: the model as it was run.
        pairs: its outputs beside those of the other side.
        atol, rtol: as for the comparison.

    Returns:
        Causes in the order of the layers where they act; empty if nothing explains the difference.
    """
    found: list[Cause] = []
    first = _first_mismatch(pairs, atol, rtol)
    while first < len(pairs) and len(found) < _MAX_CAUSES:
        mismatch = _mismatch(rerun, pairs, first)
        best = _best(_results(mismatch, atol, rtol), len(pairs))
        name = pairs[first].a.name
        if best is None or (best.first <= first and best.explained < _MIN_EXPLAINED_ALONE):
            if (words := dropout_spread(mismatch)) is not None:
                found.append(Cause(DROPOUT, words, name, 1.0, None, is_observed=True))
            return found
        following = best.pairs[best.first].a.name if best.first < len(pairs) else None
        cause, change, rerun = best.experiment
        found.append(Cause(cause, change, name, best.explained, following))
        if best.first <= first:
            return found
        pairs, first = best.pairs, best.first
    return found


def _first_mismatch(pairs: Sequence[Pair], atol: float, rtol: float) -> int:
    """The index of the first pair that differs; the number of pairs if none does."""
    for index, (a, b) in enumerate(pairs):
        worst = float(difference(a.values, b.values).max(initial=0.0))
        if worst > atol + rtol * largest(b.values) and not a.is_input:
            return index
    return len(pairs)


def _mismatch(rerun: Rerun, pairs: Sequence[Pair], first: int) -> Mismatch:
    """The suspects are the layers after the last pair that agrees."""
    order = {layer.name: number for number, layer in enumerate(rerun.model.layers)}
    known = [order[pair.a.layer] for pair in pairs[:first] if pair.a.layer in order]
    inner = first > 0 and pairs[first - 1].a.inner
    start = max(known) + (not inner) if known else 0
    end = order.get(pairs[first].a.layer, len(order) - 1)
    return Mismatch(rerun, pairs, first, rerun.model.layers[start : end + 1], not known)


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


def _results(mismatch: Mismatch, atol: float, rtol: float) -> Iterator[_Result]:
    """Run every experiment."""
    atol, rtol = atol * _TOLERANCE_FACTOR, rtol * _TOLERANCE_FACTOR
    before = _mean_error(mismatch.pairs[mismatch.first])
    for experiment in (one for experiments in EXPERIMENTS for one in experiments(mismatch)):
        with np.errstate(all="ignore"):
            try:
                outputs = {output.name: output for output in experiment.rerun.run()}
            except ValueError:
                continue  # the change does not fit this model
            pairs = []
            for a, b in mismatch.pairs:
                new = outputs.get(a.name, a)
                pairs.append(Pair(new if new.values.shape == b.values.shape else a, b))
            after = _mean_error(pairs[mismatch.first])
            explained = max(0.0, 1 - after / before) if before else 0.0
            first = _first_mismatch(pairs, atol, rtol)
        yield _Result(experiment, pairs, first, explained)


def _mean_error(pair: Pair) -> float:
    """The mean difference; an infinite one counts as 1e30."""
    gap = difference(pair.a.values, pair.b.values)
    return float(np.minimum(gap, 1e30).mean()) if gap.size else 0.0
