"""Is fine-tuning worth it? Measured on pictures that were held out, then done with all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tinymnist.data.sets import renumbered, stratified_folds, stratified_split
from tinymnist.errors import InputError
from tinymnist.finetuning.settings import MANY, Checkpoints, FineTuning
from tinymnist.finetuning.stages import finetune
from tinymnist.imaging.digit.recipes import PreparedSet
from tinymnist.nn.metrics import confusion_matrix
from tinymnist.nn.sequential import Sequential
from tinymnist.reader import Reader
from tinymnist.reporting.text import count

FOLDS = 5
HELD_OUT, TO_STOP_BY = 0.1, 0.1
NOT_HELD_OUT = -1
"""The class read in a picture that no model was measured on."""

Labels = NDArray[np.int64]


@dataclass(frozen=True, eq=False, repr=False)
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
    labels: Labels
    before: Labels
    after: Labels
    confidence: NDArray[np.float32]
    folds: int
    comparable: bool

    def __repr__(self) -> str:
        shares = (self.accuracy_before, self.accuracy)
        before, after = ("-" if share is None else f"{share:.4f}" for share in shares)
        return f"Trial({self.model.name}, held out: {self.n}, accuracy {before} -> {after})"

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
    def confusion(self) -> Labels:
        """(classes, classes) counts of (true class, class read) of the pictures held out."""
        rows = self.measured
        return confusion_matrix(self.labels[rows], self.after[rows], len(self.class_names))

    @property
    def wrong(self) -> Labels:
        """The indices of the pictures still misread, the most confident errors first."""
        found = np.flatnonzero(self.measured & (self.after != self.labels))
        return found[np.argsort(-self.confidence[found], kind="stable")]

    def _accuracy(self, found: Labels) -> float | None:
        rows = self.measured
        return float((found[rows] == self.labels[rows]).mean()) if rows.any() else None


def attempt(
    base: Sequential,
    pictures: PreparedSet | NDArray[np.float32],
    labels: Labels,
    class_names: Sequence[str],
    settings: FineTuning = FineTuning(),  # noqa: B008 (it is immutable)
    *,
    checkpoints: Checkpoints | None = None,
    say: Callable[[str], None] = lambda line: None,
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
        base, labels, class_names, settings, checkpoints, verbose: as for
            :func:`~tinymnist.finetuning.stages.finetune`.
        say: called with a line before each model.

    Raises:
        InputError: when fewer than two classes have pictures.
    """
    used = [class_names[i] for i in np.unique(labels)]
    if len(used) < 2:
        raise InputError(
            "fine-tuning needs classes to distinguish; expected pictures of at least two, "
            f"found {'only ' + repr(used[0]) if used else 'none'}"
        )
    if not isinstance(pictures, PreparedSet):
        pictures = PreparedSet.of(pictures)
    images, folds = pictures.images, 0
    after, confidence = np.full(len(labels), NOT_HELD_OUT), np.zeros(len(labels), np.float32)
    for name, line, learn, stop, held in _runs(labels, settings.seed):
        say(line)
        model = finetune(
            base,
            images[learn],
            labels[learn],
            class_names,
            settings,
            validation=(images[stop], labels[stop]) if stop.size else None,
            checkpoints=checkpoints,
            name=name,
            verbose=verbose,
        )
        if held.any():
            folds += 1
            p = Reader(model).probabilities_of(pictures.only(held))
            after[held], confidence[held] = p.argmax(axis=1), p.max(axis=1)
    reader, names = Reader(base), Reader(model).class_names
    taken = reader.probabilities_of(pictures).argmax(axis=1)
    return Trial(
        model,
        names,
        renumbered(labels, class_names, names),
        renumbered(taken, reader.class_names, names),
        after,
        confidence,
        folds,
        comparable=set(class_names) <= set(reader.class_names),
    )


class _Run(NamedTuple):
    """One model: the numbers of pictures to learn from and to stop by, and which to measure on."""

    name: str
    line: str
    learn: Labels
    stop: Labels
    held: NDArray[np.bool_]


def _runs(labels: Labels, seed: int) -> Iterator[_Run]:
    """The models to train; the last is kept."""
    if len(labels) >= MANY:
        held = stratified_split(labels, HELD_OUT, seed)
        rest = np.flatnonzero(~held)
        stops = stratified_split(labels[rest], TO_STOP_BY, seed + 1)
        learn, stop = rest[~stops], rest[stops]
        line = f"{count(len(learn), 'picture')}, stopping by {len(stop)}, measuring on {held.sum()}"
        yield _Run("all", f"learning from {line}", learn, stop, held)
        return
    none, folds = np.arange(0), min(FOLDS, int(np.bincount(labels).max()))
    if folds > 1:  # with one picture per class, nothing can be held out
        fold = stratified_folds(labels, folds, seed)
        for number in range(folds):
            held = fold == number
            learn = np.flatnonzero(~held)
            of = count(len(learn), "picture")
            line = f"fold {number + 1} of {folds}: {of}, measured on {held.sum()}"
            yield _Run(f"fold-{number + 1}", line, learn, none, held)
    line = f"learning from all {len(labels)} pictures"
    yield _Run("all", line, np.arange(len(labels)), none, np.zeros(len(labels), bool))
