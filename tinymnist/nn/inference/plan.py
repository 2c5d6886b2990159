"""A graph turned into steps, and steps into programs: what ``predict`` runs.

The outputs equal those of the layers' own functions up to rounding. Which algorithms run depends on
the shapes alone, and blocks are cut by position, so the same call gives the same bytes whatever the
number of threads.
"""

from __future__ import annotations

import math
import operator
import weakref
from collections.abc import Iterator
from itertools import chain
from typing import Any

import numpy as np

from tinymnist.nn.arrays import Array
from tinymnist.nn.inference.fusing import Convolution, Fused, Network, Product, fuse
from tinymnist.nn.inference.im2col import Im2col
from tinymnist.nn.inference.program import Recorder, examples_first, planes
from tinymnist.nn.inference.steps import (
    DenseProduct,
    GlobalAverage,
    PlainLayer,
    Pooling,
    SoftmaxStep,
    Step,
)
from tinymnist.nn.inference.winograd import Winograd, suits
from tinymnist.nn.layers import (
    AveragePooling2D,
    GlobalAveragePooling2D,
    Layer,
    MaxPooling2D,
    Softmax,
)
from tinymnist.nn.parallel import Workers, pieces, single_threaded_blas

_MAX_BLOCK = 16
"""Examples in a block; more bring no speed, fewer leave Python's own work to too few."""
_BLOCK_BYTES = 4 << 20
"""The largest output in a block should not exceed what a core's caches hold."""
_MAX_SIZES = 4
"""Block sizes for which programs are kept."""


class Program:
    """The recorded calls for one block size, with the buffers that they use.

    Attributes:
        calls: everything up to the logits, or up to the output if there is no softmax at the end.
        last_calls: the softmax at the end.
    """

    def __init__(self, plan: Plan, n: int) -> None:
        """Let every step allocate its buffers and record its calls."""
        do = Recorder(n)
        self.input: Array = np.empty((n, *plan.input_shape), np.float32)
        values = {plan.input: self.input}
        if len(plan.input_shape) == 3:  # (h, w, n, c), also in memory
            values[plan.input] = np.empty(planes(self.input).shape, np.float32)
            self.input = examples_first(values[plan.input])
        self.logits = self.output = values[plan.input]
        self.calls, self.last_calls = do.calls, list[Any]()
        for fused in plan.steps:
            if plan.ends_in_softmax and fused is plan.steps[-1]:
                self.logits, do.calls = self.output, self.last_calls
            inputs = [values[source] for source in fused.sources]
            step = plan.step(fused, n)
            self.output = values[fused.name] = step.record(do, *inputs)
        self.output = examples_first(self.output)
        self.logits = examples_first(self.logits) if plan.ends_in_softmax else self.output

    def run(self, x: Array, *, logits: bool) -> Array:
        """The outputs of a block."""
        np.copyto(self.input, x)
        for call in self.calls:
            call()
        if logits:
            return self.logits.copy(order="C")
        for call in self.last_calls:
            call()
        return self.output.copy(order="C")


class Plan:
    """The steps of one graph, with the weights that it had when the plan was made.

    Several threads may run one plan at once: each takes a program from those that are free.
    """

    def __init__(self, graph: Network) -> None:
        """Fuse the layers; how each step is computed is decided for each block size."""
        self.steps = fuse(graph)
        self.input, self.input_shape = next(iter(graph.shapes.items()))
        self.shapes = dict(graph.shapes)
        self.ends_in_softmax = graph.ends_in_softmax
        largest = max(4 * math.prod(shape) for shape in graph.shapes.values())
        self.block = max(1, min(_MAX_BLOCK, _BLOCK_BYTES // largest))
        """How many examples to carry through all steps at a time."""
        self._made: dict[tuple[str, type[Step]], Step] = {}
        self._free: dict[int, list[Program]] = {}
        self._snapshot = _Snapshot(graph)

    def predict(self, x: Array, workers: int | None, *, logits: bool) -> Array:
        """Outputs (n, *output_shape) of examples (n, *input_shape) float32, n > 0."""
        if len(x) <= self.block:
            with single_threaded_blas():
                return self.run(x, logits=logits)
        with Workers(workers) as threads:
            cuts = pieces(len(x), self.block)
            return np.concatenate(threads.map(lambda cut: self.run(x[cut], logits=logits), cuts))

    def run(self, x: Array, *, logits: bool = False) -> Array:
        """The outputs of one block, in this thread."""
        n = len(x)
        free = self._free.setdefault(n, [])
        try:
            program = free.pop()
        except IndexError:
            program = Program(self, n)
        y = program.run(x, logits=logits)
        if len(self._free) > _MAX_SIZES:
            self._free = {}
        self._free.setdefault(n, []).append(program)
        return y

    def is_current(self, graph: Network) -> bool:
        """Whether layers, settings and every bit of the weights are as they were."""
        return self._snapshot.is_of(graph)

    def step(self, fused: Fused, n: int) -> Step:
        """How to compute a step for blocks of ``n``; transformed kernels are shared by all."""
        operation = fused.operation
        if isinstance(operation, Convolution):
            kind = Winograd if suits(operation, n) else Im2col
            key = fused.name, kind
            if key not in self._made:
                self._made[key] = kind(operation)
            return self._made[key]
        if isinstance(operation, Product):
            return DenseProduct(operation)
        return self._plain_step(operation, fused)

    def _plain_step(self, layer: Layer, fused: Fused) -> Step:
        if isinstance(layer, Softmax):
            return SoftmaxStep()
        if isinstance(layer, GlobalAveragePooling2D):
            return GlobalAverage()
        if isinstance(layer, MaxPooling2D | AveragePooling2D):
            windows = layer.windows(self.shapes[fused.sources[0]])
            if windows.pads == ((0, 0), (0, 0)):
                return Pooling(windows, is_mean=isinstance(layer, AveragePooling2D))
        return PlainLayer(layer, self.shapes[layer.name])


def plan_of(graph: Network) -> Plan:
    """The plan of a float32 graph as it is now.

    Plans live as long as their graphs, and are made again when layers, settings or weights have
    changed.
    """
    plan = _PLANS.get(graph)
    if plan is None or not plan.is_current(graph):
        plan = _PLANS[graph] = Plan(graph)
    return plan


_PLANS: weakref.WeakKeyDictionary[Network, Plan] = weakref.WeakKeyDictionary()


class _Snapshot:
    """What a graph consisted of: the very objects, and the bytes of its arrays.

    Weights may be changed in place (an optimizer does, and so may a user), so their bytes are
    compared, at about the speed of memory.
    """

    def __init__(self, graph: Network) -> None:
        self.objects = list(_objects(graph))
        self.arrays = [item for item in self.objects if isinstance(item, np.ndarray)]
        self.bytes = [bytearray(array.tobytes()) for array in self.arrays]

    def is_of(self, graph: Network) -> bool:
        """Whether nothing was replaced, and no array changed."""
        return all(map(operator.is_, self.objects, _objects(graph))) and all(
            map(_same_bytes, self.bytes, self.arrays)
        )


def _objects(graph: Network) -> Iterator[object]:
    """Layers, settings, arrays and wiring, with an end mark."""
    values = (vars(layer).values() for layer in graph.layers)
    return chain(graph.layers, graph.sources.values(), *values, [_END])


_END = object()


def _same_bytes(before: bytearray, array: Array) -> bool:
    """A comparison of memory, without a copy."""
    if array.flags.c_contiguous:
        return before.__eq__(array) is True
    return before == array.tobytes()
