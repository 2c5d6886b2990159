"""From any model file to a model that is ready for pictures: architecture, scaling, accuracy.

Labelled pictures, if given, decide which architecture and which scaling is right. Without them the
scaling is found with MNIST's test pictures, if they are on this machine, and the architecture must
be the only one that fits, or be chosen by the user.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from os import PathLike
from typing import Any

import numpy as np

from tinymnist.adapter import SCALINGS, picture_side
from tinymnist.data import load_mnist
from tinymnist.errors import InputError
from tinymnist.interop.bare.candidates import Candidates
from tinymnist.interop.bare.match_shapes import NoPlan, fitting, strided
from tinymnist.interop.bare.plans import Plan
from tinymnist.interop.bare.scaling import Entry, Labelled, Score, entries, race, ranked
from tinymnist.interop.formats import read
from tinymnist.nn.sequential import Sequential

ACTIVATIONS = ("tanh", "sigmoid", "leaky_relu", "elu", "gelu", "linear")
"""What to try instead of ReLU if ReLU does poorly."""
POOR = 0.9
"""Accuracy below which an architecture found by shape is in doubt."""
SOUND = 0.98
"""Accuracy below which further scalings, pools and strides are tried with every activation."""
_MOST_CLASSES = 64
"""A network with more outputs is not a classifier: an autoencoder, for instance."""


@dataclass(frozen=True)
class Conversion:
    """A converted model, and how its architecture and scaling were found.

    Attributes:
        model: with its preprocessing.
        plans: every architecture that fits the weights, in words; none if the file defines it.
        scores: all that was tried on labelled pictures, best first.
        pictures: the name of their set; "" if there were none.
        doubts: what the user should know, one sentence each.
    """

    model: Sequential
    plans: Sequence[str] = ()
    scores: Sequence[Score] = ()
    pictures: str = ""
    doubts: Sequence[str] = ()


def convert(
    source: str | PathLike[str],
    *,
    architecture: str | PathLike[str] | None = None,
    plan: int | None = None,
    pictures: Labelled | None = None,
    scaling: str | None = None,
) -> Conversion:
    """Open a model in any format, and find out how it wants its pictures scaled.

    Args:
        source, architecture, plan: as for :func:`tinymnist.interop.load_model`.
        pictures: labelled pictures, which then also decide between architectures; None takes
            MNIST's test pictures if they are on this machine, for the scaling alone.
        scaling: a name of :data:`tinymnist.adapter.SCALINGS`, to be used without a test.

    Raises:
        InputError: when the file cannot be used, or several architectures fit and neither ``plan``
            nor ``pictures`` decides.
    """
    if scaling is not None and scaling not in SCALINGS:
        raise InputError(f"scaling must be one of {list(SCALINGS)}; received {scaling!r}")
    found = read(source, architecture)
    decides = pictures is not None and plan is None
    makers = _makers(found, plan, decides)
    first = makers[0][0]()
    preset = first.metadata.get("preprocessing", {})
    if "scaling" in preset and scaling is None:
        return Conversion(first, found.listed)  # it was found when the file was written
    measured = pictures or mnist_at_hand()
    if reason := _why_not(first, measured):
        entry = Entry(lambda: first, scaling or "x/255")
        _record(first, entry.preprocessing if scaling else {})
        unknown = f"{source}: its scaling is unknown: {reason}; x/255 is used"
        guess = "its layers were inferred from shapes and not checked on pictures"
        unchecked = f"{found.path}: {guess}: {makers[0][1]}"
        doubts = [unknown] * (scaling is None) + [unchecked] * bool(found.plans)
        return Conversion(first, found.listed, doubts=doubts)
    measured = measured.below(first.output_shape[-1])  # type: ignore[union-attr]
    scores = race([e for e in entries(makers) if scaling in (None, e.scaling)], measured)
    doubts = []
    if found.plans:
        if decides:
            scores = _with_other_pools(found, scores, measured)
        scores, doubts = _doubted(found, plan, scores, measured, decides)
    best = scores[0]
    model = best.entry.make()
    _record(model, best.entry.preprocessing)
    model.metadata["metrics"] = {measured.name: {"n": best.n, "accuracy": best.accuracy}}
    if best.accuracy < POOR:
        poor = f"reads only {best.accuracy:.2%} of {measured.name}"
        doubts.append(f"{source}: {poor}; it may need another scaling or architecture")
    return Conversion(model, found.listed, scores, measured.name, doubts)


def mnist_at_hand() -> Labelled | None:
    """MNIST's test pictures, if they are on this machine."""
    try:
        images, labels = load_mnist("test")
    except InputError:
        return None
    return Labelled("mnist-test", (images.astype(np.float32) / 255)[..., None], labels)


Maker = tuple[Callable[[], Sequential], str]
"""A function that returns a model, and the model's plan in words."""


def _makers(found: Candidates, plan: int | None, decides: bool) -> list[Maker]:
    if found.plans and decides:
        return _planned(found, found.plans)
    model = found.choose(plan)
    return [(lambda: model, str(found.plan(plan)) if found.plans else "")]


def _planned(found: Candidates, plans: Iterable[Plan]) -> list[Maker]:
    return [(cache(partial(found.build, plan)), str(plan)) for plan in plans]


def _why_not(model: Sequential, pictures: Labelled | None) -> str:
    """Why the scaling cannot be found; "" if it can."""
    if pictures is None:
        return "MNIST is not on this machine (tinymnist data download), and no --score SET is given"
    if picture_side(model.input_shape) is None:
        return f"its inputs {model.input_shape} are not square pictures"
    if not 2 <= model.output_shape[-1] <= _MOST_CLASSES or len(model.output_shape) != 1:
        return f"its outputs {model.output_shape} are not classes"
    return ""


def _record(model: Sequential, found: dict[str, Any]) -> None:
    """Keep in the metadata how the model wants its pictures."""
    preset: dict[str, Any] = model.metadata.get("preprocessing", {})
    model.metadata["preprocessing"] = {"recipe": "mnist", **preset, **found}


def _with_other_pools(found: Candidates, scores: list[Score], pictures: Labelled) -> list[Score]:
    """Let the finalists compete again, with averages or strides instead of maxima."""
    last = [score for score in scores if score.n == len(pictures.labels)]
    words = {score.entry.plan for score in last}
    finalists = [plan for plan in found.plans if str(plan) in words]
    others = [p for p in _alike(finalists) if str(p) not in words]
    late = race(entries(_planned(found, others)), pictures, last[0].accuracy)
    arrived = [score for score in late if score.n == last[0].n]
    return ranked(last + arrived) + [s for s in scores + late if s.n < last[0].n]


def _doubted(
    found: Candidates, plan: int | None, scores: list[Score], pictures: Labelled, decides: bool
) -> tuple[list[Score], list[str]]:
    """Try what shapes never show: another activation, another pooling, strides."""
    best = scores[0]
    rivals = entries(_planned(found, _variants(found, best, plan)))
    if best.accuracy >= SOUND:
        same = (best.entry.scaling, best.entry.fit)
        rivals = [entry for entry in rivals if (entry.scaling, entry.fit) == same]
    late = [score for score in race(rivals, pictures, best.accuracy) if score.n == best.n]
    better = [score for score in late if score.beats(best)]
    if better and not decides:
        return scores, [
            f"{found.path}: {best.accuracy:.2%} of {pictures.name} as inferred from its shapes; "
            f"{better[0].accuracy:.2%} as: {better[0].entry.plan} (--score SET chooses it)"
        ]
    winner = (better or scores)[0]
    # A plan that is not significantly worse, or the next after a poor winner, is worth a doubt.
    others = [s for s in [*late, best] if s.entry.plan != winner.entry.plan]
    close = [s for s in others if winner.accuracy < SOUND or not winner.beats(s)]
    if not close:
        return better[:1] + scores, []
    rival = max(close, key=lambda score: score.accuracy)
    return better[:1] + scores, [
        f"{found.path}: its layers are the most likely that fit ({winner.accuracy:.2%} of "
        f"{pictures.name}), not certain: bare weights do not show activations and pools; "
        f"{rival.accuracy:.2%} as: {rival.entry.plan}, {rival.entry.scaling}"
    ]


def _variants(found: Candidates, best: Score, plan: int | None) -> Iterator[Plan]:
    """The winner with other activations and pools, and if it does poorly, wider plans."""
    winner = next(p for p in _alike(found.plans) if str(p) == best.entry.plan)
    for activation in ("relu", *ACTIVATIONS):
        variants = _alike([replace(winner, activation=activation)])
        yield from (variant for variant in variants if variant != winner)
    if best.accuracy < POOR and winner.steps and plan is None:
        try:
            yield from (p for p in fitting(found.blocks, wide=True) if p not in found.plans)
        except NoPlan:
            return


def _alike(plans: Sequence[Plan]) -> list[Plan]:
    """Each plan with maxima and, if it pools at all, with averages and with strides."""
    found: list[Plan | None] = []
    for plan in plans:
        found.append(replace(plan, pooling="max"))
        if any(step.pool.size > 1 for step in plan.steps):
            found += [replace(plan, pooling="average"), strided(plan)]
    return [plan for plan in found if plan is not None]
