"""Sequential: layers in a row, or wired into a graph; forward, backward, and what users call."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tinymnist.nn.arrays import Array, Shape, float_dtype
from tinymnist.nn.layers import Activation, Dense, Flatten, Layer, Softmax
from tinymnist.nn.layers.base import default_name
from tinymnist.nn.parallel import Workers, pieces
from tinymnist.nn.summary import summarize

if TYPE_CHECKING:
    from os import PathLike

    from tinymnist.nn.losses import CategoricalCrossentropy
    from tinymnist.nn.optimizers import Optimizer
    from tinymnist.nn.training import History

INPUT = "input"
"""The name under which a wiring refers to what goes into the model."""


@dataclass(frozen=True)
class Input:
    """States the shape of one example, (28, 28, 1) for instance: the first entry of a model."""

    shape: Shape


class Sequential:
    """A neural network: layers that each take the output of the one before.

    With ``wiring``, a layer takes the outputs of other layers instead, which is all that residual
    sums, concatenations and converted graphs need::

        Sequential(
            [Input((28, 28, 1)), Conv2D(8, 3, padding="same", name="a"),
             Conv2D(8, 3, padding="same", name="b"), Add(name="sum")],
            wiring={"sum": ["a", "b"]},
        )

    The list stays in an order in which every layer comes after its inputs; the last layer's output
    is the model's.

    Attributes:
        layers: the layers in order.
        input_shape: the shape of one example, (h, w, c).
        dtype: float32, or float64 for the reference mode.
        information: what a weights file tells beside the numbers: class names, recipe, source ...
    """

    def __init__(
        self,
        layers: Iterable[Layer | Input] = (),
        *,
        input_shape: Sequence[int] | None = None,
        wiring: Mapping[str, Sequence[str]] | None = None,
        dtype: Any = "float32",
        rng: np.random.Generator | int = 0,
        name: str = "sequential",
    ) -> None:
        """Name, wire and build the layers.

        Args:
            layers: layers, the first of which may be an :class:`Input`. Layers of another model
                can be used; they are shared with it, arrays included.
            input_shape: another way to say what ``Input`` says.
            wiring: for each layer that does not simply follow the one before, the names of its
                inputs; ``"input"`` is the model's own.
            dtype: "float32" or "float64"; shared layers of another dtype are copied.
            rng: a generator or a seed for the initial kernels.
            name: for the summary.

        Raises:
            ValueError: when shapes do not fit, names repeat, or a wiring names what is not there.
        """
        self.name = name
        self.dtype = float_dtype(dtype)
        self.layers: list[Layer] = []
        self.sources: dict[str, tuple[str, ...]] = {}
        self.shapes: dict[str, Shape] = {}
        self.optimizer: Optimizer | None = None
        self.loss: CategoricalCrossentropy | None = None
        self.information: dict[str, Any] = {}
        self._rng = np.random.default_rng(rng)
        self._wiring = {name: tuple(sources) for name, sources in (wiring or {}).items()}
        entries = list(layers)
        if entries and isinstance(entries[0], Input):
            input_shape = entries.pop(0).shape  # type: ignore[union-attr]
        if input_shape is None:
            raise ValueError(
                "a model must know its input: begin with Input((28, 28, 1)) or give input_shape. "
                f"Received: input_shape={input_shape!r}"
            )
        self.input_shape: Shape = tuple(input_shape)
        self.shapes[INPUT] = self.input_shape
        for layer in entries:
            self.add(layer)  # type: ignore[arg-type]
        if unknown := sorted(self._wiring.keys() - self.sources.keys()):
            raise ValueError(f"wiring must name layers of the model. Received: {unknown}")

    # Structure ------------------------------------------------------------------------------

    def add(self, layer: Layer) -> None:
        """Append a layer, give it a name if it has none, and build it if it is new."""
        if not isinstance(layer, Layer):
            raise ValueError(f"a model is made of layers. Received: {layer!r}")
        layer.name = layer.name or self._free_name(default_name(layer))
        if layer.name in self.shapes:
            raise ValueError(f"every layer needs a name of its own. Received: name={layer.name!r}")
        previous = self.layers[-1].name if self.layers else INPUT
        sources = self._wiring.get(layer.name, (previous,))
        if missing := [s for s in sources if s not in self.shapes]:
            raise ValueError(
                f"{layer.name} must take outputs that come before it, of {list(self.shapes)}. "
                f"Received: {missing}"
            )
        input_shapes = [self.shapes[s] for s in sources]
        shape = layer.output_shape(*input_shapes)
        if not layer.is_built:
            layer.build(*input_shapes, rng=self._rng, dtype=self.dtype)
        elif (found := {k: a.shape for k, a in layer.weights.items()}) != (
            expected := layer.weight_shapes(*input_shapes)
        ):
            raise ValueError(f"{layer.name} must hold {expected} here. Received: {found}")
        elif any(array.dtype != self.dtype for array in layer.weights.values()):
            layer = _cast_copy(layer, self.dtype)
        self.layers.append(layer)
        self.sources[layer.name], self.shapes[layer.name] = sources, shape

    def _free_name(self, stem: str) -> str:
        taken, number = set(self.shapes) | set(self._wiring), 0
        name = stem
        while name in self.shapes or (name in taken and number):
            number += 1
            name = f"{stem}_{number}"
        return name

    def __iter__(self) -> Iterator[Layer]:
        return iter(self.layers)

    def __len__(self) -> int:
        return len(self.layers)

    def get_layer(self, name: str) -> Layer:
        """The layer of that name.

        Raises:
            ValueError: when there is none; the message lists the names.
        """
        for layer in self.layers:
            if layer.name == name:
                return layer
        known = [layer.name for layer in self.layers]
        raise ValueError(f"name must be one of {known}. Received: name={name!r}")

    @property
    def output_shape(self) -> Shape:
        """The shape of the prediction for one example."""
        return self.shapes[self.layers[-1].name if self.layers else INPUT]

    @property
    def wiring(self) -> dict[str, tuple[str, ...]]:
        """The inputs of every layer that does not simply follow the one before."""
        before = [INPUT, *(layer.name for layer in self.layers)]
        return {
            layer.name: self.sources[layer.name]
            for layer, previous in zip(self.layers, before, strict=False)
            if self.sources[layer.name] != (previous,)
        }

    @property
    def weights(self) -> dict[str, Array]:
        """Every array of the model by ``"layer/array"``."""
        return {
            f"{layer.name}/{key}": array
            for layer in self.layers
            for key, array in layer.weights.items()
        }

    @property
    def trainable_weights(self) -> dict[str, Array]:
        """The arrays that ``fit`` moves along their gradients."""
        return {
            f"{layer.name}/{key}": array
            for layer in self.layers
            if layer.learns
            for key, array in layer.weights.items()
            if key in layer.parameters
        }

    def set_weights(self, weights: Mapping[str, Array]) -> None:
        """Take over arrays named as in :attr:`weights`; every one must be there and fit."""
        if weights.keys() != self.weights.keys():
            odd = sorted(weights.keys() ^ self.weights.keys())
            raise ValueError(f"weights must be named as the model's own. Received: {odd} differ")
        for layer in self.layers:
            layer.set_weights({k: weights[f"{layer.name}/{k}"] for k in layer.weights})

    # Numbers --------------------------------------------------------------------------------

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
            logits: leave out a softmax at the very end, for a loss that has it fused in.

        Returns:
            The output (n, *output_shape) and one cache for each layer.
        """
        y, caches = x, []
        for _, output, cache in self._propagate(x, training=training, rng=rng, logits=logits):
            y = output
            caches.append(cache)
        return y, caches

    def backward(
        self, dy: Array, caches: list[Any], *, need_dx: bool = False, logits: bool = False
    ) -> tuple[Array | None, dict[str, Array]]:
        """Carry the gradient of the output back to every array that learns.

        It stops below the lowest layer that learns, unless ``need_dx`` asks for the gradient of
        the model's input.

        Args:
            dy: (n, *output_shape).
            caches: from :meth:`forward`.
            need_dx: whether the gradient of ``x`` is wanted.
            logits: as in the forward pass.

        Returns:
            dx or None, and the gradients by ``"layer/array"``.
        """
        wanted = self._wanting_gradient(need_dx)
        arriving: dict[str, Array] = {self.layers[-1].name: dy} if self.layers else {INPUT: dy}
        gradients: dict[str, Array] = {}
        for layer, cache in zip(reversed(self._steps(logits)), reversed(caches), strict=True):
            sources = self.sources[layer.name]
            needs_dx = any(s in wanted for s in sources)
            if layer.name not in arriving or not (needs_dx or layer.learns):
                continue
            dxs, own = layer.backward(arriving.pop(layer.name), cache, need_dx=needs_dx)
            gradients |= {f"{layer.name}/{key}": g for key, g in own.items()}
            for source, dx in zip(sources, dxs, strict=True):
                if source in wanted and dx is not None:
                    arriving[source] = arriving[source] + dx if source in arriving else dx
        return arriving.get(INPUT), gradients

    def predict(
        self,
        x: Array,
        *,
        batch_size: int = 32,
        workers: int | None = None,
        logits: bool = False,
    ) -> Array:
        """Run the model on examples, piece by piece, on all cores, keeping no caches.

        Args:
            x: (n, *input_shape), or (n, h, w) where the model wants one channel; integers are
                cast, not scaled: divide by 255 first.
            batch_size: how many examples one thread carries through the layers at a time.
            workers: threads; None takes every core.
            logits: leave out a softmax at the very end.

        Returns:
            (n, *output_shape) in the model's dtype.

        Raises:
            ValueError: when the examples have another shape than the model was built for.
        """
        x = self.cast(x)

        def run(piece: slice) -> Array:
            y = x[piece]
            for _, output, _ in self._propagate(y, logits=logits):
                y = output
            return y

        with Workers(workers) as threads:
            parts = threads.map(run, pieces(len(x), batch_size) or [slice(0, 0)])
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def capture(self, x: Array) -> dict[str, Array]:
        """Every layer's output by the layer's name, in order; the input comes first."""
        x = self.cast(x)
        return {INPUT: x} | {layer.name: y for layer, y, _ in self._propagate(x)}

    def cast(self, x: Array) -> Array:
        """Check the shape of examples and bring them to the model's dtype."""
        x = np.asarray(x)
        if x.ndim == len(self.input_shape) and self.input_shape[-1] == 1:
            x = x[..., None]  # (n, h, w) -> (n, h, w, 1)
        if x.shape[1:] != self.input_shape:
            wanted = ", ".join(map(str, self.input_shape))
            raise ValueError(f"x must be of shape (n, {wanted}). Received: x.shape={x.shape}")
        return x.astype(self.dtype, copy=False)

    def _steps(self, logits: bool) -> list[Layer]:
        """The layers to run; with ``logits``, a final softmax is switched off."""
        if not logits or not self.layers:
            return self.layers
        last = self.layers[-1]
        if isinstance(last, Softmax):
            last = Activation("linear", name=last.name)
        elif getattr(last, "activation", None) == "softmax":
            last = copy.copy(last)  # shares the arrays, so it is always up to date
            last.activation = "linear"  # type: ignore[attr-defined]
        return [*self.layers[:-1], last]

    def _propagate(
        self,
        x: Array,
        *,
        training: bool = False,
        rng: np.random.Generator | None = None,
        logits: bool = False,
    ) -> Iterator[tuple[Layer, Array, Any]]:
        """Run layer by layer, letting go of every output after its last use."""
        last_use = {s: name for name, sources in self.sources.items() for s in sources}
        outputs = {INPUT: x}
        for layer in self._steps(logits):
            sources = self.sources[layer.name]
            y, cache = layer.forward(*(outputs[s] for s in sources), training=training, rng=rng)
            for s in set(sources):
                if last_use[s] == layer.name:
                    del outputs[s]
            outputs[layer.name] = y
            yield layer, y, cache

    def _wanting_gradient(self, need_dx: bool) -> set[str]:
        """The outputs whose gradient leads to something that learns."""
        wanted = {INPUT} if need_dx else set()
        for layer in self.layers:
            if layer.learns or any(s in wanted for s in self.sources[layer.name]):
                wanted.add(layer.name)
        return wanted

    # What users call ------------------------------------------------------------------------

    def compile(
        self,
        optimizer: str | Optimizer = "adam",
        loss: str | CategoricalCrossentropy = "sparse_categorical_crossentropy",
        metrics: Sequence[str] = ("accuracy",),
    ) -> None:
        """Choose how to train. Accuracy is always measured, and is the only metric of ``fit``."""
        from tinymnist.nn.losses import get_loss
        from tinymnist.nn.optimizers import get_optimizer

        if unknown := sorted(set(metrics) - {"accuracy"}):
            raise ValueError(
                'metrics in fit are ["accuracy"]; see tinymnist.nn.metrics for others, to be used '
                f"on predictions. Received: {unknown}"
            )
        self.optimizer, self.loss = get_optimizer(optimizer), get_loss(loss)

    def fit(self, x: Array, y: Array, **settings: Any) -> History:
        """Train; see :func:`tinymnist.nn.training.fit` for the settings."""
        from tinymnist.nn.training import fit

        return fit(self, x, y, **settings)

    def evaluate(self, x: Array, y: Array, **settings: Any) -> dict[str, float]:
        """Loss and accuracy on examples; see :func:`tinymnist.nn.training.evaluate`."""
        from tinymnist.nn.training import evaluate

        return evaluate(self, x, y, **settings)

    def summary(self) -> str:
        """A table of layers, output shapes, parameters and multiply-adds."""
        return summarize(self)

    def save(self, path: str | PathLike[str]) -> None:
        """Write a weights file; see :func:`tinymnist.nn.weights.save`."""
        from tinymnist.nn.weights import save

        save(self, path)

    def astype(self, dtype: Any) -> Sequential:
        """A copy that computes in another dtype: ``model.astype("float64")`` is the reference."""
        layers = [_cast_copy(layer, float_dtype(dtype)) for layer in self.layers]
        twin = Sequential(
            layers,
            input_shape=self.input_shape,
            wiring=self.wiring,
            dtype=dtype,
            name=self.name,
        )
        twin.information = copy.deepcopy(self.information)
        return twin

    # Frozen layers and new heads ------------------------------------------------------------

    def freeze(self, until: str | None = None) -> None:
        """Freeze every layer up to and including ``until``; without a name, all of them."""
        if until is not None:
            self.get_layer(until)
        for layer in self.layers:
            layer.trainable = False
            if layer.name == until:
                return

    def unfreeze(self, last: int | None = None) -> None:
        """Let the last ``last`` layers that have parameters learn again; without a number, all."""
        learners = [layer for layer in self.layers if layer.parameters]
        for layer in learners if last is None else learners[max(len(learners) - last, 0) :]:
            layer.trainable = True

    def replace_head(
        self,
        classes: int,
        hidden: int | None = None,
        *,
        until: str | None = None,
        rng: np.random.Generator | int = 0,
    ) -> Sequential:
        """A new model on this one's features: its layers up to ``until``, then new Dense layers.

        The old layers are shared with this model, not copied. Freeze them before training if
        they should stay as they are.

        Args:
            classes: how many classes the new model tells apart.
            hidden: units of a relu layer in front of the new output; None for no such layer.
            until: the last layer to keep; None cuts before the last Dense layer.
            rng: a generator or a seed for the new kernels.
        """
        kept = self.layers[: self._head_start() if until is None else self._after(until)]
        wiring = {layer.name: self.sources[layer.name] for layer in kept}
        model = Sequential(
            kept, input_shape=self.input_shape, wiring=wiring, dtype=self.dtype, rng=rng
        )
        if len(model.output_shape) > 1:
            model.add(Flatten(name=model._free_name("head_flatten")))
        if hidden is not None:
            model.add(Dense(hidden, activation="relu", name=model._free_name("head_hidden")))
        model.add(Dense(classes, activation="softmax", name=model._free_name("head")))
        return model

    def _head_start(self) -> int:
        """Where the head begins: at the last Dense layer."""
        dense = [i for i, layer in enumerate(self.layers) if isinstance(layer, Dense)]
        if not dense:
            raise ValueError("replace_head needs a Dense layer to replace, or until=NAME.")
        return dense[-1]

    def _after(self, name: str) -> int:
        return self.layers.index(self.get_layer(name)) + 1


def _cast_copy(layer: Layer, dtype: np.dtype[Any]) -> Layer:
    twin = copy.copy(layer)
    for name, array in layer.weights.items():
        setattr(twin, name, array.astype(dtype))
    return twin
