"""The model that fine-tuning starts from: the base's own head where it knows the classes.

What a head has learnt from 60,000 digits is worth more than a handful of pictures. So it is kept
whole when it knows every class asked for, and its part when it knows some of them.
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
        model: a copy; its metadata says what the classes are called.
        head_layers: how many layers with parameters belong to the head.
        is_new: whether the head has to learn classes that it does not know.
    """

    model: Sequential
    head_layers: int
    is_new: bool

    @property
    def class_names(self) -> tuple[str, ...]:
        """What the model's classes are called."""
        return class_names_of(self.model)


def class_names_of(model: Sequential) -> tuple[str, ...]:
    """What a model says its classes are called, or else their numbers."""
    told = model.metadata.get("class_names")
    return tuple(told) if told else tuple(map(str, range(model.output_shape[-1])))


def start_from(
    base: Sequential, class_names: Sequence[str], *, hidden: int | None = None, seed: int = 0
) -> Start:
    """Copy the base, with a new head where it does not know all the classes.

    Args:
        base: a trained model; it is not changed.
        class_names: the classes to be told apart.
        hidden: units of a relu layer in front of a new head. With a number, the head is new even
            where the base knows the classes.
        seed: for new kernels.

    Raises:
        InputError: when the base has no Dense layer that a new head could take the place of.
    """
    base = copy.deepcopy(base)
    known = class_names_of(base)
    if hidden is None and set(class_names) <= set(known):
        base.metadata["class_names"] = list(known)
        return Start(base, 1, is_new=False)
    if not any(isinstance(layer, Dense) for layer in base.layers):
        raise InputError(
            f"{base.name} has no Dense layer; a new head for the classes {', '.join(class_names)} "
            "needs one to take the place of"
        )
    model = base.replace_head(len(class_names), hidden, rng=seed)
    if hidden is None:
        _take_over(model, base, class_names, known)
    model.name = base.name
    model.metadata = {**base.metadata, "class_names": list(class_names)}
    return Start(model, 1 if hidden is None else 2, is_new=True)


def _take_over(
    model: Sequential, base: Sequential, class_names: Sequence[str], known: Sequence[str]
) -> None:
    """Give the new head the old one's columns for the classes that both have."""
    new, old = model.layers[-1], base.layers[-1]
    if not (isinstance(new, Dense) and isinstance(old, Dense)):
        return
    if new.kernel.shape[0] != old.kernel.shape[0] or new.weights.keys() != old.weights.keys():
        return
    for number, name in enumerate(class_names):
        if name in known:
            for key, array in new.weights.items():  # kernel (in, out), and bias (out,) if any
                array[..., number] = old.weights[key][..., known.index(name)]
