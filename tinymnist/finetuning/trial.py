"""Is fine-tuning worth it? Measured on pictures that were held out, then done with all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from tinymnist.data.sets import renumbered, stratified_folds, stratified_split
from tinymnist.errors import InputError
from tinymnist.finetuning.head import class_names_of
from tinymnist.finetuning.settings import MANY, Checkpoints, FineTuning
from tinymnist.finetuning.stages import finetune
from tinymnist.imaging.digit.recipes import PreparedSet
from tinymnist.nn.metrics import confusion_matrix
from tinymnist.nn.sequential import Sequential
from tinymnist.reader import Reader

FOLDS = 5
HELD_OUT, TO_STOP_BY = 0.1, 0.1
NOT_HELD_OUT = -1
"""The class read in a picture that no model was measured on."""

Labels = NDArray[np.int64]
Say = Callable[[str], None]
Tune = Callable[..., Sequential]


@dataclass(frozen=True)
class Trial:
    """A fine-tuned model, and how it and its base read pictures they have not learnt from.

    Attributes:
        model: the fine-tuned model.
        class_names: the model's.
        labels: (n,) indices into ``class_names``.
        before: (n,) the class the base reads; -1 for a class that the model does not have.
        after: (n,) the class read by a model that has not seen the picture; -1 if there is none.
        confidence: (n,) of ``after``, 0..1.
        folds: how many models were trained to measure; 0 if nothing could be held out.
        comparable: whether the base knows the classes, so that ``before`` can be compared.
    """

    model: Sequential
    class_names: tuple[str, ...]
    labels: NDArray[np.int64]
    before: NDArray[np.int64]
    after: NDArray[np.int64]
    confidence: NDArray[np.float32]
    folds: int
    comparable: bool

    @property
    def measured(self) -> NDArray[np.bool_]:
        """(n,) whether each picture was held out and measured."""
        return np.not_equal(self.after, NOT_HELD_OUT)

    @property
    def n(self) -> int:
        """The number of pictures that were held out."""
        return int(self.measured.sum())

    @property
    def accuracy_before(self) -> float | None:
        """The base's accuracy on the pictures held out, 0..1; None if not ``comparable``."""
        return self._accuracy(self.before) if self.comparable else None

    @property
    def accuracy(self) -> float | None:
        """The accuracy after fine-tuning on the pictures held out, 0..1; None without any."""
        return self._accuracy(self.after)

    @property
    def confusion(self) -> NDArray[np.int64]:
        """(classes, classes) counts of (true class, class read) of the pictures held out."""
        rows = self.measured
        return confusion_matrix(self.labels[rows], self.after[rows], len(self.class_names))

    @property
    def wrong(self) -> NDArray[np.int64]:
        """The indices of the pictures still misread, the most confident errors first."""
        found = np.flatnonzero(self.measured & (self.after != self.labels))
        return found[np.argsort(-self.confidence[found], kind="stable")]

    def _accuracy(self, found: NDArray[np.int64]) -> float | None:
        rows = self.measured
        return float((found[rows] == self.labels[rows]).mean()) if rows.any() else None


def attempt(
    base: Sequential,
    pictures: PreparedSet | NDArray[np.float32],
    labels: NDArray[np.int64],
    class_names: Sequence[str],
    settings: FineTuning = FineTuning(),  # noqa: B008 (it is immutable)
    *,
    checkpoints: Checkpoints | None = None,
    say: Say = lambda line: None,
    verbose: str | int = 0,
) -> Trial:
    """Fine-tune, and measure the gain.

    With fewer than :data:`MANY` pictures, up to :data:`FOLDS` models (at most as many as the
    largest class has pictures) are fine-tuned for measuring, each without its fold, and one on all
    pictures, which is kept. With more, a tenth of every class is held out for measuring and a tenth
    for early stopping, and the one model is kept. Models learn from the first reading of every
    picture, and are measured as :class:`~tinymnist.reader.Reader` reads, by all readings.

    Args:
        pictures: (n, 28, 28, 1) in MNIST's form, or pictures after a recipe.
        base, labels, class_names, settings, checkpoints: as for
            :func:`~tinymnist.finetuning.stages.finetune`.
        say: called with a line before each model.
        verbose: as in ``fit``.

    Raises:
        InputError: when fewer than two classes have pictures.
    """
    check_classes(labels, class_names)
    tune = partial(
        finetune,
        base,
        class_names=class_names,
        settings=settings,
        checkpoints=checkpoints,
        verbose=verbose,
    )
    if not isinstance(pictures, PreparedSet):
        pictures = PreparedSet.of(pictures)
    guesses = _Guesses(pictures)
    if len(labels) >= MANY:
        model, folds = _once(tune, guesses, labels, settings.seed, say), 1
    else:
        folds = _in_folds(tune, guesses, labels, settings.seed, say)
        say(f"learning from all {len(labels)} pictures")
        model = tune(images=guesses.images, labels=labels)
    names = class_names_of(model)
    taken = Reader(base).probabilities_of(pictures).argmax(axis=1)
    return Trial(
        model,
        names,
        renumbered(labels, class_names, names),
        renumbered(taken, class_names_of(base), names),
        guesses.found,
        guesses.confidence,
        folds,
        comparable=set(class_names) <= set(class_names_of(base)),
    )


def check_classes(labels: NDArray[np.int64], class_names: Sequence[str]) -> None:
    """Check that at least two classes have pictures.

    Raises:
        InputError: when fewer do.
    """
    found = [class_names[i] for i in np.unique(labels)]
    if len(found) < 2:
        raise InputError(
            "fine-tuning needs classes to distinguish; expected pictures of at least two, "
            f"found {'only ' + repr(found[0]) if found else 'none'}"
        )


class _Guesses:
    """What models read in pictures that they have not learnt from."""

    def __init__(self, pictures: PreparedSet) -> None:
        self.pictures, self.images = pictures, pictures.images
        self.found = np.full(len(pictures.kept), NOT_HELD_OUT)
        self.confidence = np.zeros(len(self.found), np.float32)

    def note(self, model: Sequential, rows: NDArray[np.bool_]) -> None:
        p = Reader(model).probabilities_of(self.pictures.only(rows))
        self.found[rows], self.confidence[rows] = p.argmax(axis=1), p.max(axis=1)


def _once(tune: Tune, guesses: _Guesses, labels: Labels, seed: int, say: Say) -> Sequential:
    """One model, measured on the pictures that it has not seen."""
    images = guesses.images
    held = stratified_split(labels, HELD_OUT, seed)
    rest = np.flatnonzero(~held)
    stops = stratified_split(labels[rest], TO_STOP_BY, seed + 1)
    learn, stop = rest[~stops], rest[stops]
    say(f"learning from {len(learn)} pictures, stopping by {len(stop)}, measuring on {held.sum()}")
    model = tune(
        images=images[learn], labels=labels[learn], validation=(images[stop], labels[stop])
    )
    guesses.note(model, held)
    return model


def _in_folds(tune: Tune, guesses: _Guesses, labels: Labels, seed: int, say: Say) -> int:
    """Train one model per fold and measure it there; returns the number of folds."""
    count = min(FOLDS, int(np.bincount(labels).max()))
    if count < 2:
        return 0  # one picture per class: nothing can be held out
    fold = stratified_folds(labels, count, seed)
    for number in range(count):
        held = fold == number
        say(f"fold {number + 1} of {count}: {(~held).sum()} pictures, measured on {held.sum()}")
        learn = np.flatnonzero(~held)
        model = tune(images=guesses.images[learn], labels=labels[learn], name=f"fold-{number + 1}")
        guesses.note(model, held)
    return count
