"""Callbacks with Keras's methods, ``on_epoch_end(self, epoch, logs)``, in a training of tinymnist.

Keras's callbacks are called with numbers and figures, and look at ``self.model``; those of
tinymnist with the whole training, of which they can see more. ``fit`` takes both.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from inspect import signature
from typing import Any

from tinymnist.errors import InputError
from tinymnist.nn.training.state import Callback, History, Training

HOOKS = (
    *("on_train_begin", "on_train_end", "on_epoch_begin", "on_epoch_end", "on_batch_begin"),
    *("on_batch_end", "on_train_batch_begin", "on_train_batch_end"),
)
"""Keras's methods that ``fit`` calls; others of Keras's are never called."""
_UNUSED = {f"on_{kind}_{when}" for kind in ("test", "predict", "test_batch", "predict_batch")
           for when in ("begin", "end")}  # fmt: skip


def own_hooks(callback: Any) -> dict[str, Callable[..., Any]]:
    """The methods that a callback brings along, by name: not those of our base."""
    names = [name for name in dir(callback) if name.startswith("on_") and name not in _UNUSED]
    return {
        name: getattr(callback, name)
        for name in names
        if callable(getattr(callback, name))
        and getattr(type(callback), name, None) is not getattr(Callback, name, callback)
    }


def is_keras_style(callback: Any) -> bool:
    """Whether a method of its own takes something other than ``training``."""
    firsts = [next(iter(signature(hook).parameters), "") for hook in own_hooks(callback).values()]
    return any(first != "training" for first in firsts)


class KerasStyle(Callback):
    """Calls a callback as Keras would."""

    def __init__(self, theirs: Any) -> None:
        """Wrap it.

        Raises:
            ValueError: if it has a method that Keras does not know.
        """
        self.theirs, self.hooks = theirs, own_hooks(theirs)
        if unknown := sorted(self.hooks.keys() - set(HOOKS)):
            raise ValueError(f"fit calls {', '.join(HOOKS)}. Received: {unknown}")

    def on_train_begin(self, training: Training) -> None:
        """Hand over the model and call the first three methods."""
        steps: dict[str, Any] = {"steps": training.batches, "epochs": training.epochs, "verbose": 0}
        self.theirs.model, self.theirs.params = training.model, steps
        self._call(training, "on_train_begin", {})
        self._begin_epoch(training)

    def _begin_epoch(self, training: Training) -> None:
        self._call(training, "on_epoch_begin", training.position.epoch, {})
        self._begin_batch(training)

    def _begin_batch(self, training: Training) -> None:
        for name in ("on_train_batch_begin", "on_batch_begin"):
            self._call(training, name, training.position.batch, {})

    def on_batch_end(self, training: Training) -> None:
        """Pass the figures of the epoch so far."""
        if self.hooks.keys() & {"on_train_batch_end", "on_batch_end"}:
            for name in ("on_train_batch_end", "on_batch_end"):
                self._call(training, name, training.position.batch - 1, training.figures)
            training.interrupted |= training.position.finished
        if training.position.batch < training.batches:
            self._begin_batch(training)

    def on_epoch_end(self, training: Training, logs: dict[str, float]) -> None:
        """Pass the number of the epoch, from 0, and its figures."""
        self._call(training, "on_epoch_end", training.position.epoch - 1, logs)
        if not training.is_over:
            self._begin_epoch(training)

    def on_train_end(self, training: Training) -> None:
        """Call the last method."""
        self._call(training, "on_train_end", {})

    def _call(self, training: Training, name: str, *args: Any) -> None:
        if name in self.hooks:
            self.hooks[name](*args)
            if getattr(training.model, "stop_training", False):
                training.position.finished = True


class Recorder(Callback):
    """Fills a ``History`` that a script put among its callbacks."""

    def __init__(self, history: History) -> None:
        self.history = history

    def on_epoch_end(self, training: Training, logs: dict[str, float]) -> None:
        """Add the figures of the epoch."""
        self.history.append(training.position.epoch - 1, logs)


class LambdaCallback:
    """Functions as Keras calls them: ``LambdaCallback(on_epoch_end=lambda epoch, logs: ...)``."""

    def __init__(self, **hooks: Callable[..., Any] | None) -> None:
        """Take a function by the name of each method.

        Raises:
            ValueError: for a name that Keras does not know.
        """
        if unknown := sorted(hooks.keys() - set(HOOKS)):
            raise ValueError(f"LambdaCallback takes {', '.join(HOOKS)}. Received: {unknown}")
        vars(self).update({name: hook for name, hook in hooks.items() if hook is not None})


class TerminateOnNaN(Callback):
    """End the training as soon as the loss is not a number."""

    def on_batch_end(self, training: Training) -> None:
        """Look at the loss so far."""
        if not math.isfinite(training.position.mean_loss):
            training.interrupted = True


class TensorBoard:
    """Refused, because it needs TensorFlow."""

    def __init__(self, *_: Any, **__: Any) -> None:
        """Say what to use.

        Raises:
            InputError: always.
        """
        raise InputError(
            "TensorBoard's files need TensorFlow; use CSVLogger('history.csv'), or the history "
            "that fit returns, which a notebook shows as curves"
        )
