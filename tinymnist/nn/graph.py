"""Layers wired together: which takes what, and how numbers run forward and gradients back."""

from __future__ import annotations

import copy
import functools
import math
import weakref
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from tinymnist.errors import did_you_mean
from tinymnist.nn.arrays import Array, Named, Shape, float_dtype
from tinymnist.nn.layers import Layer, Softmax
from tinymnist.nn.layers.activation import without_activation
from tinymnist.nn.layers.base import Tensor, by_name, default_name, free_name
from tinymnist.nn.parallel import Workers, pieces, single_threaded_blas
from tinymnist.reporting.text import count

INPUT = "input"
"""The name under which a wiring refers to what goes into the model."""
_BLOCK_NUMBERS = 1 << 24
"""The most numbers in one layer's output for all examples of a block: 64 MB in float32."""


class Input(Tensor):
    """The beginning of a model: the shape of one example, for instance (28, 28, 1)."""

    def __init__(
        self,
        shape: Sequence[int] | None = None,
        batch_size: int | None = None,
        dtype: Any = None,
        *,
        name: str | None = None,
        batch_shape: Sequence[int | None] | None = None,
    ) -> None:
        """Take the shape of one example.

        Args:
            shape: (28, 28, 1) for pictures, (784,) for vectors.
            batch_size, dtype, name: accepted as in Keras; batches may have any size.
            batch_shape: the same with the size of a batch in front.

        Raises:
            ValueError: unless it is a tuple of whole numbers of at least 1.
        """
        given = shape if batch_shape is None else tuple(batch_shape)[1:]
        sides = tuple(given) if isinstance(given, Sequence) else (None,)
        if not all(isinstance(side, (int, np.integer)) and side > 0 for side in sides):
            rule = "shape must be a tuple of numbers from 1: (28, 28, 1), or (784,)"
            raise ValueError(f"{rule}. Received: shape={given!r}")
        super().__init__(tuple(int(side) for side in sides if side))


_GONE: weakref.ref[Any] = weakref.ref(set())
"""A reference to what is no longer there."""


class Graph:
    """Layers that each take the output of the one before, unless wired otherwise.

    With ``wiring``, a layer takes the outputs of other layers instead, which is all that residual
    sums, concatenations and converted graphs need::

        Graph(
            [Input((28, 28, 1)), Conv2D(8, 3, padding="same", name="a"),
             Conv2D(8, 3, padding="same", name="b"), Add(name="sum")],
            wiring={"sum": ["a", "b"]},
        )

    Every layer comes after its inputs in the list; the last layer's output is the model's.

    Attributes:
        layers: the layers in order, including those of a model it was built upon.
        dtype: float32, or float64 for the reference mode.
        metadata: what a weights file says beside the numbers: class names, recipe, source ...
    """

    def __init__(
        self,
        layers: Iterable[Layer | Input | Graph] = (),
        *,
        input_shape: Sequence[int] | None = None,
        wiring: Mapping[str, Sequence[str]] | None = None,
        dtype: Any = "float32",
        rng: np.random.Generator | int | None = None,
        name: str = "sequential",
    ) -> None:
        """Name, wire and build the layers.

        Args:
            layers: layers, the first of which may be an :class:`Input`, and whole models to build
                upon. Layers of another model can be used; they are shared with it, arrays
                included. More can be added by :meth:`add`.
            input_shape: in place of an ``Input``.
            wiring: for each layer that does not simply follow the one before, the names of its
                inputs; ``"input"`` is the model's own.
            dtype: "float32" or "float64"; shared layers of another dtype are copied.
            rng: a generator or a seed for the initial kernels; None follows
                :func:`tinymnist.utils.set_random_seed`, so that models made in a row differ.
            name: shown in the summary and stored in files.

        Raises:
            ValueError: if shapes do not fit, names repeat, or a wiring names unknown layers.
        """
        self.name = name
        self.dtype = float_dtype(dtype)
        self.layers: list[Layer] = []
        self.sources: dict[str, tuple[str, ...]] = {}
        self.shapes: dict[str, Shape] = {}
        self.tensors: dict[str, Tensor] = {}
        self.metadata: dict[str, Any] = {}
        self._seed = rng
        self._wiring = {name: tuple(sources) for name, sources in (wiring or {}).items()}
        if input_shape is not None:
            self.shapes[INPUT] = tuple(input_shape)
        for layer in layers:
            self.add(layer)
        if unknown := sorted(self._wiring.keys() - self.sources.keys()):
            raise ValueError(f"wiring must name layers of the model. Received: {unknown}")

    def add(self, layer: Layer | Input | Graph) -> None:
        """Append a layer, give it a name if it has none, and build it if it is new.

        Args:
            layer: a layer; a model, whose layers are appended one by one; or, in an empty model,
                an :class:`Input`.

        Raises:
            ValueError: as for the whole model.
        """
        if not self.shapes:
            shape = None if self.layers else _shape_given_by(layer)
            if shape is None:
                self._wait(layer)
                return
            self.shapes[INPUT] = shape
        if isinstance(layer, Input):
            if self.layers or tuple(layer.shape) != self.input_shape:
                raise ValueError(f"only a model's first entry can be an input. Received: {layer}")
        elif isinstance(layer, Graph):  # its layers stay wired as they are there
            mine = {INPUT: self.layers[-1].name if self.layers else INPUT}
            for name, sources in layer.wiring.items():
                self._wiring.setdefault(name, tuple(mine.get(s, s) for s in sources))
            for part in layer.layers:
                self.add(part)
        elif not isinstance(layer, Layer):
            raise ValueError(f"a model is made of layers. Received: {layer!r}")
        else:
            previous = self.layers[-1].name if self.layers else INPUT
            name = layer.name = layer.name or free_name(default_name(layer), self.shapes)
            if not isinstance(name, str) or name in self.shapes:
                raise ValueError(f"every layer needs a name of its own. Received: {name=}")
            sources = self._wiring.get(name, (previous,))
            if missing := set(sources).difference(self.shapes):
                rule = f"{name} must take outputs that come before it, of {list(self.shapes)}"
                raise ValueError(f"{rule}. Received: {sorted(missing)}")
            shapes = [*map(self.shapes.__getitem__, sources)]
            shape = layer.output_shape(*shapes)
            if layer.parameters or layer.statistics:
                layer = self._with_arrays(layer, shapes)
            self.layers.append(layer)
            # Its first model that is in use; weak, so that a model is freed when nobody holds it.
            held = vars(layer).get("_model", _GONE)
            vars(layer)["_model"] = weakref.ref(self) if held() is None else held
            self.sources[name], self.shapes[name] = sources, shape

    def _wait(self, layer: Layer | Input | Graph) -> None:
        """What to do with a layer as long as the input is unknown."""
        raise _no_input(layer)

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Build a model that does not know its input yet; see :meth:`Sequential.build`."""

    def _with_arrays(self, layer: Layer, input_shapes: list[Shape]) -> Layer:
        """The layer, built if it is new, or with its arrays checked and in the model's dtype."""
        if not layer.is_built:
            layer.build(*input_shapes, rng=self.rng, dtype=self.dtype)
            return layer
        expected, found, is_cast = layer.weight_shapes(*input_shapes), {}, True
        for key in (*layer.parameters, *layer.statistics):
            array = getattr(layer, key)
            if array is not None:
                found[key] = array.shape
                is_cast = is_cast and array.dtype == self.dtype
        if found != expected:
            raise ValueError(f"{layer.name} must hold {expected} here. Received: {found}")
        return layer if is_cast else cast_copy(layer, self.dtype)

    def tensor_of(self, name: str) -> Tensor:
        """What a layer of this name gives, or :data:`INPUT`, to build another model upon."""
        tensors = self.tensors
        if INPUT not in tensors:
            tensors[INPUT] = Input(self.input_shape)
        for layer in self.layers:
            known = tensors.get(layer.name)
            sources = tuple(tensors[source] for source in self.sources[layer.name])
            if known is None or known.layer is not layer or known.sources != sources:
                tensors[layer.name] = Tensor(self.shapes[layer.name], layer, sources)
        return tensors[name]

    @property
    def input(self) -> Tensor:
        """What the model takes, to build another one upon: ``Model(base.input, ...)``."""
        return self.tensor_of(INPUT)

    @property
    def inputs(self) -> list[Tensor]:
        """The one :attr:`input`, as a list."""
        return [self.input]

    @property
    def outputs(self) -> list[Tensor]:
        """The one :attr:`output`, as a list."""
        return [self.output]

    @property
    def output(self) -> Tensor:
        """What the model gives: ``Dense(10)(base.output)``."""
        return self.tensor_of(self.layers[-1].name if self.layers else INPUT)

    def pop(self) -> Layer:
        """Remove the last layer and return it.

        Raises:
            ValueError: if there is none.
        """
        if not self.layers:
            raise ValueError("cannot pop from an empty model. Received: a model without layers")
        layer = self.layers.pop()
        del self.sources[layer.name], self.shapes[layer.name]
        self._wiring.pop(layer.name, None)
        return layer

    @functools.cached_property
    def rng(self) -> np.random.Generator:
        """Where new kernels, and the keys of trainings, are drawn from."""
        if self._seed is not None:
            return np.random.default_rng(self._seed)
        from tinymnist.nn.randomness import next_generator  # late: loaded models seldom need it

        return next_generator()

    @property
    def information(self) -> dict[str, Any]:
        """The old name of :attr:`metadata`, kept for one version."""
        return self.metadata

    @information.setter
    def information(self, value: dict[str, Any]) -> None:
        self.metadata = value

    def __repr__(self) -> str:
        kind = type(self).__name__
        if not self.layers or not self.shapes:
            missing = "an input" if self.layers else "layers"
            return f"<{kind} {self.name!r} without {missing}>"
        learning = sum(array.size for array in self.trainable_weights.values())
        return (
            f"<{kind} {self.name!r}: {self.input_shape} -> {self.output_shape}, "
            f"{count(len(self), 'layer')}, {count(self.count_params(), 'parameter')}, "
            f"{learning:,} trainable>"
        )

    def __iter__(self) -> Iterator[Layer]:
        return iter(self.layers)

    def __len__(self) -> int:
        return len(self.layers)

    @property
    def input_shape(self) -> Shape:
        """The shape of one example, (h, w, c): without Keras's None for the batch.

        Raises:
            ValueError: if the model does not know it yet.
        """
        if not self.shapes:
            raise _no_input(None)
        return self.shapes[INPUT]

    @property
    def trainable(self) -> bool:
        """Whether any layer learns. Setting it freezes or unfreezes them all, as in Keras."""
        return any(layer.learns for layer in self.layers)

    @trainable.setter
    def trainable(self, value: bool) -> None:
        for layer in self.layers:
            layer.trainable = value

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """The layer of this name, or at this index.

        Raises:
            ValueError: if there is none; the message lists the names.
        """
        known = [layer.name for layer in self.layers]
        if index is not None and -len(known) <= index < len(known):
            return self.layers[index]
        if name in known:
            return self.layers[known.index(name)]
        asked = f"name={name!r}" if index is None else f"{index=}"
        raise ValueError(
            f"name must be one of {known}. Received: {asked}{did_you_mean(name, known)}"
        )

    @property
    def ends_in_softmax(self) -> bool:
        """Whether the last layer is a softmax, or has one for its activation."""
        return self.last_activation == "softmax"

    @property
    def last_activation(self) -> str | None:
        """The activation at the very end, or None."""
        last = self.layers[-1] if self.layers else None
        return "softmax" if isinstance(last, Softmax) else getattr(last, "activation", None)

    @property
    def output_shape(self) -> Shape:
        """The shape of the prediction for one example."""
        return self.shapes[self.layers[-1].name if self.layers else INPUT]

    @property
    def wiring(self) -> dict[str, tuple[str, ...]]:
        """The inputs of every layer that does not simply follow the one before."""
        before = [INPUT, *self.sources]
        both = zip(self.sources.items(), before, strict=False)
        return {name: sources for (name, sources), last in both if sources != (last,)}

    @property
    def weights(self) -> Named:
        """Every array of the model by ``"layer/array"``."""
        return Named({f"{la.name}/{k}": a for la in self.layers for k, a in la.weights.items()})

    @property
    def trainable_weights(self) -> Named:
        """The arrays that ``fit`` moves along their gradients."""
        moved = {f"{la.name}/{key}" for la in self.layers if la.learns for key in la.parameters}
        return Named({name: array for name, array in self.weights.items() if name in moved})

    trainable_variables = trainable_weights

    def count_params(self) -> int:
        """How many numbers all arrays hold together."""
        return sum(layer.count_parameters for layer in self.layers)

    def get_weights(self) -> list[Array]:
        """Copies of all arrays in Keras's order: layer by layer, statistics after parameters."""
        return [array.copy() for array in self.weights.values()]

    def set_weights(self, weights: Mapping[str, Array] | Sequence[Array]) -> None:
        """Copy arrays into the layers.

        Args:
            weights: all arrays, named as in :attr:`weights` or listed as by :meth:`get_weights`.

        Raises:
            ValueError: if names, number or shapes differ.
        """
        own = self.weights
        weights = by_name(weights, own, f"the model has {len(own)} arrays: {list(own)}")
        if weights.keys() != own.keys():
            odd = sorted(weights.keys() ^ own.keys())
            raise ValueError(f"weights must be named as the model's own. Received: {odd} differ")
        for layer in self.layers:
            layer.set_weights({k: weights[f"{layer.name}/{k}"] for k in layer.weights})

    def forward(
        self,
        x: Array,
        *,
        training: bool = False,
        rng: np.random.Generator | None = None,
        logits: bool = False,
    ) -> tuple[Array, list[Any]]:
        """Run all layers and keep what the backward pass needs.

        Args:
            x: (n, *input_shape) in the model's dtype.
            training, rng: as for :meth:`Layer.forward`.
            logits: leave out a softmax at the very end, for a loss with the softmax fused in.

        Returns:
            The output (n, *output_shape) and one cache for each layer.
        """
        caches: list[Any] = []
        return self._propagate(x, training, rng, logits, caches=caches), caches

    def run(self, x: Array, *, logits: bool = False) -> Array:
        """Only the output: :meth:`forward` in this thread, keeping no caches."""
        return self._propagate(x, logits=logits)

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        *,
        workers: int | None = None,
        logits: bool = False,
        plain: bool = False,
    ) -> Array:
        """Run the model on examples, block by block; see :meth:`Sequential.predict`."""
        if batch_size is not None and batch_size < 1:
            raise ValueError(f"batch_size must be at least 1. Received: {batch_size=}")
        x = self.cast(x)
        if self.dtype == np.float32 and len(x) and not plain:
            from tinymnist.nn.inference.plan import plan_of  # a reader of one file does without

            return plan_of(self, len(x)).predict(x, workers, logits=logits)
        if batch_size is None:
            largest = max(map(math.prod, self.shapes.values()))
            batch_size = max(1, min(32, _BLOCK_NUMBERS // max(largest, 1)))
        # One picture is too little work for BLAS's threads, which would cost more than they save.
        with Workers(workers) as threads, single_threaded_blas():
            outputs = threads.map(
                lambda piece: self.run(x[piece], logits=logits),
                pieces(len(x), batch_size) or [slice(0, 0)],
            )
        return outputs[0] if len(outputs) == 1 else np.concatenate(outputs)

    def backward(
        self, dy: Array, caches: list[Any], *, need_dx: bool = False, logits: bool = False
    ) -> tuple[Array | None, dict[str, Array]]:
        """Carry the gradient of the output back to every array that learns.

        It stops below the lowest layer that learns, unless ``need_dx`` asks for the gradient of
        the model's input.

        Args:
            dy: (n, *output_shape).
            caches: from :meth:`forward`.
            need_dx: whether to compute the gradient of ``x``.
            logits: as in the forward pass.

        Returns:
            dx or None, and the gradients by ``"layer/array"``.
        """
        wanted = {INPUT} if need_dx else set()  # outputs whose gradient leads to what learns
        for layer in self.layers:
            if layer.learns or any(s in wanted for s in self.sources[layer.name]):
                wanted.add(layer.name)
        arriving, gradients = self._carry_back(dy, self._steps(logits), caches, wanted)
        return arriving.get(INPUT), gradients

    def _carry_back(
        self,
        dy: Array,
        steps: Sequence[Layer],
        caches: list[Any],
        wanted: Collection[str],
        keep: bool = False,
    ) -> tuple[dict[str, Array], dict[str, Array]]:
        """The gradients at the outputs in ``wanted``, let go after use or kept; those of arrays."""
        arriving: dict[str, Array] = {self.layers[-1].name: dy} if self.layers else {INPUT: dy}
        gradients: dict[str, Array] = {}
        for layer, cache in zip(reversed(steps), reversed(caches), strict=True):
            sources = self.sources[layer.name]
            needs_dx = any(s in wanted for s in sources)
            if layer.name not in arriving or not (needs_dx or layer.learns):
                continue
            dy = arriving[layer.name] if keep else arriving.pop(layer.name)
            dxs, own = layer.backward(dy, cache, need_dx=needs_dx)
            gradients |= {f"{layer.name}/{key}": g for key, g in own.items()}
            for source, dx in zip(sources, dxs, strict=True):
                if source in wanted and dx is not None:
                    arriving[source] = arriving[source] + dx if source in arriving else dx
        return arriving, gradients

    def capture_gradients(self, x: Array, dy_for: Callable[[Array], Array]) -> dict[str, Array]:
        """The gradient at every layer's output by the layer's name, in order; at the input first.

        Args:
            x: as for :meth:`predict`.
            dy_for: the gradient at the model's output, given that output.
        """
        caches: list[Any] = []
        y = self._propagate(self.cast(x), caches=caches, learning=False)  # each layer by itself
        names = (INPUT, *self.sources)
        found, _ = self._carry_back(dy_for(y), self.layers, caches, names, keep=True)
        return {name: found[name] for name in names if name in found}

    def capture(self, x: Array) -> dict[str, Array]:
        """Every layer's output by the layer's name, in order; the input comes first."""
        captured = {INPUT: self.cast(x)}
        self._propagate(captured[INPUT], captured=captured)
        return captured

    def cast(self, x: Any) -> Array:
        """Check the shape of examples and convert them to the model's dtype, without scaling.

        Args:
            x: (n, *input_shape); or without a single channel, (n, h, w); or flat, (n, h * w * c);
                or a list that holds such an array alone.

        Raises:
            ValueError: for any other shape.
        """
        is_list = isinstance(x, (list, tuple)) and len(x) == 1
        given: Array = np.asarray(x)
        x = given
        if not self.shapes:
            self.build(x.shape)
        shape = self.input_shape
        flat = (math.prod(shape),)
        without_channel = shape[:-1] if shape[-1] == 1 else flat
        if is_list and given.shape[1:] not in (shape, flat, without_channel):
            given = x = np.asarray(given[0])  # as Keras takes the inputs of a model
        if given.ndim > 1 and given.shape[1:] in (without_channel, flat):
            x = given.reshape(len(given), *shape)
        if x.shape[1:] != shape:
            wanted = ", ".join(map(str, shape))
            raise ValueError(f"x must be of shape (n, {wanted}). Received: x.shape={given.shape}")
        return np.asarray(x, self.dtype)

    def _steps(self, logits: bool, learning: bool = True) -> list[Layer]:
        """The layers to run; with ``logits``, a final softmax is switched off."""
        steps = [*self.layers]
        if learning:
            from tinymnist.nn.layers.running import relu_after_pooling  # readers do without

            steps = relu_after_pooling(steps, self.sources)
        if logits and self.ends_in_softmax:
            steps[-1] = without_activation(steps[-1])
        return steps

    def _propagate(
        self,
        x: Array,
        training: bool = False,
        rng: np.random.Generator | None = None,
        logits: bool = False,
        *,
        caches: list[Any] | None = None,
        captured: dict[str, Array] | None = None,
        learning: bool | None = None,
    ) -> Array:
        """Run layer by layer, letting go of every output after its last use.

        The caches and the outputs go into ``caches`` and ``captured`` if they are given. With
        caches, layers run as in training unless ``learning`` is False.
        """
        last_use = {s: name for name, sources in self.sources.items() for s in sources}
        outputs, y = {INPUT: x}, x
        learning = caches is not None if learning is None else learning
        for layer in self._steps(logits, learning):
            name, sources = layer.name, self.sources[layer.name]
            inputs = map(outputs.__getitem__, sources)
            y, cache = layer.forward(*inputs, training=training, rng=rng)
            for s in set(sources):
                if last_use[s] == name:
                    del outputs[s]
            outputs[name] = y
            if caches is not None:
                caches.append(cache)
            if captured is not None:
                captured[name] = y
        return y


def _shape_given_by(entry: Any) -> Shape | None:
    """The shape of a model's input, if its first entry knows it."""
    shape = entry.shape if isinstance(entry, Input) else None
    if isinstance(entry, Graph):
        shape = entry.input_shape if entry.shapes else None
    elif isinstance(entry, Layer):
        shape = entry.input_shape
    return None if shape is None else tuple(shape)


def _no_input(first: Any) -> ValueError:
    return ValueError(
        "a model must know its input: begin with Input((28, 28, 1)) or give input_shape. "
        f"Received: {first!r} as its first entry"
    )


def cast_copy(layer: Layer, dtype: np.dtype[Any]) -> Layer:
    """The same layer with its arrays in another dtype."""
    twin = copy.copy(layer)
    for name, array in layer.weights.items():
        setattr(twin, name, array.astype(dtype))
    return twin
