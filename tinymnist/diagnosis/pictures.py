"""From what a diagnosis is asked about to its pictures: with labels, without, or a few of many."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

from tinymnist.data import load_set
from tinymnist.data.sets import renumbered
from tinymnist.diagnosis.results import Pictures
from tinymnist.errors import InputError
from tinymnist.evaluation import known_labels, unknown_classes
from tinymnist.files import pictures_in
from tinymnist.reader import Reader


def open_pictures(
    spec: str, reader: Reader, labels: bool | None = None, limit: int | None = None
) -> Pictures:
    """Open a labelled set or any folder of pictures.

    Args:
        spec: as for :func:`tinymnist.load_set`, or a folder.
        reader: whose classes the labels must be.
        labels: True insists on labels, False ignores them, None uses them if the reader knows all
            of their classes.
        limit: how many pictures to draw at random, the same each time; None for all.

    Raises:
        InputError: when there are no pictures, or no labels where they are insisted on.

    Warns:
        UserWarning: when labels are ignored because the reader does not know their classes.
    """
    pictures = _opened(spec, reader, labels)
    count = len(pictures.sources)
    if limit is None or limit >= count:
        return pictures
    chosen = np.sort(np.random.default_rng(0).choice(count, limit, replace=False))
    return Pictures(
        f"{pictures.name} ({limit} of {count})",
        [pictures.sources[i] for i in chosen],
        None if pictures.labels is None else pictures.labels[chosen],
    )


def _opened(spec: str, reader: Reader, labels: bool | None) -> Pictures:
    folder = Path(spec)
    is_unsorted = bool(spec) and folder.is_dir() and not (folder / "labels.csv").exists()
    try:
        labelled = load_set(spec)
    except InputError:
        if labels or not is_unsorted:
            raise
        return Pictures(spec, pictures_in(folder))
    if labels:
        return Pictures(labelled.name, labelled.images, known_labels(labelled, reader))
    unknown = unknown_classes(labelled, reader)
    if unknown and labels is None:
        warnings.warn(
            f"{spec}: {unknown} are not classes of {reader.model.name}; labels ignored",
            stacklevel=3,
        )
    if unknown and is_unsorted:
        return Pictures(spec, pictures_in(folder))  # also those beside the subfolders
    if unknown or labels is False:
        return Pictures(labelled.name, labelled.images)
    numbers = renumbered(labelled.labels, labelled.class_names, reader.class_names)
    return Pictures(labelled.name, labelled.images, numbers)
