"""Diagnose a set of pictures: how they differ from MNIST, and what each difference costs.

``python -m tinymnist.diagnosis.diagnose`` measures and writes the shipped statistics of MNIST, on
all 60,000 training pictures (in a few minutes; it needs MNIST).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinymnist.diagnosis.ink_and_paper import separate_ink
from tinymnist.diagnosis.mnist_statistics import (
    Reference,
    make_reference,
    mnist_reference,
    save_reference,
)
from tinymnist.diagnosis.properties import ALL, PROPERTIES, measure
from tinymnist.diagnosis.repairs import PLANS, every_repair
from tinymnist.diagnosis.results import UNREAD, Diagnosis, Drift, Pictures
from tinymnist.errors import InputError
from tinymnist.imaging.digit.normalize import NoDigitFound, normalize
from tinymnist.imaging.digit.recipes import tutorial
from tinymnist.imaging.picture.decode import decode, describe
from tinymnist.imaging.picture.pixels import Array
from tinymnist.reader import Reader

_BATCH = 64
"""The number of pictures read together, in 65 variants each."""
_VARIANTS = len(PLANS) + 1


def diagnose(
    pictures: Pictures,
    reader: Reader,
    tick: Callable[[], None] = lambda: None,
    reference: Reference | None = None,
) -> Diagnosis:
    """Measure pictures, repair them in every way, read them, and compare.

    Args:
        pictures: the set.
        reader: its network reads the pictures.
        tick: called after every picture, for a progress display.
        reference: MNIST's statistics; None for the shipped ones.

    Raises:
        InputError: when none of the pictures can be decoded.
    """
    reference = reference or mnist_reference()
    studies = [study for batch in _batches(pictures, tick) for study in _read(batch, reader)]
    if not any(study.squeezed is not None for study in studies):
        first = next((study.failure for study in studies if study.failure), "there is none")
        raise InputError(f"no picture of {pictures.name} could be read: {first}")
    labels = pictures.labels
    found = np.stack([study.found for study in studies])
    shares = _shares(found[:, -1] if labels is None else labels, len(reader.class_names))
    same = reader.class_names == tuple("0123456789")
    return Diagnosis(
        pictures=pictures,
        model=reader.model.name,
        class_names=reader.class_names,
        found=found,
        confidence=np.stack([study.confidence for study in studies]),
        drifts=_drifts(studies, reference),
        class_shares=shares,
        class_drift=float(np.abs(shares - reference.classes).sum()) / 2 if same else np.nan,
        failures={i: study.failure for i, study in enumerate(studies) if study.failure},
    )


@dataclass
class _Study:
    """One picture: its properties, and its variants until they are read."""

    values: dict[str, float]
    squeezed: Array | None = None
    variants: list[Array | None] | None = None
    failure: InputError | None = None
    found: NDArray[np.int64] = field(default_factory=lambda: np.full(_VARIANTS, UNREAD))
    confidence: NDArray[np.float32] = field(default_factory=lambda: np.zeros(_VARIANTS, np.float32))


def _study(source: Any) -> _Study:
    study = _Study(dict.fromkeys(PROPERTIES, np.nan))
    study.variants = [None] * _VARIANTS
    try:
        grey = decode(source)
    except InputError as error:
        study.failure = error
        return study
    study.squeezed = tutorial(grey)
    study.variants[:-1] = [study.squeezed] * len(PLANS)  # unless a digit is found
    try:
        study.variants[-1] = normalize(grey)
        parts = separate_ink(grey)
    except NoDigitFound as error:
        study.failure = None if study.variants[-1] is not None else error
        return study
    study.values = measure(parts)
    study.variants[:-1] = every_repair(parts, study.squeezed).values()
    return study


def _batches(pictures: Pictures, tick: Callable[[], None]) -> Iterator[list[_Study]]:
    batch: list[_Study] = []
    for source in pictures.sources:
        study = _study(source)
        if study.failure is not None:
            study.failure = _named(study.failure, source)
        batch.append(study)
        tick()
        if len(batch) == _BATCH:
            yield batch
            batch = []
    yield batch


def _named(error: InputError, source: Any) -> InputError:
    if isinstance(source, np.ndarray) or describe(source) in str(error):
        return error
    return InputError(f"{describe(source)}: {error}")


def _read(batch: list[_Study], reader: Reader) -> list[_Study]:
    """Read all variants of a batch, each different image once."""
    numbers: dict[bytes, int] = {}
    images: list[Array] = []
    for image in (image for study in batch for image in study.variants or []):
        if image is not None and numbers.setdefault(image.tobytes(), len(images)) == len(images):
            images.append(image)
    if images:
        probabilities = reader.probabilities(np.stack(images)[..., None])
    for study in batch:
        for place, image in enumerate(study.variants or []):
            if image is not None:
                row = probabilities[numbers[image.tobytes()]]
                study.found[place], study.confidence[place] = row.argmax(), row.max()
        study.variants = None
    return batch


def _drifts(studies: list[_Study], reference: Reference) -> dict[str, Drift]:
    columns: dict[str, NDArray[np.floating]] = {
        name: np.array([study.values[name] for study in studies]) for name in PROPERTIES
    }
    blank = np.full((28, 28), np.nan, np.float32)
    seen = [blank if study.squeezed is None else study.squeezed for study in studies]
    columns["intensity"] = np.stack(seen).reshape(len(studies), -1)
    rng = np.random.default_rng(0)
    drifts = {}
    for name in ALL:
        known = columns[name][~np.isnan(columns[name])]
        chance = reference.chance(name, known.size, rng)
        drifts[name] = Drift(columns[name], reference.drift(name, known), chance)
    return drifts


def _shares(classes: NDArray[np.int64], count: int) -> NDArray[np.float64]:
    counts = np.bincount(classes[classes != UNREAD], minlength=count).astype(np.float64)
    shares: NDArray[np.float64] = counts / max(counts.sum(), 1)
    return shares


def measure_mnist() -> Reference:
    """Measure MNIST's statistics, on all training pictures.

    A regular selection would mislead, because every other picture is from another group of writers.
    """
    from tinymnist.data import load_mnist

    images, labels = load_mnist("train")
    greys = [decode(image) for image in images]
    measured = [measure(separate_ink(grey)) for grey in greys]
    values: dict[str, NDArray[np.floating]] = {
        name: np.array([one[name] for one in measured]) for name in PROPERTIES
    }
    values["intensity"] = np.stack([tutorial(grey) for grey in greys]).reshape(-1)
    return make_reference(values, _shares(labels.astype(np.int64), 10))


if __name__ == "__main__":
    save_reference(measure_mnist())
