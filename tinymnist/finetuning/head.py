"""The model that fine-tuning starts from: with the base's own head if that knows the classes.

A head that has learnt from 60,000 digits knows more than a few pictures can teach. So it is kept if
it knows all the classes, and its columns are kept for those classes that it knows.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

from tinymnist.errors import InputError
from tinymnist.nn.layers import Dense
from tinymnist.nn.sequential import Sequential


@dataclass(frozen=True)
class Start:
    """A model before fine-tuning.

    Attributes:
        model: a copy of the base; its metadata has the class names.
        head_layers: the number of layers with parameters in the head.
        is_new: whether the head has new kernels.
    """

    model: Sequential
    head_layers: int
    is_new: bool

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the model's classes."""
        return class_names_of(self.model)


def class_names_of(model: Sequential) -> tuple[str, ...]:
    """The class names in a model's metadata, or else the classes' numbers."""
    names = model.metadata.get("class_names")
    return tuple(names) if names else tuple(map(str, range(model.output_shape[-1])))


def start_from(
    base: Sequential, class_names: Sequence[str], *, hidden: int | None = None, seed: int = 0
) -> Start:
    """Copy the base, with a new head if it does not know all the classes.

    Args:
        base: a trained model; it is not changed.
        class_names: the classes to learn.
        hidden: units of a relu layer before a new head. With a number, the head is new even if the
            base knows the classes.
        seed: for new kernels.

    Raises:
        InputError: when the base has no Dense layer that a new head could replace.
    """
    base = copy.deepcopy(base)
    known = class_names_of(base)
    if hidden is None and set(class_names) <= set(known):
        base.metadata["class_names"] = list(known)
        return Start(base, 1, is_new=False)
    if not any(isinstance(layer, Dense) for layer in base.layers):
        raise InputError(
            f"{base.name} has no Dense layer that a new head for the classes "
            f"{', '.join(class_names)} could replace"
        )
    model = base.replace_head(len(class_names), hidden, rng=seed)
    if hidden is None:
        _copy_known_columns(model, base, class_names, known)
    model.name = base.name
    model.metadata = {**base.metadata, "class_names": list(class_names)}
    return Start(model, 1 if hidden is None else 2, is_new=True)


def _copy_known_columns(
    model: Sequential, base: Sequential, class_names: Sequence[str], known: Sequence[str]
) -> None:
    """Copy the old head's columns to the new one, for the classes that both have."""
    new, old = model.layers[-1], base.layers[-1]
    if not (isinstance(new, Dense) and isinstance(old, Dense)):
        return
    if new.kernel.shape[0] != old.kernel.shape[0] or new.weights.keys() != old.weights.keys():
        return
    for number, name in enumerate(class_names):
        if name in known:
            for key, array in new.weights.items():  # kernel (in, out), and bias (out,) if any
                array[..., number] = old.weights[key][..., known.index(name)]
