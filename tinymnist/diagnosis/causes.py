"""How each mismatch shows in the figures, and what helps against it."""

from __future__ import annotations

import numpy as np

from tinymnist.diagnosis.costs import Cost
from tinymnist.diagnosis.mnist_statistics import Reference
from tinymnist.diagnosis.properties import PROPERTIES
from tinymnist.diagnosis.results import Diagnosis

STAGES = {
    "polarity": "polarity",
    "paper": "background, noise, threshold, rules, components",
    "size": "box",
    "position": "centre",
    "stroke": "box",
    "intensity": "threshold",
}
"""Which stages of recipe ``mnist`` make each repair."""


def cause(d: Diagnosis, reference: Reference, cost: Cost) -> str:
    """What a mismatch costs, how it shows in the figures, and what helps."""
    told = f"{cost.repair.capitalize()} costs {points(cost.points)}"
    told += f" (95 % interval +-{100 * cost.error:.1f})"
    return f"{told}: {_ADVICE[cost.repair](d, reference)} Recipe stage: {STAGES[cost.repair]}."


def _median(d: Diagnosis, name: str) -> float:
    return float(np.nanmedian(d.drifts[name].values))


def _theirs(reference: Reference, name: str) -> float:
    return float(np.median(reference.quantiles[name]))


def _polarity(d: Diagnosis, _: Reference) -> str:
    dark = float(np.nanmean(d.drifts["polarity"].values))
    return (
        f"{percent(dark)} of the pictures are dark ink on light paper, MNIST is light on dark. "
        "Keep writing on white paper, but have the pictures inverted."
    )


def _paper(d: Diagnosis, _: Reference) -> str:
    def beyond(name: str) -> str:
        return percent(float(np.nanmean(d.drifts[name].values > PROPERTIES[name].tolerance)))

    return (
        f"MNIST's is black, even and free of noise. In {beyond('level')} of the pictures it is "
        f"grey, in {beyond('variation')} uneven or not empty, in {beyond('noise')} noisy. Scan, or "
        "photograph in even light, on blank paper with nothing else there."
    )


def _size(d: Diagnosis, reference: Reference) -> str:
    low, high = np.nanpercentile(d.drifts["size"].values, (10, 90))
    oblong = float(np.nanmean(np.abs(d.drifts["frame"].values - 1) > 0.1))
    told = (
        f"the digits take {percent(low)} to {percent(high)} of the frame, MNIST's "
        f"{percent(_theirs(reference, 'size'))}. "
    )
    large = _median(d, "size") > _theirs(reference, "size") + PROPERTIES["size"].tolerance
    told += "Leave a margin around the digit" if large else "Crop closer to the digit"
    if oblong > 0.1:
        told += f"; {percent(oblong)} of the frames are not square, and resizing squashes them"
    return told + "."


def _position(d: Diagnosis, _: Reference) -> str:
    away = np.hypot(d.drifts["across"].values, d.drifts["down"].values)
    return (
        f"the centre of mass is {percent(float(np.nanmedian(away)))} of the frame off its middle "
        f"(one in ten: {percent(float(np.nanpercentile(away, 90)))}), MNIST's 2-3 %. "
        "Centre by mass."
    )


def _stroke(d: Diagnosis, reference: Reference) -> str:
    width, theirs = _median(d, "stroke"), _theirs(reference, "stroke")
    advice = "a thicker pen, or smaller writing" if width < theirs else "a finer pen"
    return (
        f"strokes are {width:.1f} pixels wide where the digit is 20 long, MNIST's {theirs:.1f}. "
        f"Use {advice}."
    )


def _intensity(d: Diagnosis, reference: Reference) -> str:
    contrast, theirs = _median(d, "contrast"), _theirs(reference, "contrast")
    if contrast >= theirs - 0.05:
        return "thin strokes turn grey when they are resized. Use a thicker pen."
    return (
        f"ink and paper differ by {contrast:.2f} of the range from black to white, MNIST's by "
        f"{theirs:.2f}. Use a darker pen or more light."
    )


_ADVICE = {
    "polarity": _polarity,
    "paper": _paper,
    "size": _size,
    "position": _position,
    "stroke": _stroke,
    "intensity": _intensity,
}


def points(share: float) -> str:
    """``0.0123`` as ``1.2 points``."""
    size = f"{100 * abs(share):.1f}"
    return f"{size} point" + ("s" if size != "1.0" else "")


def signed(share: float) -> str:
    """``0.0123`` as ``+1.2``, in points."""
    return f"{round(100 * share, 1) + 0.0:+.1f}"  # adding 0 makes -0.0 plain 0.0


def percent(share: float) -> str:
    """``0.123`` as ``12.3 %``."""
    return f"{100 * share:.1f} %"
