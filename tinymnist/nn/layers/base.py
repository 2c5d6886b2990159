"""What every layer is: settings and arrays around functions of ``functional``, never activations.

What the backward pass needs travels in the cache that ``forward`` returns, so one layer can serve
many threads at once.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import numpy as np

from tinymnist.nn.arrays import Array, Named, Shape, settings_repr

Operation: TypeAlias = tuple[Callable[..., tuple[Array, Any]], Callable[[Array, Any], Any]]
"""A pair of ``functional``: ``f(x) -> y, cache`` and ``f_backward(dy, cache) -> dx``."""


class Tensor:
    """An output that a model will compute: what is passed on in the functional style.

    Attributes:
        shape: of one example.
        layer: what computes it; None for a model's input.
        sources: what the layer takes.
    """

    def __init__(
        self, shape: Shape, layer: Layer | None = None, sources: tuple[Tensor, ...] = ()
    ) -> None:
        self.shape, self.layer, self.sources = shape, layer, sources

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.shape}>"


Gradients: TypeAlias = tuple[tuple[Array | None, ...], dict[str, Array]]
"""What :meth:`Layer.backward` returns: one gradient per input, and the parameters' by name."""


class _MadeAsInKeras(type):
    """Lets people make layers in Keras's words, and checks the settings at once."""

    if not TYPE_CHECKING:  # for whom a layer takes its fields

        def __call__(cls, *args: Any, **settings: Any) -> Any:
            from tinymnist.nn.layers.keras_words import in_our_words

            maker = next(kind for kind in cls.__mro__ if "__init__" in vars(kind))
            if "__dataclass_fields__" not in vars(maker):  # a user's own
                return super().__call__(*args, **settings)
            layer = super().__call__(**in_our_words(cls, args, settings))
            layer.check()
            return layer


@dataclass(eq=False, repr=False)
class Layer(metaclass=_MadeAsInKeras):
    """The base of all layers. A subclass states its settings as dataclass fields.

    It is made with Keras's words, in Keras's order: see :mod:`tinymnist.nn.layers.keras_words`.

    Attributes:
        name: unique within a model, which chooses one if it is empty.
        trainable: False freezes the layer: no bit of it changes in ``fit``.
        input_shape: in a model's first layer, an alternative to ``Input`` (Keras's older way).
    """

    parameters: ClassVar[tuple[str, ...]] = ()
    """Names of the arrays that learn by gradient."""
    statistics: ClassVar[tuple[str, ...]] = ()
    """Names of the arrays that are collected during training, such as moving averages."""
    mixes_batch: ClassVar[bool] = False
    """Whether, in training, an example's output depends on the other examples of its batch."""

    name: str = field(default="", kw_only=True)
    trainable: bool = field(default=True, kw_only=True)
    input_shape: Shape | None = field(default=None, kw_only=True, repr=False)

    def check(self) -> None:
        """Check the settings of a layer that a person made.

        Raises:
            ValueError: for a setting that no input could fit.
        """

    def weight_shapes(self, *input_shapes: Shape) -> dict[str, Shape]:
        """Name and shape of every array, for inputs of these shapes (without the batch axis)."""
        return {}

    def initial_value(self, name: str, shape: Shape, rng: np.random.Generator) -> Array:
        """The values of an array before training, float64."""
        raise NotImplementedError

    def build(self, *input_shapes: Shape, rng: np.random.Generator, dtype: np.dtype[Any]) -> None:
        """Create the arrays for inputs of these shapes (without the batch axis)."""
        for name, shape in self.weight_shapes(*input_shapes).items():
            setattr(self, name, self.initial_value(name, shape, rng).astype(dtype))

    def output_shape(self, *input_shapes: Shape) -> Shape:
        """The shape of one output, without the batch axis.

        Raises:
            ValueError: if the layer cannot take such inputs.
        """
        return input_shapes[0]

    def forward(
        self, *xs: Array, training: bool = False, rng: np.random.Generator | None = None
    ) -> tuple[Array, Any]:
        """Compute the output (n, ...) and what ``backward`` will need.

        Args:
            xs: one array (n, ...) per input; only merging layers take more than one.
            training: whether dropout drops and batch normalization uses the batch.
            rng: the source of randomness, for layers that draw in training.
        """
        raise NotImplementedError

    def backward(self, dy: Array, cache: Any, *, need_dx: bool = True) -> Gradients:
        """Turn the gradient of the output into those of the inputs and of the parameters.

        Args:
            dy: (n, ...), as the output.
            cache: from ``forward``.
            need_dx: False if nothing below learns; the gradients of the inputs may then be None.

        Returns:
            One gradient per input, and a dict of parameter gradients, empty if frozen.
        """
        raise NotImplementedError

    def new_statistics(self, cache: Any) -> dict[str, Array]:
        """The statistics after one more training batch; the layer itself does not change."""
        return {}

    def multiply_adds(self, *input_shapes: Shape) -> int:
        """Multiplications with a parameter for one example, the usual measure of work."""
        return 0

    @property
    def weights(self) -> Named:
        """Every array of the layer by name: parameters, then statistics."""
        own, names = vars(self), (*self.parameters, *self.statistics)
        return Named({name: own[name] for name in names if own.get(name) is not None})

    def set_weights(self, weights: Mapping[str, Array] | Sequence[Array]) -> None:
        """Set all arrays to copies in the layer's dtype.

        Args:
            weights: by name, or as a list in the order of :meth:`get_weights`.

        Raises:
            ValueError: if a name, the number or a shape differs from the layer's own.
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
        settings = {
            f.name: getattr(self, f.name)
            for f in dataclasses.fields(self)
            if f.init and not ("optional" in f.metadata and getattr(self, f.name) == f.default)
        }
        del settings["input_shape"]  # the model states it
        return {"class": type(self).__name__, **settings}

    def __call__(self, inputs: Any, training: bool = False) -> Any:
        """Continue from tensors, in the functional style; or compute the output of arrays.

        Args:
            inputs: a tensor, or for a merging layer a list; or arrays (n, ...).
            training: as for :meth:`forward`.

        Returns:
            A tensor, of which :class:`tinymnist.models.Model` makes a model; or an array.

        Raises:
            ValueError: if the layer cannot take such inputs, or would have to draw in inference.
        """
        given = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
        draws = training and self.draws
        if given and all(isinstance(tensor, Tensor) for tensor in given):
            if draws:
                kind = type(self).__name__
                raise ValueError(f"in a model, {kind} draws in fit alone. Received: training=True")
            shape = self.output_shape(*(tensor.shape for tensor in given))
            self.__dict__["_tensor"] = Tensor(shape, self, tuple(given))
            return vars(self)["_tensor"]
        xs = [np.asarray(x) for x in (given if len(given) > 1 else [inputs])]
        xs = [x if x.dtype.kind == "f" else x.astype(np.float32) for x in xs]
        shapes = [x.shape[1:] for x in xs]
        self.output_shape(*shapes)
        from tinymnist.nn.randomness import next_generator

        if not self.is_built:
            self.build(*shapes, rng=next_generator(), dtype=xs[0].dtype)
        return self.forward(*xs, training=training, rng=next_generator() if draws else None)[0]

    @property
    def output(self) -> Tensor:
        """What the layer returned when it was called, or gives in its model.

        Raises:
            AttributeError: if it is in no model yet.
        """
        if (tensor := vars(self).get("_tensor")) is not None:
            return tensor  # type: ignore[no-any-return]
        if (model := vars(self).get("_model", lambda: None)()) is None:
            raise AttributeError(f"{self!r} is not in a model in use, so it has no output")
        return model.tensor_of(self.name)  # type: ignore[no-any-return]

    @property
    def input(self) -> Tensor:
        """What the layer takes; of a merging layer, the first."""
        return self.output.sources[0]

    def __getstate__(self) -> dict[str, Any]:
        """Everything except the models that hold the layer."""
        return {k: v for k, v in vars(self).items() if k not in ("_tensor", "_model")}

    def __repr__(self) -> str:
        return settings_repr(self)

    def get_config(self) -> dict[str, Any]:
        """The settings, as :meth:`from_config` takes them."""
        return {name: value for name, value in self.config().items() if name != "class"}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Any:
        """A new layer with these settings."""
        return cls(**config)

    def get_weights(self) -> list[Array]:
        """Copies of the arrays: parameters, then statistics, as in Keras."""
        return [array.copy() for array in self.weights.values()]

    @property
    def draws(self) -> bool:
        """Whether the output is random in training, frozen or not."""
        return False

    @property
    def is_built(self) -> bool:
        """Whether the arrays exist; always true for a layer without any."""
        return vars(self).keys() >= {*self.parameters, *self.statistics}

    @property
    def count_parameters(self) -> int:
        """How many numbers the layer's arrays hold."""
        return sum(array.size for array in self.weights.values())

    def count_params(self) -> int:
        """The same, as in Keras."""
        return self.count_parameters

    @property
    def learns(self) -> bool:
        """Whether ``fit`` changes the layer."""
        return self.trainable and bool(self.parameters)


class Stateless(Layer):
    """A layer without arrays: one operation and its gradient."""

    def operation(self) -> Operation:
        """The two functions, with the layer's settings filled in."""
        raise NotImplementedError

    def forward(
        self, *xs: Array, training: bool = False, rng: np.random.Generator | None = None
    ) -> tuple[Array, Any]:
        return self.operation()[0](*xs)

    def backward(self, dy: Array, cache: Any, *, need_dx: bool = True) -> Gradients:
        return ((self.operation()[1](dy, cache) if need_dx else None),), {}


def by_name(
    weights: Mapping[str, Array] | Sequence[Array], own: Mapping[str, Array], rule: str
) -> Mapping[str, Array]:
    """Arrays by name; a list is in the order of ``own``.

    Raises:
        ValueError: if a list has another length; the message begins with ``rule``.
    """
    if isinstance(weights, Mapping):
        return weights
    if len(weights) != len(own):
        raise ValueError(f"{rule}. Received: {len(weights)} arrays")
    return dict(zip(own, map(np.asarray, weights), strict=True))


def default_name(layer: Layer) -> str:
    """Keras's default name: ``Conv2D`` -> ``conv2d``, ``MaxPooling2D`` -> ``max_pooling2d``."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(layer).__name__).lower()


def free_name(stem: str, taken: Container[str]) -> str:
    """The name itself, or ``name_1``, ``name_2`` ... if it is taken."""
    name, number = stem, 0
    while name in taken:
        number += 1
        name = f"{stem}_{number}"
    return name


def picture_shape(shape: Shape, layer: Layer) -> tuple[int, int, int]:
    """Check that a shape is (h, w, c).

    Raises:
        ValueError: if it is not; the message names the layer.
    """
    if len(shape) != 3:
        raise ValueError(
            f"{layer.name or type(layer).__name__} takes pictures (h, w, c). "
            f"Received: input_shape={shape}"
        )
    return shape[0], shape[1], shape[2]


def whole(value: Any, name: str, minimum: int = 1) -> int:
    """Check a setting that counts something.

    Raises:
        ValueError: unless it is a whole number of at least ``minimum``.
    """
    if isinstance(value, (int, np.integer)) and value >= minimum and not isinstance(value, bool):
        return int(value)
    raise ValueError(f"{name} must be a whole number of at least {minimum}. Received: {value!r}")
