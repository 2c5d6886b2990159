"""Plain advice, each sentence with the figures it follows from."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import numpy as np

from tinymnist.diagnosis.costs import Flags, change, log_ways
from tinymnist.diagnosis.properties import PROPERTIES, mnist_reference
from tinymnist.diagnosis.repairs import NONE
from tinymnist.diagnosis.results import Diagnosis
from tinymnist.reporting.text import count, percent, points

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
STAGES = {
    "polarity": "polarity",
    "paper": "background, noise, threshold, rules, components",
    "size": "box",
    "position": "centre",
    "stroke": "box",
    "intensity": "threshold",
}
"""The stages of recipe ``mnist`` that make each repair."""
_AUGMENTATIONS = {
    "sharpness": "blurred and pixelated digits (`tinymnist train --scenes`)",
    "stroke": "thinner and thicker strokes (`tinymnist train --augment --scenes`)",
    "slant": "sheared digits (`tinymnist train --augment`)",
    "noise": "noise and broken strokes (`tinymnist train --scenes`)",
    "variation": "uneven paper (`tinymnist train --scenes`)",
    "contrast": "pale ink (`tinymnist train --scenes`)",
    "aspect": "stretched digits (`tinymnist train --augment`)",
}


class Advice(NamedTuple):
    """What to do, and the figures that say so; of "recipe", "capture", "training" or "pictures"."""

    topic: str
    text: str


def advise(diagnosis: Diagnosis) -> list[Advice]:
    """What to do, the most important first."""
    parts = (_on_recipe, _on_costs, _on_errors, _on_pictures)
    return [Advice(*advice) for part in parts for advice in part(diagnosis)]


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


def _on_recipe(d: Diagnosis) -> Iterator[tuple[str, str]]:
    both = change(d.right(NONE), d.right(None))
    before, after = _percent(both.before), _percent(both.after)
    if not d.is_labelled:
        text = (
            f"The tutorials' resize has {before} of the pictures read as recipe 'mnist' does, with "
            f"a mean confidence of {_percent(d.mean_confidence(NONE))}; the recipe has "
            f"{_percent(d.mean_confidence(None))}. Trust the surer one."
        )
    elif not both.is_certain:
        text = (
            f"Recipe 'mnist' makes no difference beyond chance: {after} of the pictures are read "
            f"right, and {before} with the tutorials' resize."
        )
    elif both.gain > 0:
        text = (
            f"Use recipe 'mnist' (the default), not the tutorials' resize: {after} of the pictures "
            f"are read right instead of {before}."
        )
    else:
        text = (
            f"Recipe 'mnist' does harm here: {after} of the pictures are read right, and {before} "
            "with the tutorials' resize. Use --recipe resize, and look at what goes wrong with "
            "`tinymnist explain PICTURE --out stages.png`."
        )
    yield "recipe", text


def _on_costs(d: Diagnosis) -> Iterator[tuple[str, str]]:
    costs = d.costs
    dear = [cost for cost in costs if cost.points >= _MIN_GAIN]
    for cost in dear:
        if cost.is_certain:
            text = (
                f"{cost.repair.capitalize()} costs {points(cost.points)} (95 % interval "
                f"+-{100 * cost.error:.1f}): {_evidence(d, cost.repair)} Recipe stage: "
                f"{STAGES[cost.repair]}."
            )
            yield "capture", text
    for cost in costs:
        if cost.left_out.is_certain and cost.left_out.gain < 0:
            text = (
                f"Repairing the {cost.repair} loses {points(cost.left_out.gain)} once all else is "
                f"repaired: see with `tinymnist explain PICTURE --skip STAGE` what "
                f"{STAGES[cost.repair]} does to the worst."
            )
            yield "recipe", text
    doubtful = [f"{cost.repair} {points(cost.points)}" for cost in dear if not cost.is_certain]
    if doubtful:
        few = "one picture is" if d.n == 1 else f"{d.n} pictures are"
        text = f"May cost something, but {few} too few to say: {', '.join(doubtful)}."
        yield "capture", text
    idle = {cost.repair for cost in costs if cost not in dear}
    notable = {p.title: p.repair for name, p in PROPERTIES.items() if d.drifts[name].is_notable}
    spared = ", ".join(title for title, repair in notable.items() if repair in idle)
    if spared:
        text = f"Unlike MNIST too, but repairing it gains nothing that could be measured: {spared}."
        yield "capture", f"{text} Leave it as it is."


def _evidence(d: Diagnosis, repair: str) -> str:
    """How a mismatch shows in the figures, and what helps."""
    values = {name: drift.values for name, drift in d.drifts.items()}
    names, quantiles = ("size", "stroke", "contrast"), mnist_reference().quantiles
    yours = {name: float(np.nanmedian(values[name])) for name in names}
    theirs = {name: float(np.median(quantiles[name])) for name in names}
    if repair == "polarity":
        return (
            f"{_percent(np.nanmean(values[repair]))} of the pictures are dark ink on light paper, "
            "MNIST is light on dark. Keep writing on white paper, but have the pictures inverted."
        )
    if repair == "paper":
        grey, uneven, noisy = (
            _percent(float(np.nanmean(values[name] > PROPERTIES[name].tolerance)))
            for name in ("level", "variation", "noise")
        )
        return (
            f"MNIST's is black, even and free of noise. In {grey} of the pictures it is grey, in "
            f"{uneven} uneven or not empty, in {noisy} noisy. Scan, or photograph in even light, "
            "on blank paper with nothing else there."
        )
    if repair == "size":
        low, high = (_percent(share) for share in np.nanpercentile(values["size"], (10, 90)))
        large = yours["size"] > theirs["size"] + PROPERTIES["size"].tolerance
        move = "Leave a margin around the digit" if large else "Crop closer to the digit"
        oblong = float(np.nanmean(np.abs(values["frame"] - 1) > 0.1))
        if oblong > 0.1:
            move += f"; {_percent(oblong)} of the frames are not square, and resizing squashes them"
        mnists = _percent(theirs["size"])
        return f"the digits take {low} to {high} of the frame, MNIST's {mnists}. {move}."
    if repair == "position":
        away = np.hypot(values["across"], values["down"])
        return (
            f"the centre of mass is {_percent(np.nanmedian(away))} of the frame off its middle "
            f"(one in ten: {_percent(np.nanpercentile(away, 90))}), MNIST's 2-3 %. Centre by mass."
        )
    if repair == "stroke":
        is_thin = yours["stroke"] < theirs["stroke"]
        pen = "a thicker pen, or smaller writing" if is_thin else "a finer pen"
        return (
            f"strokes are {yours['stroke']:.1f} pixels wide where the digit is 20 long, MNIST's "
            f"{theirs['stroke']:.1f}. Use {pen}."
        )
    if yours["contrast"] >= theirs["contrast"] - 0.05:
        return "thin strokes turn grey when they are resized. Use a thicker pen."
    return (
        f"ink and paper differ by {yours['contrast']:.2f} of the range from black to white, "
        f"MNIST's by {theirs['contrast']:.2f}. Use a darker pen or more light."
    )


def _on_errors(d: Diagnosis) -> Iterator[tuple[str, str]]:
    """What is wrong, or without labels unsure, after the whole recipe."""
    unsure = int((d.confidence[:, -1] < _LOW_CONFIDENCE).sum())
    if unsure and not d.is_labelled:
        text = (
            f"{unsure} of {count(d.n, 'picture')} {'is' if unsure == 1 else 'are'} read with a "
            f"confidence below {_LOW_CONFIDENCE:.0%}: "
            "look at those. If they are plain to you, label a hundred and diagnose again; "
            "confidence and agreement only hint at accuracy."
        )
        yield "training", text
    if not d.is_labelled:
        return
    wrong = ~d.right(None)
    found = [*_weak_classes(d, wrong), *_weak_properties(d, wrong)]
    yield from (("training", text) for text in found)
    accuracy = 1 - float(wrong.mean())
    if not wrong.any():
        yield "training", "All are read right: no augmentation or fine-tuning is needed."
    elif accuracy < _GOOD_ACCURACY:
        text = (
            f"With everything repaired {_percent(accuracy)} are read right: what is left is not in "
            "the pictures' form. Fine-tune a new head on labelled pictures like these "
            "(tinymnist finetune, which holds some out to measure on)."
        )
        yield "training", text
    elif not found:
        text = (
            f"The {int(wrong.sum())} that are still misread belong to no class and no property in "
            "particular: look at them; neither augmentation nor fine-tuning is indicated."
        )
        yield "training", text


def _weak_classes(d: Diagnosis, wrong: Flags) -> Iterator[str]:
    classes = np.unique(d.truth)
    for number in classes:
        own = d.truth == number
        if errors := _concentrated(wrong, own, ~own, len(classes)):
            taken = d.found[own & wrong, -1]
            taken = taken[taken >= 0]
            name = d.class_names[int(number)]
            other = d.class_names[int(np.bincount(taken).argmax())] if taken.size else "nothing"
            yield (
                f"Class {name} stands out: {errors[0]} are misread, mostly as {other}; of the "
                f"others {errors[1]}. Fine-tune with pictures of {name} and {other} written this "
                "way."
            )


def _weak_properties(d: Diagnosis, wrong: Flags) -> Iterator[str]:
    for name, augmentation in _AUGMENTATIONS.items():
        values = d.drifts[name].values
        low, high = np.percentile(mnist_reference().quantiles[name], (2.5, 97.5))
        usual = (values >= low) & (values <= high)
        odd = ~usual & ~np.isnan(values)
        if errors := _concentrated(wrong, odd, usual, len(_AUGMENTATIONS)):
            yield (
                f"Errors gather where the {PROPERTIES[name].title} is not MNIST's ({low:.2f} to "
                f"{high:.2f}): {errors[0]} are misread there, elsewhere {errors[1]}. Augment the "
                f"training with {augmentation}."
            )


def _concentrated(wrong: Flags, own: Flags, others: Flags, tests: int) -> tuple[str, str] | None:
    """The errors in a group and elsewhere, "3 of 20" and "5 of 400", if that is beyond chance."""
    few, of_few, many, of_many = (
        int(flags.sum()) for flags in (wrong & own, own, wrong & others, others)
    )
    if few < _MIN_ERRORS or few <= (1 - _GOOD_ACCURACY) * of_few:
        return None
    if odds(few, of_few, many, of_many) * tests > _SIGNIFICANCE:
        return None
    return f"{few} of {of_few}", f"{many} of {of_many}"


def _on_pictures(d: Diagnosis) -> Iterator[tuple[str, str]]:
    if d.failures:
        first = " ".join(str(next(iter(d.failures.values()))).split())
        yield "pictures", f"{len(d.failures)} of {d.n} could not be read: {first}"
    if d.n < _FEW_PICTURES:
        each = f"These are only {d.n} pictures, and each is {points(1 / d.n)}"
        if d.n == 1:
            each = "This is one picture, which says little about others"
        yield "pictures", f"{each}: take more before you trust small differences."
    missing = [d.class_names[i] for i in np.flatnonzero(d.class_shares == 0)]
    if missing and d.n >= 10 * len(d.class_names):
        yield "pictures", f"There is no picture of {', '.join(missing)}: add some."
