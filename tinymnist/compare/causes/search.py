"""Try the likely causes out, keep the one that explains most, and go on with what is left."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tinymnist.compare.causes import (
    dropping,
    flattening,
    heads,
    inputs,
    kernels,
    normalizing,
    operations,
    padding,
)
from tinymnist.compare.causes.base import DROPOUT, Experiments, Scene, Variant
from tinymnist.compare.matching import Pair
from tinymnist.compare.measuring import difference, largest
from tinymnist.compare.outputs import Output
from tinymnist.compare.rerun import Trial
from tinymnist.nn.layers import Layer

EXPERIMENTS: tuple[Callable[[Scene], Experiments], ...] = (
    dropping.masks,
    heads.heads,
    normalizing.epsilons,
    normalizing.statistics,
    flattening.orders,
    padding.sides,
    kernels.kernels,
    inputs.scalings,
    inputs.standardizing,
    inputs.orientations,
    operations.poolings,
    operations.activations,
)
"""All of them. Of two that explain equally much, the earlier is named."""
_MOST_CAUSES = 3
_ENOUGH = 0.9
"""The share of an error whose explanation is worth telling."""
_SOME = 0.5
"""The share that a change must explain where they part, whatever happens further on."""
_SLACK = 10.0
"""By how much an experiment may miss the tolerance: it multiplies rounding, too."""


@dataclass(frozen=True)
class Cause:
    """A cause that was tried out and explains something.

    Attributes:
        cause: one of :data:`~tinymnist.compare.causes.base.CAUSES`.
        change: what was changed, to be read behind "with".
        layer: where the two sides parted before.
        explained: the share of the mean error in that layer that is gone with the change.
        next_layer: where they part now; None if they agree to the end.
    """

    cause: str
    change: str
    layer: str
    explained: float
    next_layer: str | None


@dataclass(frozen=True)
class _Verdict:
    """How an experiment went: the pairs anew, the first that parts, what it explains."""

    variant: Variant
    pairs: list[Pair]
    parting: int
    explained: float


def find_causes(trial: Trial, pairs: Sequence[Pair], atol: float, rtol: float) -> list[Cause]:
    """What, changed in a model, makes its outputs those of the other side.

    Args:
        trial: the model as it was run.
        pairs: its outputs beside those of the other side.
        atol, rtol: as for the comparison.

    Returns:
        Causes in the order in which they act; empty if nothing that was tried explains anything.
    """
    found: list[Cause] = []
    judge = _Judge(atol * _SLACK, rtol * _SLACK)
    current = list(pairs)
    parting = _Judge(atol, rtol).first_parting(current)
    while parting < len(current) and len(found) < _MOST_CAUSES:
        scene = Scene(trial, current, parting, *_suspects(trial, current, parting))
        best = _best(_verdicts(scene, judge), len(current))
        name = current[parting].a.name
        if best is None or (best.parting <= parting and best.explained < _ENOUGH):
            if (words := dropping.spread(scene)) is not None:
                found.append(Cause(DROPOUT, words, name, 1.0, None))
            return found
        following = best.pairs[best.parting].a.name if best.parting < len(current) else None
        cause, change = best.variant.cause, best.variant.change
        found.append(Cause(cause, change, name, best.explained, following))
        if best.parting <= parting:
            return found
        trial, current, parting = best.variant.trial, best.pairs, best.parting
    return found


@dataclass(frozen=True)
class _Judge:
    """The tolerance that decides whether pairs agree."""

    atol: float
    rtol: float

    def first_parting(self, pairs: Sequence[Pair]) -> int:
        """The number of the first pair that parts; their count if none does."""
        for number, (a, b) in enumerate(pairs):
            worst = float(difference(a.values, b.values).max(initial=0.0))
            if worst > self.atol + self.rtol * largest(b.values) and a.kind != "input":
                return number
        return len(pairs)


def _best(verdicts: Iterator[_Verdict], complete: int) -> _Verdict | None:
    """The first that explains everything, or else the one that reaches furthest."""
    best, reached = None, (-1, -1.0)
    for verdict in verdicts:
        if verdict.explained < _SOME:
            continue  # what it changed for the better is chance
        if verdict.parting == complete:
            return verdict
        reaches = (verdict.parting, round(verdict.explained, 3))
        if reaches > reached:
            best, reached = verdict, reaches
    return best


def _verdicts(scene: Scene, judge: _Judge) -> Iterator[_Verdict]:
    """Every experiment, run."""
    before = _mean_error(scene.pairs[scene.parting])
    for experiment in EXPERIMENTS:
        for variant in experiment(scene):
            try:
                with np.errstate(all="ignore"):
                    outputs = {output.name: output for output in variant.trial.run()}
            except ValueError:
                continue  # the change does not fit this model
            pairs = [_renewed(pair, outputs) for pair in scene.pairs]
            with np.errstate(all="ignore"):
                after = _mean_error(pairs[scene.parting])
                explained = max(0.0, 1 - after / before) if before else 0.0
                yield _Verdict(variant, pairs, judge.first_parting(pairs), explained)


def _renewed(pair: Pair, outputs: dict[str, Output]) -> Pair:
    new = outputs.get(pair.a.name)
    return pair if new is None or new.values.shape != pair.b.values.shape else Pair(new, pair.b)


def _mean_error(pair: Pair) -> float:
    """The mean difference, in which an infinite one counts as an enormous one."""
    gap = difference(pair.a.values, pair.b.values)
    return float(np.minimum(gap, 1e30).mean()) if gap.size else 0.0


def _suspects(trial: Trial, pairs: Sequence[Pair], parting: int) -> tuple[Sequence[Layer], bool]:
    """The layers behind the last pair that agrees, and whether that is the input."""
    order = {layer.name: number for number, layer in enumerate(trial.model.layers)}
    known = [order[pair.a.layer] for pair in pairs[:parting] if pair.a.layer in order]
    inner = parting > 0 and pairs[parting - 1].a.inner
    first = max(known) + (not inner) if known else 0
    last = order.get(pairs[parting].a.layer, len(order) - 1)
    return trial.model.layers[first : last + 1], not known
