"""Is fine-tuning worth it? Measured on pictures that were held out, then done with all of them.

A few pictures can also do harm: a network learns their accidents. On the line between the base's
weights and the fine-tuned ones, a point in the middle often reads better than both ends (Wortsman
et al., "Robust fine-tuning of zero-shot models", 2022). The models that are trained to measure show
how much of the change to keep: about half where they say little, more or less where they say much.
If none of them gains anything, the base stays.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tinymnist.data.sets import renumbered
from tinymnist.data.splits import stratified_folds, stratified_split
from tinymnist.errors import InputError
from tinymnist.finetuning.settings import AVERAGE, MANY, Checkpoints, FineTuning
from tinymnist.finetuning.stages import average_with, finetune, sign, start_from
from tinymnist.imaging.digit.recipes import PreparedSet
from tinymnist.nn.metrics import confusion_matrix
from tinymnist.nn.sequential import Sequential
from tinymnist.nn.training.fit import Progress
from tinymnist.nn.training.state import Training
from tinymnist.reader import Reader
from tinymnist.reporting.text import count

FOLDS = 5
HELD_OUT, TO_STOP_BY = 0.1, 0.1
NOT_HELD_OUT = -1
"""The class read in a picture that no model was measured on."""
SHARES = np.linspace(0, 1, 11)
"""Shares of the change that may be kept: 0 is the base, 1 the fine-tuned model."""
SURE = 0.9
"""A probability of the true class that counts as certain; a higher one is only more confident."""
MIN_GAIN = 0.1
"""The base stays unless this many fewer of all held-out pictures can be expected to be misread."""

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
        kept: the share of the change that was kept, 0..1; 0 if the base stayed.
        curve: (11,) the mean of :func:`expected_errors` of the pictures held out, 0..1, by
            :data:`SHARES`; None if the share was not chosen on pictures.
    """

    model: Sequential
    class_names: tuple[str, ...]
    labels: Labels
    before: Labels
    after: Labels
    confidence: NDArray[np.float32]
    folds: int
    comparable: bool
    kept: float
    curve: NDArray[np.float64] | None = None

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

    @property
    def repaired(self) -> Labels:
        """The indices of the held-out pictures that the base misread, and that are right now."""
        was_wrong = self.comparable & (self.before != self.labels)
        return np.flatnonzero(self.measured & was_wrong & (self.after == self.labels))

    @property
    def lost(self) -> Labels:
        """The indices of the held-out pictures that the base read right, and that are wrong now."""
        was_right = self.comparable & (self.before == self.labels)
        return np.flatnonzero(self.measured & was_right & (self.after != self.labels))

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
    watch: Callable[[float], None] | None = None,
    verbose: str | int = 0,
) -> Trial:
    """Fine-tune, and measure the gain.

    With fewer than :data:`MANY` pictures, up to :data:`FOLDS` models (at most as many as the
    largest class has pictures) are fine-tuned for measuring, each without its fold, and one on all
    pictures, which is kept. With more, a tenth of every class is held out for measuring and a tenth
    for early stopping, and the one model is kept. Models learn from the first reading of every
    picture, and are measured as :class:`~tinymnist.reader.Reader` reads, by all readings. If the
    base's head stays, :func:`share_to_keep` says how much of the change is kept.

    Args:
        pictures: (n, 28, 28, 1) in MNIST's form, or pictures after a recipe.
        base, labels, class_names, settings, checkpoints, verbose: as for
            :func:`~tinymnist.finetuning.stages.finetune`.
        say: called with a line before each model.
        watch: called after every batch with the share of the work that is done, 0..1, of all
            models together; it takes the place of ``verbose``.

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
    images, reader = pictures.images, Reader(base)
    before = reader.probabilities_of(pictures)
    comparable = set(class_names) <= set(reader.class_names)
    stays = comparable and settings.hidden is None
    names = reader.class_names if stays else tuple(class_names)
    truth = renumbered(labels, class_names, names)
    chooses = stays and settings.average is None
    shares = SHARES if chooses else np.ones(1)
    own = replace(settings, average=0.0) if chooses else settings
    *measuring, last = _runs(labels, settings.seed, singles=stays)
    measuring += [last] if last.held.any() else []
    held = np.zeros(len(labels), bool)
    p = np.zeros((len(shares), len(labels), len(names)), np.float32)

    runs = [*measuring, *([last] if last not in measuring else [])]
    work = None if watch is None else _Work(runs, settings, 1 if stays else 2, watch)

    def learn(run: _Run) -> Sequential:
        say(run.line)
        return finetune(
            base,
            images[run.learn],
            labels[run.learn],
            class_names,
            own,
            validation=(images[run.stop], labels[run.stop]) if run.stop.size else None,
            checkpoints=checkpoints,
            name=run.name,
            verbose=verbose if work is None else work.begin(run),
        )

    for run in measuring:
        model = learn(run)
        held |= run.held
        for number, share in enumerate(shares):
            if share == 0:
                p[number, run.held] = before[run.held]
                continue
            way = Reader(_between(base, model, share) if chooses else model)
            p[number, run.held] = way.probabilities_of(pictures.only(run.held))
    best, curve = 0, None
    if chooses and measuring:
        errors = expected_errors(p[:, held, truth[held]])
        best, curve = share_to_keep(errors), errors.mean(axis=1)
    kept = float(shares[best]) if measuring or not chooses else 1 - AVERAGE
    if kept == 0:
        model = start_from(base, class_names).model
        text = f"fine-tuning by tinymnist on {len(labels)} pictures gained nothing; the base stayed"
        sign(model, base, text)
    else:
        model = learn(last) if last not in measuring else model
        model = _between(base, model, kept) if chooses else model
    return Trial(
        model,
        names,
        truth,
        renumbered(before.argmax(axis=1), reader.class_names, names),
        np.where(held, p[best].argmax(axis=1), NOT_HELD_OUT),
        p[best].max(axis=1),
        len(measuring),
        comparable,
        kept,
        curve,
    )


def expected_errors(right: NDArray[np.float32]) -> NDArray[np.float64]:
    """How far each picture is from being read surely, 0..1, from the true class's probability.

    A few pictures hold few errors, so probabilities are compared. They count up to :data:`SURE`
    only: fine-tuning makes a network more confident, which by itself gains nothing. And a single
    hopeless picture, which would dominate cross-entropy, counts like any other.
    """
    return 1 - np.minimum(right.astype(np.float64) / SURE, 1)


def share_to_keep(errors: NDArray[np.float64]) -> int:
    """The number of the share to keep: 0, the base, if the others gain next to nothing.

    Taking the share with the smallest error would trust a few pictures too much. So every share
    gets the weight exp(-e), where e is the number of pictures that are expected to be misread, and
    the mean is kept: a Gibbs posterior (Catoni, "PAC-Bayesian supervised classification", 2007).

    Args:
        errors: (k, n) by share and picture; the first row is the base's.
    """
    misread = errors.sum(axis=1)
    if misread[0] - misread.min() < MIN_GAIN:
        return 0
    weights = np.exp(misread.min() - misread)
    return round(float(weights @ np.arange(len(errors)) / weights.sum()))


def _between(base: Sequential, model: Sequential, share: float) -> Sequential:
    """A copy of the model with that share of its change from the base."""
    model = copy.deepcopy(model)
    average_with(model, base.weights, 1 - share)
    return model


class _Work:
    """Reports how much of the work of several models is done, 0..1, after every batch."""

    def __init__(
        self, runs: list[_Run], settings: FineTuning, stages: int, watch: Callable[[float], None]
    ) -> None:
        sizes = [len(run.learn) for run in runs]
        each = [settings.epochs_for(n) * settings.steps_per_epoch(n) for n in sizes]
        self._ends = np.cumsum(each) / max(sum(each), 1)
        self._names = [run.name for run in runs]
        self._stages = stages if settings.unfreeze != 0 else 1
        self._watch = watch

    def begin(self, run: _Run) -> Progress:
        """What ``fit`` shows of a model: its part of the whole."""
        number, seen = self._names.index(run.name), list[Training]()
        end = float(self._ends[number])
        start = float(self._ends[number - 1]) if number else 0.0

        def report(training: Training) -> None:
            if not seen or seen[-1] is not training:
                seen.append(training)
            at = training.position
            share = (at.epoch + at.batch / training.batches) / training.epochs
            if self._stages == 2:  # the new head alone takes about a fifth of the time
                share = 0.2 * share if len(seen) == 1 else 0.2 + 0.8 * share
            self._watch(min(start + (end - start) * share, 1.0))

        return Progress(0, report)


class _Run(NamedTuple):
    """One model: the numbers of pictures to learn from and to stop by, and which to measure on."""

    name: str
    line: str
    learn: Labels
    stop: Labels
    held: NDArray[np.bool_]


def _runs(labels: Labels, seed: int, singles: bool) -> Iterator[_Run]:
    """The models to train; the last is kept. ``singles`` as in ``stratified_folds``."""
    if len(labels) >= MANY:
        held = stratified_split(labels, HELD_OUT, seed)
        rest = np.flatnonzero(~held)
        stops = stratified_split(labels[rest], TO_STOP_BY, seed + 1)
        learn, stop = rest[~stops], rest[stops]
        line = f"{count(len(learn), 'picture')}, stopping by {len(stop)}, measuring on {held.sum()}"
        yield _Run("all", f"learning from {line}", learn, stop, held)
        return
    most = len(labels) if singles else int(np.bincount(labels).max())
    none, folds = np.arange(0), min(FOLDS, most)
    if folds > 1:  # with one picture per class, a new head leaves none to hold out
        fold = stratified_folds(labels, folds, seed, singles=singles)
        for number in range(folds):
            held = fold == number
            learn = np.flatnonzero(~held)
            of = count(len(learn), "picture")
            line = f"fold {number + 1} of {folds}: {of}, measured on {held.sum()}"
            yield _Run(f"fold-{number + 1}", line, learn, none, held)
    line = f"learning from all {len(labels)} pictures"
    yield _Run("all", line, np.arange(len(labels)), none, np.zeros(len(labels), bool))
