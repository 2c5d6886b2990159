"""Diagnose a set of pictures: how they differ from MNIST, and what each difference costs."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinymnist import limits
from tinymnist.archives import FileContent, is_archive, read_archive
from tinymnist.data import load_set
from tinymnist.data.sets import DIGITS, renumbered
from tinymnist.diagnosis.ink_and_paper import separate_ink
from tinymnist.diagnosis.properties import ALL, PROPERTIES, measure, mnist_reference
from tinymnist.diagnosis.repairs import PLANS, every_repair
from tinymnist.diagnosis.results import UNREAD, Diagnosis, Drift, Pictures
from tinymnist.diagnosis.script import measure_by_hand
from tinymnist.errors import InputError
from tinymnist.files import is_picture, pictures_in
from tinymnist.imaging.digit.isolate import NoDigitFound
from tinymnist.imaging.digit.normalize import normalize
from tinymnist.imaging.digit.recipes import tutorial
from tinymnist.imaging.picture.decode import decode, describe
from tinymnist.imaging.picture.pixels import Array
from tinymnist.labelled import known_labels, unknown_classes
from tinymnist.processes import map_in_order
from tinymnist.reader import Reader

_BATCH = 64
"""The number of pictures read together, in 65 variants each."""
_VARIANTS = len(PLANS) + 1


def open_pictures(
    spec: str, reader: Reader, labels: bool | None = None, limit: int | None = None
) -> Pictures:
    """Open a labelled set, any folder or archive of pictures, or one picture.

    Args:
        spec: as for :func:`tinymnist.load_set`, or a folder, an archive or a picture.
        reader: whose classes the labels must be.
        labels: True insists on labels, False ignores them, None uses them if the reader knows all
            of their classes.
        limit: how many pictures to draw at random, the same each time; None for all.

    Raises:
        InputError: when there are no pictures, or no labels where they are insisted on.

    Warns:
        UserWarning: when labels are ignored because the reader does not know their classes.
    """
    found = _open(spec, reader, labels)
    count = len(found.sources)
    if limit is None or limit >= count:
        return found
    chosen = np.sort(np.random.default_rng(0).choice(count, limit, replace=False))
    numbers = None if found.labels is None else found.labels[chosen]
    sources = [found.sources[i] for i in chosen]
    return Pictures(f"{found.name} ({limit} of {count})", sources, numbers)


def _open(spec: str, reader: Reader, labels: bool | None) -> Pictures:
    folder = Path(spec)
    is_unsorted = bool(spec) and folder.is_dir() and not (folder / "labels.csv").exists()
    try:
        labelled = load_set(spec)
    except InputError:
        is_bare = is_archive(spec) and Path(spec).is_file()
        if labels or not (is_unsorted or is_bare or is_picture(spec)):
            raise
        if is_bare:
            return Pictures(spec, _pictures_of_archive(spec))
        return Pictures(spec, pictures_in(folder) if is_unsorted else [folder])
    if labels:
        return Pictures(labelled.name, labelled.images, known_labels(labelled, reader))
    unknown = unknown_classes(labelled, reader)
    if unknown and labels is None:
        message = f"{unknown} are not classes of {reader.model.name}; labels ignored"
        warnings.warn(f"{spec}: {message}", stacklevel=3)
    if unknown and is_unsorted:
        return Pictures(spec, pictures_in(folder))  # also those beside the subfolders
    if unknown or labels is False:
        return Pictures(labelled.name, labelled.images)
    numbers = renumbered(labelled.labels, labelled.class_names, reader.class_names)
    return Pictures(labelled.name, labelled.images, numbers)


def _pictures_of_archive(path: str) -> list[FileContent]:
    with limits.opening(path, "an archive"):
        found = [file for file in read_archive(path, Counter()) if is_picture(file.name)]
        if not found:
            raise InputError(f"{path}: holds no pictures; expected files such as .png or .jpg")
        return found


def diagnose(
    pictures: Pictures,
    reader: Reader,
    tick: Callable[[], None] = lambda: None,
    workers: int | None = None,
) -> Diagnosis:
    """Measure pictures, repair them in every way, read them, and compare.

    ``tick`` is called after every picture, for a progress display. ``workers`` is how many
    processes prepare pictures; None takes one per core.

    Raises:
        InputError: when none of the pictures can be decoded.
    """
    studies: list[_Study] = []
    with closing(map_in_order(_study_of, pictures.sources, workers)) as made:
        while batch := [_ticked(study, tick) for study in islice(made, _BATCH)]:
            _read(batch, reader)
            studies += batch
    if all(study.squeezed is None for study in studies):
        first = next((study.failure for study in studies if study.failure), "there is none")
        raise InputError(f"no picture of {pictures.name} could be read: {first}")
    decoded = [i for i, study in enumerate(studies) if study.squeezed is not None]
    found = np.stack([study.found for study in studies])
    known = found[:, -1] if pictures.labels is None else pictures.labels
    counts = np.bincount(known[known != UNREAD], minlength=len(reader.class_names))
    shares = counts / max(counts.sum(), 1)
    drift = np.nan
    if reader.class_names == DIGITS:
        drift = float(np.abs(shares - mnist_reference().classes).sum()) / 2
    return Diagnosis(
        pictures=pictures,
        model=reader.model.name,
        class_names=reader.class_names,
        found=found,
        confidence=np.stack([study.confidence for study in studies]),
        drifts=_drifts(studies),
        class_shares=shares,
        class_drift=drift,
        failures={i: study.failure for i, study in enumerate(studies) if study.failure},
        by_hand=measure_by_hand([pictures.sources[i] for i in decoded], known[decoded], reader),
    )


@dataclass
class _Study:
    """One picture: its properties, and its variants until they are read."""

    values: dict[str, float] = field(default_factory=lambda: dict.fromkeys(PROPERTIES, np.nan))
    squeezed: Array | None = None
    variants: list[Array | None] = field(default_factory=lambda: [None] * _VARIANTS)
    failure: InputError | None = None
    found: NDArray[np.int64] = field(default_factory=lambda: np.full(_VARIANTS, UNREAD))
    confidence: NDArray[np.float32] = field(default_factory=lambda: np.zeros(_VARIANTS, np.float32))


def _study_of(source: Any) -> _Study:
    study = _Study()
    try:
        _prepare(study, source)
    except InputError as error:
        named = isinstance(source, np.ndarray) or describe(source) in str(error)
        study.failure = error if named else InputError(f"{describe(source)}: {error}")
    return study


def _ticked(study: _Study | InputError, tick: Callable[[], None]) -> _Study:
    """Count a study; an error means that the process which made it has ended."""
    tick()
    return _Study(failure=study) if isinstance(study, InputError) else study


def _prepare(study: _Study, source: Any) -> None:
    """Measure a picture and make its variants; the whole recipe's may raise InputError."""
    grey = decode(source)
    study.squeezed = tutorial(grey)
    study.variants[:-1] = [study.squeezed] * len(PLANS)  # unless a digit is found
    study.variants[-1] = normalize(grey)
    try:
        parts = separate_ink(grey)
    except NoDigitFound:
        return
    study.values = measure(parts)
    study.variants[:-1] = every_repair(parts, study.squeezed).values()


def _read(batch: list[_Study], reader: Reader) -> None:
    """Read all variants of a batch, each different image once."""
    variants = [
        (study, place, image)
        for study in batch
        for place, image in enumerate(study.variants)
        if image is not None
    ]
    images = {image.tobytes(): image for _, _, image in variants}
    if images:
        read = reader.probabilities(np.stack(list(images.values()))[..., None])
        rows = dict(zip(images, read, strict=True))
    for study, place, image in variants:
        row = rows[image.tobytes()]
        study.found[place], study.confidence[place] = row.argmax(), row.max()
        study.variants = []


def _drifts(studies: list[_Study]) -> dict[str, Drift]:
    reference, rng = mnist_reference(), np.random.default_rng(0)
    columns: dict[str, NDArray[np.floating]] = {
        name: np.array([study.values[name] for study in studies]) for name in PROPERTIES
    }
    blank = np.full((28, 28), np.nan, np.float32)
    seen = [blank if study.squeezed is None else study.squeezed for study in studies]
    columns["intensity"] = np.stack(seen).reshape(len(studies), -1)
    drifts = {}
    for name in ALL:
        known = columns[name][~np.isnan(columns[name])]
        chance = reference.chance(name, known.size, rng)
        drifts[name] = Drift(columns[name], reference.drift(name, known), chance)
    return drifts
