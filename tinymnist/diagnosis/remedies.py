"""Each mismatch in words: what it costs, how it shows in the figures, and what helps."""

from __future__ import annotations

import numpy as np

from tinymnist.diagnosis.costs import Cost
from tinymnist.diagnosis.mnist_statistics import Reference
from tinymnist.diagnosis.properties import PROPERTIES
from tinymnist.diagnosis.results import Diagnosis
from tinymnist.reporting.text import percent, points

STAGES = {
    "polarity": "polarity",
    "paper": "background, noise, threshold, rules, components",
    "size": "box",
    "position": "centre",
    "stroke": "box",
    "intensity": "threshold",
}
"""The stages of recipe ``mnist`` that make each repair."""


def remedy(d: Diagnosis, reference: Reference, cost: Cost) -> str:
    """What a mismatch costs, how it shows in the figures, and what helps."""
    return (
        f"{cost.repair.capitalize()} costs {points(cost.points)} (95 % interval "
        f"+-{100 * cost.error:.1f}): {_REMEDIES[cost.repair](d, reference)} Recipe stage: "
        f"{STAGES[cost.repair]}."
    )


def _median(d: Diagnosis, name: str) -> float:
    return float(np.nanmedian(d.drifts[name].values))


def _mnist_median(reference: Reference, name: str) -> float:
    return float(np.median(reference.quantiles[name]))


def _share(value: float | np.floating) -> str:
    return percent(float(value), digits=1)


def _polarity(d: Diagnosis, _: Reference) -> str:
    dark = np.nanmean(d.drifts["polarity"].values)
    return (
        f"{_share(dark)} of the pictures are dark ink on light paper, MNIST is light on dark. "
        "Keep writing on white paper, but have the pictures inverted."
    )


def _paper(d: Diagnosis, _: Reference) -> str:
    level, variation, noise = (
        _share(np.nanmean(d.drifts[name].values > PROPERTIES[name].tolerance))
        for name in ("level", "variation", "noise")
    )
    return (
        f"MNIST's is black, even and free of noise. In {level} of the pictures it is grey, in "
        f"{variation} uneven or not empty, in {noise} noisy. Scan, or photograph in even light, on "
        "blank paper with nothing else there."
    )


def _size(d: Diagnosis, reference: Reference) -> str:
    low, high = np.nanpercentile(d.drifts["size"].values, (10, 90))
    oblong = float(np.nanmean(np.abs(d.drifts["frame"].values - 1) > 0.1))
    theirs = _mnist_median(reference, "size")
    large = _median(d, "size") > theirs + PROPERTIES["size"].tolerance
    text = (
        f"the digits take {_share(low)} to {_share(high)} of the frame, MNIST's {_share(theirs)}. "
        + ("Leave a margin around the digit" if large else "Crop closer to the digit")
    )
    if oblong > 0.1:
        text += f"; {_share(oblong)} of the frames are not square, and resizing squashes them"
    return text + "."


def _position(d: Diagnosis, _: Reference) -> str:
    away = np.hypot(d.drifts["across"].values, d.drifts["down"].values)
    return (
        f"the centre of mass is {_share(np.nanmedian(away))} of the frame off its middle "
        f"(one in ten: {_share(np.nanpercentile(away, 90))}), MNIST's 2-3 %. Centre by mass."
    )


def _stroke(d: Diagnosis, reference: Reference) -> str:
    width, theirs = _median(d, "stroke"), _mnist_median(reference, "stroke")
    advice = "a thicker pen, or smaller writing" if width < theirs else "a finer pen"
    return (
        f"strokes are {width:.1f} pixels wide where the digit is 20 long, MNIST's {theirs:.1f}. "
        f"Use {advice}."
    )


def _intensity(d: Diagnosis, reference: Reference) -> str:
    contrast, theirs = _median(d, "contrast"), _mnist_median(reference, "contrast")
    if contrast >= theirs - 0.05:
        return "thin strokes turn grey when they are resized. Use a thicker pen."
    return (
        f"ink and paper differ by {contrast:.2f} of the range from black to white, MNIST's by "
        f"{theirs:.2f}. Use a darker pen or more light."
    )


_REMEDIES = {
    "polarity": _polarity,
    "paper": _paper,
    "size": _size,
    "position": _position,
    "stroke": _stroke,
    "intensity": _intensity,
}
