"""tinymnist as an ONNX backend, on which ONNX's own conformance suite runs.

Usage::

    import onnx.backend.test
    from benchmarks.onnx_backend import TinymnistBackend

    globals().update(onnx.backend.test.BackendTest(TinymnistBackend, __name__).test_cases)

A model is run node by node, while :func:`tinymnist.interop.onnx.read` converts it to layers. This
module imports ``onnx`` at the top, because its classes derive from ONNX's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from onnx.backend.base import Backend, BackendRep
from onnx.backend.test.runner import BackendIsNotSupposedToImplementIt

from benchmarks.onnx_operations import OPERATIONS
from tinymnist.errors import InputError
from tinymnist.interop.onnx.loading import network_of
from tinymnist.interop.onnx.nodes import Contradiction, Network, Unmappable
from tinymnist.interop.onnx.running import run
from tinymnist.nn.arrays import Array


class TinymnistRep(BackendRep):
    """A model ready to run."""

    def __init__(self, network: Network) -> None:
        self.network = network

    def run(self, inputs: Any, **kwargs: Any) -> tuple[Array, ...]:
        """Compute the outputs.

        Args:
            inputs: arrays in order or by name; or a single array.
            kwargs: ignored.

        Raises:
            BackendIsNotSupposedToImplementIt: if a setting or type is not supported.
            ValueError: if shapes do not fit.
        """
        names = [port.name for port in self.network.inputs]
        if isinstance(inputs, Mapping):
            fed = dict(inputs)
        else:
            listed = inputs if isinstance(inputs, Sequence) else [inputs]
            fed = dict(zip(names, listed, strict=True))
        if any(array is None or isinstance(array, list) for array in fed.values()):
            raise BackendIsNotSupposedToImplementIt("it would need sequences of tensors")
        fed = {name: np.asarray(array) for name, array in fed.items()}
        try:
            found = run(self.network, fed, OPERATIONS)
        except Contradiction as error:
            raise ValueError(f"the model or its inputs do not fit: {error}") from None
        except Unmappable as reason:
            raise BackendIsNotSupposedToImplementIt(str(reason)) from None
        return tuple(found[name] for name in self.network.outputs)


class TinymnistBackend(Backend):
    """The backend; see :class:`onnx.backend.base.Backend`."""

    @classmethod
    def prepare(cls, model: Any, device: str = "CPU", **kwargs: Any) -> TinymnistRep:
        """Load a model.

        Raises:
            BackendIsNotSupposedToImplementIt: if tinymnist lacks one of its operations.
        """
        super().prepare(model, device, **kwargs)  # runs ONNX's checker
        try:
            network = network_of(model, Path("model"))
        except InputError as reason:
            raise BackendIsNotSupposedToImplementIt(str(reason)) from None
        for node in network.nodes:
            if node.op not in OPERATIONS and node.op != "If":
                raise BackendIsNotSupposedToImplementIt(f"tinymnist has no operation {node.op}")
        return TinymnistRep(network)

    @classmethod
    def supports_device(cls, device: str) -> bool:
        """Whether tinymnist runs on a device: only on the CPU."""
        return device == "CPU"
