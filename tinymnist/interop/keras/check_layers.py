"""A described model whose layers have found their arrays becomes a Sequential."""

from __future__ import annotations

from tinymnist.errors import InputError
from tinymnist.interop.keras import elementwise, learned, merging, shaping  # noqa: F401 - registered
from tinymnist.interop.keras.building import Builder
from tinymnist.interop.keras.config import ModelConfig, input_shape
from tinymnist.interop.keras.nested_models import START, unfold
from tinymnist.interop.keras.registry import build_layer, check_known
from tinymnist.nn.arrays import Shape
from tinymnist.nn.sequential import Sequential

_MOST_NUMBERS = 1 << 26


def check_layers(model: ModelConfig, path: str) -> None:
    """Refuse a model with a layer that nothing can be made of, before its arrays are looked for.

    Raises:
        InputError: with the layer's name and what it would need.
    """
    for leaf in model.leaves():
        check_known(leaf, path)


def assemble(model: ModelConfig, path: str, version: int, theano: bool, name: str) -> Sequential:
    """Build the model.

    Args:
        model: its description, with the arrays in place.
        path: of the file, for messages.
        version: Keras's major version that wrote it.
        theano: whether it computed on Theano.
        name: of the result.

    Raises:
        InputError: when something cannot be mapped exactly.
    """
    steps = unfold(model, path)
    builder = Builder(path, version, theano)
    tensors = {START: builder.start(_checked(input_shape(model, path), path))}
    used = set()
    for key, step in steps.items():
        if step.layer.arrays and id(step.layer) in used:
            raise InputError(
                f"{path} uses the layer {step.layer.name!r} twice; its weights would have to be "
                "shared, which tinymnist does not do"
            )
        used.add(id(step.layer))
        before = len(builder)
        inputs = [tensors[source] for source in step.sources]
        tensors[key] = build_layer(builder, step.layer, inputs)
        if step.layer.settings.get("trainable") is False:
            builder.freeze_from(before)
    return builder.finish(tensors[next(reversed(steps))], name)


def _checked(shape: Shape, path: str) -> Shape:
    total = 1
    for side in shape:
        total *= side
        if side < 1 or total > _MOST_NUMBERS:
            raise InputError(f"{path} takes an input of the shape {shape}; expected pictures")
    return shape
