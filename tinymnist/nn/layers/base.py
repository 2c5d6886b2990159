"""What every layer is: settings and arrays, and calls into the mathematics. Never activations.

What the backward pass needs travels in the cache that ``forward`` returns, so one layer can serve
many threads at once.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from tinymnist.nn.arrays import Array, Shape


@dataclass(eq=False)
class Layer:
    """The base of all layers. A subclass states its settings as dataclass fields.

    Attributes:
        name: unique within a model, which gives one where it is empty.
        trainable: False freezes the layer: no bit of it changes in ``fit``.
        input_shape: in a model's first layer, what ``Input`` would say: Keras's older way.
    """

    parameters: ClassVar[tuple[str, ...]] = ()
    """Names of the arrays that learn by gradient."""
    statistics: ClassVar[tuple[str, ...]] = ()
    """Names of the arrays that are gathered while training, such as moving averages."""
    mixes_batch: ClassVar[bool] = False
    """Whether, while training, one example's output depends on the others in its batch."""

    name: str = field(default="", kw_only=True)
    trainable: bool = field(default=True, kw_only=True)
    input_shape: Shape | None = field(default=None, kw_only=True, repr=False)

    def weight_shapes(self, *input_shapes: Shape) -> dict[str, Shape]:
        """Name and shape of every array, for inputs of these shapes (without the batch axis)."""
        return {}

    def initial_value(self, name: str, shape: Shape, rng: np.random.Generator) -> Array:
        """What an array holds before training."""
        raise NotImplementedError

    def build(self, *input_shapes: Shape, rng: np.random.Generator, dtype: np.dtype[Any]) -> None:
        """Make the arrays for inputs of these shapes."""
        for name, shape in self.weight_shapes(*input_shapes).items():
            setattr(self, name, self.initial_value(name, shape, rng).astype(dtype))

    def output_shape(self, *input_shapes: Shape) -> Shape:
        """The shape of one output, without the batch axis.

        Raises:
            ValueError: when the layer cannot take such inputs.
        """
        return input_shapes[0]

    def forward(
        self, *xs: Array, training: bool = False, rng: np.random.Generator | None = None
    ) -> tuple[Array, Any]:
        """Compute the output and what ``backward`` will need.

        Args:
            xs: one array (n, ...) for each input; all layers but the merging ones take one.
            training: whether dropout drops and batch normalization looks at the batch.
            rng: where layers that draw take their randomness from; needed only in training.
        """
        raise NotImplementedError

    def backward(
        self, dy: Array, cache: Any, *, need_dx: bool = True
    ) -> tuple[tuple[Array | None, ...], dict[str, Array]]:
        """Turn the gradient of the output into those of the inputs and of the parameters.

        Args:
            dy: (n, ...), as the output.
            cache: from ``forward``.
            need_dx: False where nothing below learns; a layer that would have to compute the
                gradients of the inputs then gives None for them.

        Returns:
            One gradient for each input, and a dict of parameter gradients, empty when frozen.
        """
        raise NotImplementedError

    def new_statistics(self, cache: Any) -> dict[str, Array]:
        """The layer's statistics after having seen one training batch; the layer is not changed."""
        return {}

    def multiply_adds(self, *input_shapes: Shape) -> int:
        """Multiplications with a parameter, for one example: the customary measure of work."""
        return 0

    @property
    def weights(self) -> dict[str, Array]:
        """Every array of the layer by name: parameters, then statistics."""
        names = (*self.parameters, *self.statistics)
        return {n: value for n in names if (value := getattr(self, n, None)) is not None}

    def set_weights(self, weights: Mapping[str, Array] | Sequence[Array]) -> None:
        """Take arrays over, copied and cast to the layer's dtype.

        Args:
            weights: by name, or as a list like that of :meth:`get_weights`.

        Raises:
            ValueError: when a name, the number or a shape differs from what the layer has.
        """
        own = self.weights
        weights = by_name(weights, own, f"{self.name} has the weights {list(own)}")
        if own.keys() != weights.keys():
            raise ValueError(
                f"{self.name} has the weights {sorted(own)}. Received: names={sorted(weights)}"
            )
        for name, value in weights.items():
            if own[name].shape != value.shape:
                raise ValueError(
                    f"{self.name}/{name} must be of shape {own[name].shape}. "
                    f"Received: shape={value.shape}"
                )
            setattr(self, name, np.array(value, own[name].dtype, order="C"))

    def config(self) -> dict[str, Any]:
        """The settings, ready for JSON: ``{"class": "Dense", "units": 10, ...}``."""
        settings = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.init}
        del settings["input_shape"]  # the model's to tell
        return {"class": type(self).__name__, **settings}

    def __call__(self, *inputs: Any) -> Any:
        """Not how models are made here.

        Raises:
            TypeError: always.
        """
        raise TypeError(
            "layers are put into a list: Sequential([Input((28, 28, 1)), Flatten(), ...]), with "
            f"wiring={{...}} where they branch. Received: {type(self).__name__}(...)(...)"
        )

    def get_weights(self) -> list[Array]:
        """Copies of the arrays: parameters, then statistics, as in Keras."""
        return [array.copy() for array in self.weights.values()]

    @property
    def draws(self) -> bool:
        """Whether the output is random while training, whatever :attr:`trainable` says."""
        return False

    @property
    def is_built(self) -> bool:
        """Whether the arrays are there (always, for a layer without any)."""
        return all(hasattr(self, name) for name in (*self.parameters, *self.statistics))

    @property
    def count_parameters(self) -> int:
        """How many numbers the layer holds."""
        return sum(array.size for array in self.weights.values())

    @property
    def learns(self) -> bool:
        """Whether ``fit`` changes the layer."""
        return self.trainable and bool(self.parameters)


def by_name(
    weights: Mapping[str, Array] | Sequence[Array], own: Mapping[str, Array], told: str
) -> Mapping[str, Array]:
    """Arrays by name; a list is in the order of the owner's own.

    Raises:
        ValueError: when a list has another length; ``told`` says what the owner has.
    """
    if isinstance(weights, Mapping):
        return weights
    if len(weights) != len(own):
        raise ValueError(f"{told}. Received: {len(weights)} arrays")
    return dict(zip(own, map(np.asarray, weights), strict=True))


def default_name(layer: Layer) -> str:
    """Keras's name for a class: ``Conv2D`` -> ``conv2d``, ``MaxPooling2D`` -> ``max_pooling2d``."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(layer).__name__).lower()


def free_name(stem: str, taken: Container[str]) -> str:
    """The name itself, or ``name_1``, ``name_2`` ... if it is taken."""
    name, number = stem, 0
    while name in taken:
        number += 1
        name = f"{stem}_{number}"
    return name


def picture_shape(shape: Shape, layer: Layer) -> tuple[int, int, int]:
    """Insist on (h, w, c)."""
    if len(shape) != 3:
        raise ValueError(
            f"{layer.name or type(layer).__name__} takes pictures (h, w, c). "
            f"Received: input_shape={shape}"
        )
    return shape[0], shape[1], shape[2]
