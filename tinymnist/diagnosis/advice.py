"""Plain advice, each sentence with the figures it follows from."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from tinymnist.diagnosis.costs import NONE, change, log_ways
from tinymnist.diagnosis.mnist_statistics import Reference, mnist_reference
from tinymnist.diagnosis.properties import PROPERTIES
from tinymnist.diagnosis.remedies import STAGES, remedy
from tinymnist.diagnosis.results import Diagnosis
from tinymnist.reporting.text import percent, points

_percent = partial(percent, digits=1)

_SIGNIFICANCE = 0.05
_MIN_GAIN = 0.005
"""A repair that gains less, as a share of all pictures, is not mentioned."""
_GOOD_ACCURACY = 0.97
"""Below this accuracy with everything repaired, the network itself has to learn more."""
_MIN_ERRORS = 3
"""With fewer errors, no class or property is blamed."""
_FEW_PICTURES = 50
_LOW_CONFIDENCE = 0.7
_AUGMENTATIONS = {
    "sharpness": "blurred and pixelated digits (`tinymnist train --scenes`)",
    "stroke": "thinner and thicker strokes (`tinymnist train --augment --scenes`)",
    "slant": "sheared digits (`tinymnist train --augment`)",
    "noise": "noise and broken strokes (`tinymnist train --scenes`)",
    "variation": "uneven paper (`tinymnist train --scenes`)",
    "contrast": "pale ink (`tinymnist train --scenes`)",
    "aspect": "stretched digits (`tinymnist train --augment`)",
}


@dataclass(frozen=True)
class Advice:
    """One sentence or two.

    Attributes:
        topic: "recipe", "capture", "training" or "pictures".
        text: what to do, and the figures that say so.
    """

    topic: str
    text: str


def advise(diagnosis: Diagnosis, reference: Reference | None = None) -> list[Advice]:
    """What to do, the most important first."""
    reference = reference or mnist_reference()
    return [
        *_of_the_recipe(diagnosis),
        *_of_the_causes(diagnosis, reference),
        *_of_the_rest(diagnosis, reference),
        *_of_the_pictures(diagnosis),
    ]


def odds(few: int, of_few: int, many: int, of_many: int) -> float:
    """The probability of at least ``few`` hits in the first group if both groups were alike.

    Fisher's exact test, one-sided: ``few`` of ``of_few`` are hit, and ``many`` of ``of_many``.
    """
    hits, total = few + many, of_few + of_many
    every = log_ways(total, of_few)
    return sum(
        math.exp(log_ways(hits, k) + log_ways(total - hits, of_few - k) - every)
        for k in range(max(few, of_few - (total - hits)), min(hits, of_few) + 1)
    )


def _of_the_recipe(d: Diagnosis) -> Iterator[Advice]:
    both = change(d.right(NONE), d.right(None))
    if not d.is_labelled:
        text = (
            f"The tutorials' resize has {_percent(both.before)} of the pictures read as recipe "
            f"'mnist' does, with a mean confidence of {_percent(d.mean_confidence(NONE))}; the "
            f"recipe has {_percent(d.mean_confidence(None))}. Trust the surer one."
        )
    elif not both.is_certain:
        text = (
            f"Recipe 'mnist' makes no difference beyond chance: {_percent(both.after)} of the "
            f"pictures are read right, and {_percent(both.before)} with the tutorials' resize."
        )
    elif both.gain > 0:
        text = (
            f"Use recipe 'mnist' (the default), not the tutorials' resize: {_percent(both.after)} "
            f"of the pictures are read right instead of {_percent(both.before)}."
        )
    else:
        text = (
            f"Recipe 'mnist' does harm here: {_percent(both.after)} of the pictures are read "
            f"right, and {_percent(both.before)} with the tutorials' resize. Use --recipe resize, "
            "and look at what goes wrong with `tinymnist explain PICTURE --out stages.png`."
        )
    yield Advice("recipe", text)


def _of_the_causes(d: Diagnosis, reference: Reference) -> Iterator[Advice]:
    costs = d.costs
    certain = [cost for cost in costs if cost.is_certain and cost.points >= _MIN_GAIN]
    for cost in certain:
        yield Advice("capture", remedy(d, reference, cost))
    for cost in costs:
        if cost.left_out.is_certain and cost.left_out.gain < 0:
            yield Advice(
                "recipe",
                f"Repairing the {cost.repair} loses {points(cost.left_out.gain)} once all else is "
                f"repaired: see with `tinymnist explain PICTURE --skip STAGE` what "
                f"{STAGES[cost.repair]} does to the worst.",
            )
    doubtful = [cost for cost in costs if not cost.is_certain and cost.points >= _MIN_GAIN]
    if doubtful:
        named = ", ".join(f"{cost.repair} {points(cost.points)}" for cost in doubtful)
        yield Advice(
            "capture", f"May cost something, but {d.n} pictures are too few to say: {named}."
        )
    idle = {cost.repair for cost in costs if cost.points < _MIN_GAIN}
    spared = [
        prop.title
        for name, prop in PROPERTIES.items()
        if prop.repair in idle and d.drifts[name].is_notable
    ]
    if spared:
        yield Advice(
            "capture",
            f"Unlike MNIST too, but repairing it gains nothing that could be measured: "
            f"{', '.join(spared)}. Leave it as it is.",
        )


def _of_the_rest(d: Diagnosis, reference: Reference) -> Iterator[Advice]:
    if not d.is_labelled:
        yield from _unlabelled(d)
        return
    wrong = ~d.right(None)
    if not wrong.any():
        yield Advice("training", "All are read right: no augmentation or fine-tuning is needed.")
        return
    found = [*_weak_classes(d), *_weak_properties(d, reference)]
    yield from found
    accuracy = 1 - float(wrong.mean())
    if accuracy < _GOOD_ACCURACY:
        yield Advice(
            "training",
            f"With everything repaired {_percent(accuracy)} are read right: what is left is not in "
            "the pictures' form. Fine-tune a new head on labelled pictures like these "
            "(tinymnist finetune, which holds some out to measure on).",
        )
    elif not found:
        yield Advice(
            "training",
            f"The {int(wrong.sum())} that are still misread belong to no class and no property in "
            "particular: look at them; neither augmentation nor fine-tuning is indicated.",
        )


def _unlabelled(d: Diagnosis) -> Iterator[Advice]:
    unsure = int((d.confidence[:, -1] < _LOW_CONFIDENCE).sum())
    if unsure:
        yield Advice(
            "training",
            f"{unsure} of {d.n} pictures are read with a confidence below "
            f"{_LOW_CONFIDENCE:.0%}: look at those. If they are plain to you, label a hundred and "
            "diagnose again; confidence and agreement only hint at accuracy.",
        )


def _is_weak(wrong: int, of: int) -> bool:
    return wrong >= _MIN_ERRORS and wrong > (1 - _GOOD_ACCURACY) * of


def _weak_classes(d: Diagnosis) -> Iterator[Advice]:
    wrong, truth = ~d.right(None), d.truth
    classes = np.unique(truth)
    for number in classes:
        own = truth == number
        few, many = int(wrong[own].sum()), int(wrong[~own].sum())
        chance = odds(few, int(own.sum()), many, int((~own).sum()))
        if not _is_weak(few, int(own.sum())) or chance * len(classes) > _SIGNIFICANCE:
            continue
        taken = d.found[own & wrong, -1]
        taken = taken[taken >= 0]
        name = d.class_names[int(number)]
        other = d.class_names[int(np.bincount(taken).argmax())] if taken.size else "nothing"
        yield Advice(
            "training",
            f"Class {name} stands out: {few} of {int(own.sum())} are misread, mostly as {other}; "
            f"of the others {many} of {int((~own).sum())}. Fine-tune with pictures of {name} and "
            f"{other} written this way.",
        )


def _weak_properties(d: Diagnosis, reference: Reference) -> Iterator[Advice]:
    wrong = ~d.right(None)
    for name, augmentation in _AUGMENTATIONS.items():
        values = d.drifts[name].values
        low, high = np.percentile(reference.quantiles[name], (2.5, 97.5))
        known = ~np.isnan(values)
        odd = known & ((values < low) | (values > high))
        usual = known & ~odd
        few, many = int(wrong[odd].sum()), int(wrong[usual].sum())
        chance = odds(few, int(odd.sum()), many, int(usual.sum()))
        if not _is_weak(few, int(odd.sum())) or chance * len(_AUGMENTATIONS) > _SIGNIFICANCE:
            continue
        yield Advice(
            "training",
            f"Errors gather where the {PROPERTIES[name].title} is not MNIST's ({low:.2f} to "
            f"{high:.2f}): {few} of {int(odd.sum())} are misread there, elsewhere {many} of "
            f"{int(usual.sum())}. Augment the training with {augmentation}.",
        )


def _of_the_pictures(d: Diagnosis) -> Iterator[Advice]:
    if d.failures:
        first = " ".join(str(next(iter(d.failures.values()))).split())
        yield Advice("pictures", f"{len(d.failures)} of {d.n} could not be read: {first}")
    if d.n < _FEW_PICTURES:
        yield Advice(
            "pictures",
            f"These are only {d.n} pictures, and each is {points(1 / d.n)}: take more before you "
            "trust small differences.",
        )
    missing = [d.class_names[i] for i in np.flatnonzero(d.class_shares == 0)]
    if missing and d.n >= 10 * len(d.class_names):
        yield Advice("pictures", f"There is no picture of {', '.join(missing)}: add some.")
