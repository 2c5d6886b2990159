"""A graph turned into steps, and steps into programs: what ``predict`` runs.

The outputs equal those of the layers' own functions up to rounding. Which algorithms run depends on
the shapes alone, and blocks are cut by position, so the same call gives the same bytes whatever the
number of threads.
"""

from __future__ import annotations

import itertools
import math
import operator
import weakref
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from tinymnist.nn.arrays import Array
from tinymnist.nn.inference.fusing import Convolution, Fused, Network, Product, fuse
from tinymnist.nn.inference.im2col import Im2col, reads_kernel
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

_BLOCK = 16
"""Examples in a block; more bring no speed, fewer leave Python's own work to too few."""
_MIN_TO_SHARE = 16
"""Examples that are worth a second thread; fewer are one block."""
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

    def run(self, x: Array, y: Array, *, logits: bool) -> None:
        """Write the outputs of a block into ``y``."""
        np.copyto(self.input, x)
        for call in self.calls:
            call()
        if not logits:
            for call in self.last_calls:
                call()
        np.copyto(y, self.logits if logits else self.output)


class Plan:
    """The steps of one graph, with the weights that it had when the plan was made.

    Several threads may run one plan at once: each takes a program from those that are free.
    """

    def __init__(self, graph: Network) -> None:
        """Fuse the layers; how each step is computed is decided for each block size."""
        self.steps = fuse(graph)
        self.input, self.input_shape = next(iter(graph.shapes.items()))
        self.output_shape = graph.output_shape
        self.shapes = dict(graph.shapes)
        self.ends_in_softmax = graph.ends_in_softmax
        largest = max(4 * math.prod(shape) for shape in graph.shapes.values())
        self.largest_block = max(1, _BLOCK_BYTES // largest)
        self._made: dict[tuple[str, type[Step]], Step] = {}
        self._free: dict[int, list[Program]] = {}
        operations = [step.operation for step in self.steps]
        dense = [one.kernel for one in operations if isinstance(one, Product)]
        convolutions = [one for one in operations if isinstance(one, Convolution)]
        direct = [one.kernel for one in convolutions if reads_kernel(one) and not suits(one, 1)]
        self._snapshot = _Snapshot(graph, dense, direct)

    def predict(self, x: Array, workers: int | None, *, logits: bool) -> Array:
        """Outputs (n, *output_shape) of examples (n, *input_shape) float32, n > 0."""
        y = np.empty((len(x), *self.output_shape), np.float32)
        size = self._block_size(len(x))
        with single_threaded_blas():
            if len(x) <= size:
                self._run(x, y, logits)
            else:
                self._share(x, y, pieces(len(x), size), workers, logits)
        return y

    def _share(
        self, x: Array, y: Array, cuts: list[slice], workers: int | None, logits: bool
    ) -> None:
        """Run several blocks; every thread takes the next one that is left."""
        left = iter(cuts)

        def work(_: int) -> None:
            for cut in left:
                self._run(x[cut], y[cut], logits)

        with Workers(workers) as threads:
            threads.map(work, range(min(threads.count, len(cuts))))

    def _block_size(self, n: int) -> int:
        """Examples in a block: by their number alone, so that threads change no bit."""
        usual = n if n < _MIN_TO_SHARE else _BLOCK if n >= 4 * _BLOCK else _BLOCK // 2
        return min(usual, self.largest_block)

    def _run(self, x: Array, y: Array, logits: bool) -> None:
        """Carry one block through all steps, in this thread."""
        free = self._free.setdefault(len(x), [])
        try:
            program = free.pop()
        except IndexError:
            program = Program(self, len(x))
        program.run(x, y, logits=logits)
        if len(self._free) > _MAX_SIZES:
            self._free = {}
        self._free.setdefault(len(x), []).append(program)

    def is_current(self, graph: Network, n: int) -> bool:
        """Whether layers, settings and every bit of what ``n`` examples need are as they were."""
        return self._snapshot.is_of(graph, is_single=n == 1)

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


def plan_of(graph: Network, n: int) -> Plan:
    """The plan of a float32 graph as it is now, for ``n`` examples.

    Plans live as long as their graphs, and are made again when layers, settings or weights have
    changed.
    """
    plan = _PLANS.get(graph)
    if plan is None or not plan.is_current(graph, n):
        plan = _PLANS[graph] = Plan(graph)
    return plan


_PLANS: weakref.WeakKeyDictionary[Network, Plan] = weakref.WeakKeyDictionary()


class _Snapshot:
    """What a graph consisted of: the very objects, and the bytes of arrays that were transformed.

    Weights may be changed in place (an optimizer does, and so may a user), so their bytes are
    compared, at about the speed of memory. Arrays in ``used`` are read as they are at every run,
    those in ``used_alone`` if a single example is given.
    """

    def __init__(self, graph: Network, used: list[Array], used_alone: list[Array]) -> None:
        self.layers = list(graph.layers)
        self.settings = [vars(layer) for layer in self.layers]
        self.objects = list(self._objects(graph))
        arrays = [item for item in self.objects if isinstance(item, np.ndarray)]
        copied = [item for item in arrays if not _is_among(item, used)]
        self.for_all = _Copies([item for item in copied if not _is_among(item, used_alone)])
        self.for_blocks = _Copies([item for item in copied if _is_among(item, used_alone)])

    def is_of(self, graph: Network, *, is_single: bool) -> bool:
        """Whether nothing was replaced, and no array that was copied has changed."""
        return (
            len(graph.layers) == len(self.layers)
            and all(map(operator.is_, graph.layers, self.layers))
            and all(map(operator.is_, self._objects(graph), self.objects))
            and self.for_all.are_current()
            and (is_single or self.for_blocks.are_current())
        )

    def _objects(self, graph: Network) -> Iterator[object]:
        """Every setting and array, and what each layer takes, with an end mark."""
        values = itertools.chain.from_iterable(map(dict.values, self.settings))
        return itertools.chain(values, graph.sources.values(), _END)


_END = (object(),)


class _Copies:
    """The bytes that arrays had, compared with those that they have: memory with memory."""

    def __init__(self, arrays: list[Array]) -> None:
        self.scattered = [item for item in arrays if not item.flags.c_contiguous]
        self.scattered_bytes = [item.tobytes() for item in self.scattered]
        self.contiguous = [item for item in arrays if item.flags.c_contiguous]
        self.contiguous_bytes = [bytearray(item.tobytes()) for item in self.contiguous]

    def are_current(self) -> bool:
        """Whether no bit has changed."""
        return all(map(bytearray.__eq__, self.contiguous_bytes, self.contiguous)) and (
            [item.tobytes() for item in self.scattered] == self.scattered_bytes
        )


def _is_among(item: object, others: Sequence[object]) -> bool:
    return any(item is other for other in others)
