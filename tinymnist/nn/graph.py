"""Layers wired together: which takes what, and how numbers run forward and gradients back."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinymnist.nn.arrays import Array, Shape, float_dtype
from tinymnist.nn.layers import Activation, Layer, Softmax
from tinymnist.nn.layers.base import default_name

INPUT = "input"
"""The name under which a wiring refers to what goes into the model."""


@dataclass(frozen=True)
class Input:
    """States the shape of one example, (28, 28, 1) for instance: the first entry of a model."""

    shape: Shape


class Graph:
    """Layers that each take the output of the one before, unless wired otherwise.

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
        layers: Iterable[Layer | Input | Graph] = (),
        *,
        input_shape: Sequence[int] | None = None,
        wiring: Mapping[str, Sequence[str]] | None = None,
        dtype: Any = "float32",
        rng: np.random.Generator | int = 0,
        name: str = "sequential",
    ) -> None:
        """Name, wire and build the layers.

        Args:
            layers: layers, the first of which may be an :class:`Input`, or a whole model to build
                upon. Layers of another model can be used; they are shared with it, arrays
                included.
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
        self.information: dict[str, Any] = {}
        self._rng = np.random.default_rng(rng)
        self._wiring = {name: tuple(sources) for name, sources in (wiring or {}).items()}
        entries = list(layers)
        if entries and isinstance(entries[0], Input):
            input_shape = entries.pop(0).shape  # type: ignore[union-attr]
        elif entries and isinstance(entries[0], Graph):
            base = entries[0]
            entries[:1], input_shape = base.layers, base.input_shape
            self._wiring = {**base.wiring, **self._wiring}
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
            layer = cast_copy(layer, self.dtype)
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

    @property
    def trainable(self) -> bool:
        """Whether any layer learns. Setting it freezes or unfreezes them all, as in Keras."""
        return any(layer.learns for layer in self.layers)

    @trainable.setter
    def trainable(self, value: bool) -> None:
        for layer in self.layers:
            layer.trainable = value

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

    def run(self, x: Array, *, logits: bool = False) -> Array:
        """The output alone: forward in this thread, keeping no caches.

        Args:
            x, logits: as for :meth:`forward`.
        """
        y = x
        for _, output, _ in self._propagate(x, logits=logits):
            y = output
        return y

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


def cast_copy(layer: Layer, dtype: np.dtype[Any]) -> Layer:
    """The same layer with its arrays in another dtype."""
    twin = copy.copy(layer)
    for name, array in layer.weights.items():
        setattr(twin, name, array.astype(dtype))
    return twin
