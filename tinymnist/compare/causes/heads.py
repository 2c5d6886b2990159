"""The end: softmax left out, applied twice, or its logarithm."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tinymnist.compare.causes.base import SOFTMAX, Experiments, Scene, Variant
from tinymnist.compare.rerun import Trial, changed
from tinymnist.nn import functional as F
from tinymnist.nn.arrays import Array
from tinymnist.nn.layers import Activation, Layer, Softmax

_HEADS: dict[str, Callable[[Array], Array]] = {
    "no softmax at the end": lambda z: z,
    "one softmax at the end": lambda z: F.softmax(z)[0],
    "two softmaxes at the end": lambda z: F.softmax(F.softmax(z)[0])[0],
    "three softmaxes at the end": lambda z: F.softmax(F.softmax(F.softmax(z)[0])[0])[0],
    "a log-softmax at the end": lambda z: F.log_softmax(z)[0],
    "a log-softmax of the softmax at the end": lambda z: F.log_softmax(F.softmax(z)[0])[0],
    "a sigmoid at the end": lambda z: F.sigmoid(z)[0],
}


def heads(scene: Scene) -> Experiments:
    """Every other way to end, if nothing but the end parts."""
    last = scene.pairs[-1].a
    if not scene.at_end or not scene.trial.model.layers:
        return
    if last.layer != scene.trial.model.layers[-1].name:
        return
    bare = _without_softmax(scene.trial)
    for change, head in _HEADS.items():
        yield Variant(SOFTMAX, change, replace(bare, head=head))


def _without_softmax(trial: Trial) -> Trial:
    """The trial with every softmax at its end switched off."""
    twins: dict[str, Layer] = {}
    for layer in reversed(trial.model.layers):
        word = getattr(layer, "activation", "")
        if isinstance(layer, Softmax) or (
            isinstance(layer, Activation) and word in ("softmax", "log_softmax")
        ):
            twins[layer.name] = Activation("linear", name=layer.name)
            continue
        if word in ("softmax", "log_softmax"):
            twins[layer.name] = changed(layer, activation="linear")
        break
    return trial.with_layers(twins)
