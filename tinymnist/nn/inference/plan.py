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
from collections.abc import Iterator
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
        cuts = pieces(len(x), self._block_size(len(x)))
        left = iter(cuts)  # shared: every thread takes the next block

        def work(_: int) -> None:
            for cut in left:
                self._run(x[cut], y[cut], logits)

        with single_threaded_blas():
            if len(cuts) == 1:
                work(0)
            else:
                with Workers(workers) as threads:
                    threads.map(work, range(min(threads.count, len(cuts))))
        return y

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
        copied = [item for item in arrays if not any(item is array for array in used)]
        alone = [any(item is array for array in used_alone) for item in copied]
        self.for_all = [
            (a, bytearray(a.tobytes())) for a, own in zip(copied, alone, strict=True) if not own
        ]
        self.for_blocks = [
            (a, bytearray(a.tobytes())) for a, own in zip(copied, alone, strict=True) if own
        ]

    def is_of(self, graph: Network, *, is_single: bool) -> bool:
        """Whether nothing was replaced, and no array that was copied has changed."""
        return (
            len(graph.layers) == len(self.layers)
            and all(map(operator.is_, graph.layers, self.layers))
            and all(map(operator.is_, self._objects(graph), self.objects))
            and all(itertools.starmap(_same_bytes, self.for_all))
            and (is_single or all(itertools.starmap(_same_bytes, self.for_blocks)))
        )

    def _objects(self, graph: Network) -> Iterator[object]:
        """Every setting and array, and what each layer takes, with an end mark."""
        values = itertools.chain.from_iterable(map(dict.values, self.settings))
        return itertools.chain(values, graph.sources.values(), _END)


_END = (object(),)


def _same_bytes(array: Array, before: bytearray) -> bool:
    """A comparison of memory, without a copy."""
    same = before.__eq__(array)  # NotImplemented if the array is not contiguous
    return same if isinstance(same, bool) else before == array.tobytes()
