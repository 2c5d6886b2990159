"""From any model file to a model that is ready for pictures: architecture, scaling, accuracy.

Labelled pictures decide which architecture and which scaling is right: the 1,000 of MNIST that ship
with tinymnist, or the user's own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from os import PathLike
from typing import Any

import numpy as np

from tinymnist.adapter import SCALING_NAMES, picture_side
from tinymnist.data.mnist import load_mnist_sample
from tinymnist.errors import InputError
from tinymnist.interop.bare.candidates import Candidates
from tinymnist.interop.bare.match_shapes import NoPlan, fitting, strided
from tinymnist.interop.bare.plans import Plan
from tinymnist.interop.bare.scaling import Entry, Labelled, Score, entries, race, ranked
from tinymnist.interop.formats import read
from tinymnist.nn.sequential import Sequential
from tinymnist.reporting.text import show_progress

ACTIVATIONS = ("tanh", "sigmoid", "leaky_relu", "elu", "gelu", "linear")
"""What to try instead of ReLU if ReLU does poorly."""
POOR = 0.9
"""Accuracy below which an architecture found by shape is in doubt."""
SOUND = 0.98
"""Accuracy below which further scalings, pools and strides are tried with every activation."""
_NEAR = 0.005
"""Cross-entropy that two scalings may differ by, beyond half of the better one's, in a near tie."""
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
        pictures: labelled pictures that decide; None takes the 1,000 that ship with tinymnist.
        scaling: one of :data:`tinymnist.adapter.SCALING_NAMES`, to be used without a test.

    Raises:
        InputError: when the file cannot be used, or several architectures fit and pictures cannot
            decide, because the model does not classify them.
    """
    if scaling is not None and scaling not in SCALING_NAMES:
        raise InputError(f"scaling must be one of {list(SCALING_NAMES)}; received {scaling!r}")
    found = read(source, architecture)
    decides = plan is None
    makers = _makers(found, plan, decides)
    first = makers[0][0]()
    preset = first.metadata.get("preprocessing", {})
    if "scaling" in preset and scaling is None:
        return Conversion(first, found.listed)  # it was found when the file was written
    if reason := _why_not(first):
        model = found.choose(plan)
        _record(model, Entry(lambda: model, scaling).preprocessing if scaling else {})
        unknown = f"{source}: its scaling is unknown: {reason}; x/255 is used"
        guess = "its layers were inferred from shapes and not checked on pictures"
        unchecked = f"{found.path}: {guess}: {makers[0][1]}"
        doubts = [unknown] * (scaling is None) + [unchecked] * bool(found.plans)
        return Conversion(model, found.listed, doubts=doubts)
    measured = (pictures or mnist_sample()).below(first.output_shape[-1])
    try:
        return _found_on(measured, found, makers, plan, scaling)
    finally:
        show_progress("")


def _found_on(
    pictures: Labelled,
    found: Candidates,
    makers: list[Maker],
    plan: int | None,
    scaling: str | None,
) -> Conversion:
    """The architecture and the scaling that do best on labelled pictures."""
    tick = _progress_on(found)
    scores = race([e for e in entries(makers) if scaling in (None, e.scaling)], pictures, tick=tick)
    doubts: list[str] = []
    if found.plans:
        if plan is None:
            scores = _with_other_pools(found, scores, pictures)
        scores, doubts = _doubted(found, plan, scores, pictures)
    best = scores[0]
    if scaling is None:
        if best.accuracy < _near_chance(best.entry.make()):
            usual = replace(best.entry, scaling="x/255")
            scores = [*race([usual], pictures), *(s for s in scores if s.entry != usual)]
            reads = f"reads only {best.accuracy:.2%} of {pictures.name}"
            unknown = "so its classes may not be digits, and nothing shows its scaling"
            doubts.append(f"{found.path}: {reads}, {unknown}; x/255 is used")
        elif tie := _tie(scores):
            doubts.append(f"{found.path}: {tie}")
    best = scores[0]
    model = best.entry.make()
    _record(model, best.entry.preprocessing)
    model.metadata["metrics"] = {pictures.name: {"n": best.n, "accuracy": best.accuracy}}
    if best.accuracy < POOR and not any("nothing shows" in doubt for doubt in doubts):
        poor = f"reads only {best.accuracy:.2%} of {pictures.name}"
        doubts.append(f"{found.path}: {poor}; it may need another scaling or architecture")
    return Conversion(model, found.listed, scores, pictures.name, doubts)


def _near_chance(model: Sequential) -> float:
    """The accuracy below which a network does not know digits, or knows them by other numbers."""
    return max(0.5, 1.5 / int(model.output_shape[-1]))


def _tie(scores: Sequence[Score]) -> str:
    """Which scalings do about as well as the winner, in words; "" if none does."""
    best = scores[0]
    rivals = [s for s in scores[1:] if s.n == best.n and s.entry.plan == best.entry.plan]
    near = 1.5 * best.loss + _NEAR
    close = [best, *(s for s in rivals if s.loss < near and not best.beats(s, doubt=2.0))]
    if len(close) == 1:
        return ""
    named = ", ".join(f"{s.entry.way} ({s.loss:.4f})" for s in close)
    return f"several scalings do about equally well, by cross-entropy: {named}; the first is used"


def mnist_sample() -> Labelled:
    """The 1,000 pictures of MNIST that ship with tinymnist."""
    images, labels = load_mnist_sample()
    return Labelled("mnist-sample", (images.astype(np.float32) / 255)[..., None], labels)


def _progress_on(found: Candidates) -> Callable[[str], None]:
    return lambda line: show_progress(f"{found.path.name}: finding its scaling: {line}")


Maker = tuple[Callable[[], Sequential], str]
"""A function that returns a model, and the model's plan in words."""


def _makers(found: Candidates, plan: int | None, decides: bool) -> list[Maker]:
    if found.plans and decides:
        return _planned(found, found.plans)
    model = found.choose(plan)
    return [(lambda: model, str(found.plan(plan)) if found.plans else "")]


def _planned(found: Candidates, plans: Iterable[Plan]) -> list[Maker]:
    return [(cache(partial(found.build, plan)), str(plan)) for plan in plans]


def _why_not(model: Sequential) -> str:
    """Why the scaling cannot be found; "" if it can."""
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
    late = race(entries(_planned(found, others)), pictures, last[0], _progress_on(found))
    arrived = [score for score in late if score.n == last[0].n]
    return ranked(last + arrived) + [s for s in scores + late if s.n < last[0].n]


def _doubted(
    found: Candidates, plan: int | None, scores: list[Score], pictures: Labelled
) -> tuple[list[Score], list[str]]:
    """Try what shapes never show: another activation, another pooling, strides."""
    best = scores[0]
    rivals = entries(_planned(found, _variants(found, best, plan)))
    if best.accuracy >= SOUND:
        same = (best.entry.scaling, best.entry.fit)
        rivals = [entry for entry in rivals if (entry.scaling, entry.fit) == same]
    raced = race(rivals, pictures, best, _progress_on(found))
    late = [score for score in raced if score.n == best.n]
    better = [score for score in late if score.beats(best)]
    if better and plan is not None:
        return scores, [
            f"{found.path}: {best.described} of {pictures.name} as inferred from its shapes; "
            f"{better[0].described} as: {better[0].entry.plan} (without --plan it is chosen)"
        ]
    winner = (better or scores)[0]
    scores = better[:1] + scores
    # A plan that is not significantly worse, or the next after a poor winner, is worth a doubt.
    others = [s for s in [*late, *scores] if s.entry.plan != winner.entry.plan]
    close = [s for s in others if winner.accuracy < SOUND or not winner.beats(s)]
    if plan is None and len(found.plans) > 1:
        second = min(others, key=lambda s: (-s.n, s.loss))
        chose = f"{len(found.plans)} architectures fit its weights; chose: {winner.entry.plan}"
        came = f"second: {second.entry.plan} ({second.described})"
        return scores, [f"{found.path}: {chose} ({winner.described} of {pictures.name}); {came}"]
    close = [s for s in close if s.n == winner.n]
    if not close:
        return scores, []
    rival = min(close, key=lambda score: score.loss)
    return scores, [
        f"{found.path}: its layers are the most likely that fit ({winner.described} of "
        f"{pictures.name}), not certain: bare weights do not show activations and pools; "
        f"{rival.described} as: {rival.entry.plan}, {rival.entry.scaling}"
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
