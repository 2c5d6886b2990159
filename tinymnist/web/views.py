"""What the page shows of a picture and a model, as pure functions that return JSON.

Every number comes from the functions that the commands use.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import Any

import numpy as np

from tinymnist.adapter import Prediction, model_input
from tinymnist.errors import InputError
from tinymnist.explanation import Explanation, explain
from tinymnist.imaging.digit.components import bounds
from tinymnist.imaging.digit.filters import shrink
from tinymnist.imaging.digit.frame import SIDE
from tinymnist.imaging.digit.normalize import STAGES
from tinymnist.imaging.digit.recipes import tutorial
from tinymnist.imaging.picture.decode import decode
from tinymnist.nn.arrays import Array
from tinymnist.pages import Page
from tinymnist.reader import Reader
from tinymnist.reporting.figures import to_picture
from tinymnist.reporting.html import data_address, png
from tinymnist.web.describing import maps_of
from tinymnist.web.digits import to_measure
from tinymnist.web.editing import Edits, edited
from tinymnist.web.effects import apply_effects
from tinymnist.web.packing import pack

TUTORIAL_MODEL = "keras-cnn"
"""The network of the tutorials, which their recipe is shown with."""
_OCCLUDED_AT_ONCE = 196


def answer(prediction: Prediction) -> dict[str, Any]:
    """A prediction in JSON."""
    return {
        "digit": prediction.digit,
        "confidence": float(prediction.confidence),
        "probabilities": dict(
            zip(prediction.class_names, map(float, prediction.probabilities), strict=True)
        ),
    }


def read_page(source: Any, reader: Reader) -> dict[str, Any]:
    """All digits on a picture, row by row, each with its box: left, top, right, bottom."""
    page: Page = reader.read(source)
    rows = [
        [{"digit": d.digit, "confidence": float(d.confidence), "box": list(d.box)} for d in row]
        for row in page.rows
    ]
    return {"text": page.text, "rows": rows}


def explain_picture(
    source: Any, reader: Reader, tutorials: Reader, skip: Collection[str], side: int = 384
) -> dict[str, Any]:
    """Every stage of the normalization, the answer, and the tutorials' recipe on the same picture.

    Args:
        source: a picture, as for :meth:`tinymnist.Reader.predict`.
        reader: the model that answers.
        tutorials: the model that the tutorials' recipe is read with.
        skip: stages to leave out.
        side: pixels of the longer side of a stage's picture, at most.

    Raises:
        InputError: when it is not a picture, no digit is found, or there is no such stage.
    """
    if unknown := sorted(set(skip) - set(STAGES)):
        raise InputError(f"skip may name {', '.join(STAGES)}; received {', '.join(unknown)}")
    grey = decode(source)
    explanation = explain(grey, reader, skip)
    plain = tutorial(grey)
    return {
        "stages": [
            {"name": step.name, "note": step.note, "picture": _png(shrink(step.image, side))}
            for step in explanation.steps
        ],
        "image": pack(explanation.steps[-1].image),
        "answer": answer(explanation.prediction),
        "place": place_in_photo(explanation),
        "tutorial": {
            "image": pack(plain),
            "answer": answer(tutorials.predict_prepared(plain[None, ..., None])[0]),
            "same_model": answer(reader.predict_prepared(plain[None, ..., None])[0]),
            "model": tutorials.model.name,
        },
    }


def place_in_photo(explanation: Explanation) -> dict[str, Any]:
    """Where the 28x28 frame lies in the picture before it was cut out.

    Returns:
        ``stage``: the name of the stage whose picture is meant, the first of the same size;
        ``rows`` and ``columns``: (start, scale), so that row r of the frame begins at
        ``start + scale * r`` there.
    """
    steps = {step.name: step.image for step in explanation.steps}
    names = list(steps)
    if "box" in steps:
        before = steps[names[names.index("box") - 1]]
        inside = bounds(before > 0.5)
    else:
        before = steps[names[-2]]
        inside = (slice(0, before.shape[0]), slice(0, before.shape[1]))
    frame = bounds(steps["centre"] > 0) if "box" in steps else (slice(0, SIDE), slice(0, SIDE))
    found = []
    for there, here in zip(inside, frame, strict=True):
        scale = (there.stop - there.start) / max(here.stop - here.start, 1)
        found.append([there.start - scale * here.start, scale])
    same = [name for name, image in steps.items() if image.shape == before.shape]
    first = same[0] if "slant" not in steps else same[-1]
    return {"stage": first, "shape": list(before.shape), "rows": found[0], "columns": found[1]}


def _png(image: Array) -> str:
    """A data URL of a picture (h, w) in 0..1 in its own pixels."""
    height, width = image.shape
    return data_address(png(to_picture(image, (width, height)).convert("L")))


def run_layers(
    image: Array, reader: Reader, edits: Edits, effects: dict[str, float], *, maps: bool = True
) -> dict[str, Any]:
    """One picture (28, 28) through the network: what each layer gives.

    Returns:
        The picture with its effects, probabilities, what goes into the last softmax, and with
        ``maps`` every layer's output.
    """
    model = edited(reader.model, edits)
    picture = apply_effects(image.reshape(1, SIDE, SIDE, 1), effects)
    twin = Reader(model, reader.recipe)
    x = model_input(picture, model.input_shape, reader.preprocessing)
    found: dict[str, Any] = {
        "image": pack(picture[0, ..., 0]),
        "answer": answer(twin.predict_prepared(picture)[0]),
        "logits": [float(v) for v in model.run(x, logits=True).ravel()],
        "softmax": model.ends_in_softmax,
    }
    if maps:
        found["maps"] = maps_of(model.capture(x))
    return found


def attribution(image: Array, reader: Reader, edits: Edits, target: int, side: int) -> Any:
    """What each pixel did for one class: occlusion and gradient.

    Args:
        image: (28, 28).
        reader, edits: the model.
        target: the number of the class.
        side: of the black square that covers pixels, odd.

    Returns:
        ``occlusion`` (28, 28): the probability of the class less that with a black square around
        the pixel. ``gradient`` (28, 28): d logit / d pixel, per unit of the pixel.
    """
    if not 0 <= target < len(reader.class_names):
        raise InputError(f"class must be in 0..{len(reader.class_names) - 1}; received {target}")
    if side not in range(1, 14, 2):
        raise InputError(f"side must be an odd number in 1..13; received {side}")
    twin = Reader(edited(reader.model, edits), reader.recipe)
    whole = twin.probabilities(image.reshape(1, SIDE, SIDE, 1))[0, target]
    covered = np.repeat(image[None], SIDE * SIDE, axis=0).reshape(SIDE, SIDE, SIDE, SIDE)
    reach = side // 2
    for row in range(SIDE):
        for column in range(SIDE):
            covered[
                row, column, max(row - reach, 0) : row + reach + 1,
                max(column - reach, 0) : column + reach + 1,
            ] = 0  # fmt: skip
    batch, drops = covered.reshape(-1, SIDE, SIDE, 1), []
    for start in range(0, len(batch), _OCCLUDED_AT_ONCE):
        part = twin.probabilities(batch[start : start + _OCCLUDED_AT_ONCE])[:, target]
        drops.append(whole - part)
    return {
        "probability": float(whole),
        "occlusion": pack(np.concatenate(drops).reshape(SIDE, SIDE)),
        "gradient": pack(_gradient(image, twin, target)),
    }


def _gradient(image: Array, reader: Reader, target: int) -> Array:
    """The slope of a logit over every pixel, (28, 28): a backward pass, then the scaling."""
    model, pixels = reader.model, image.reshape(1, SIDE, SIDE, 1)
    x = model_input(pixels, model.input_shape, reader.preprocessing)
    y, caches = model.forward(x, logits=True)
    dy = np.zeros_like(y)
    dy.reshape(-1)[target] = 1
    dx = model.backward(dy, caches, need_dx=True, logits=True)[0]
    if dx is None or dx.size % (SIDE * SIDE):
        raise InputError(f"{model.name} takes {model.input_shape}; gradients are shown for 28x28")
    scaling = reader.preprocessing.get("scaling") or {"scale": 1.0}
    per_pixel = dx.reshape(SIDE, SIDE, -1).sum(-1)  # three channels are copies of one
    return np.asarray(per_pixel * np.float32(scaling["scale"]))


def accuracy(reader: Reader, edits: Edits, effects: dict[str, float]) -> dict[str, Any]:
    """How many of the 200 shipped digits a changed model reads, after the same effects."""
    images, labels = to_measure()
    began = time.perf_counter()
    twin = Reader(edited(reader.model, edits), reader.recipe)
    found = twin.probabilities(apply_effects(images, effects)).argmax(axis=1)
    names = np.array([*twin.class_names, ""])[found]
    right = int((names == labels.astype(str)).sum())
    return {"right": right, "of": len(labels), "seconds": time.perf_counter() - began}
