"""PyTorch: the outputs of all modules, by hooks, and of functions called between them (``F.relu``).

:func:`build` makes a PyTorch network of a model of tinymnist.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from tinymnist.comparison.outputs import (
    INPUT_KIND,
    Output,
    channels_last,
    channels_last_vector,
    kind_of,
)
from tinymnist.comparison.rerun import changed
from tinymnist.comparison.runners.torch_layers import modules_of
from tinymnist.errors import InputError
from tinymnist.nn.arrays import Array
from tinymnist.nn.graph import INPUT
from tinymnist.nn.layers import Dense, Flatten, Layer
from tinymnist.nn.sequential import Sequential

PACKAGES = "torch"


def check_installed() -> None:
    """Raise ImportError if PyTorch is missing."""
    import torch  # noqa: F401


def run(model: Any, x: Array, *, seed: int | None = None) -> list[Output]:
    """Run a ``torch.nn.Module`` in its current mode; usually call ``eval()`` first.

    Buffers (the moving statistics, in training mode) and the random state are restored afterwards.

    Args:
        model: any module; it gets pictures as (n, c, h, w), or flattened if it refuses those.
        x: (n, h, w, c) or (n, features).
        seed: for random layers such as Dropout; None keeps the current random state.

    Raises:
        InputError: when the model does not take such examples.
    """
    import torch

    given = _input_for(model, x)
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            if seed is not None:
                torch.manual_seed(seed)
            events = _events(model, given)
    finally:
        for name, buffer in model.named_buffers():
            buffer.copy_(buffers[name])
    outputs = [Output("input", INPUT_KIND, np.asarray(x, events[-1][2].dtype))]
    return outputs + _in_our_layout(events)


def _input_for(model: Any, x: Array) -> Any:
    """The examples as a tensor, channels first, with the dtype and device of the parameters."""
    import torch

    example = next(model.parameters(), torch.zeros(1))
    first = x.transpose(0, 3, 1, 2) if x.ndim == 4 else x
    return torch.as_tensor(np.ascontiguousarray(first)).to(example.device, example.dtype)


def _events(model: Any, given: Any) -> list[tuple[str, str, Array]]:
    """(name, kind, values) of everything that was computed, in order."""
    try:
        return _arrays(model, given)
    except (RuntimeError, ValueError) as error:
        if given.ndim == 2:
            raise InputError(
                f"the PyTorch model does not take {tuple(given.shape)}: {error}"
            ) from None
        reason = str(error).splitlines()[0]
    try:
        return _arrays(model, given.flatten(1))
    except (RuntimeError, ValueError):
        raise InputError(
            f"the PyTorch model takes neither {tuple(given.shape)} nor the same flattened: {reason}"
        ) from None


def _arrays(model: Any, given: Any) -> list[tuple[str, str, Array]]:
    # Copied at once, because the next module may work in place.
    tensors = _recorded(model, given, lambda tensor: tensor.detach().clone())
    return [(name, kind, tensor.cpu().numpy()) for name, kind, tensor in tensors]


def _recorded(model: Any, given: Any, keep: Callable[[Any], Any]) -> list[tuple[str, str, Any]]:
    """Run a module; record its leaf modules and the functions called between them.

    Returns:
        (name, kind, ``keep(tensor)``) in the order of execution.
    """
    from torch.overrides import TorchFunctionMode

    found: list[tuple[str, str, Any]] = []
    latest: list[Any] = [None]
    inside = [0]  # how deep in leaf modules; functions there belong to the module

    class Recorder(TorchFunctionMode):  # type: ignore[misc, unused-ignore]
        def __torch_function__(self, function, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            result = function(*args, **(kwargs or {}))
            name = getattr(function, "__name__", "").strip("_")
            if not inside[0] and kind_of(name):
                note(name, kind_of(name), result)
            return result

    def note(name: str, kind: str, result: Any) -> None:
        if _is_batch(result, given):
            latest[0] = result
            found.append((_free(name, found), kind, keep(result)))

    def enter(module: Any, arguments: Any) -> None:
        inside[0] += 1

    def leave(module: Any, arguments: Any, result: Any, *, name: str) -> None:
        inside[0] -= 1
        note(name, kind_of(type(module).__name__), result)

    hooks = []
    for name, module in model.named_modules():
        if not list(module.children()):
            hooks.append(module.register_forward_pre_hook(enter))
            label = name or type(module).__name__.lower()
            hooks.append(module.register_forward_hook(partial(leave, name=label)))
    try:
        with Recorder():
            result = model(given)
    finally:
        for hook in hooks:
            hook.remove()
    if result is not latest[0]:
        note("output", "", result)
    return found


def _is_batch(result: Any, given: Any) -> bool:
    """Whether a result is a tensor of floats (n, ...) for the same n examples."""
    import torch

    return (
        isinstance(result, torch.Tensor)
        and result.is_floating_point()
        and result.ndim > 1
        and len(result) == len(given)
    )


def _free(name: str, found: list[tuple[str, str, Any]]) -> str:
    """The name, or ``name_2``, ``name_3`` ... if it is taken: a module may be called twice."""
    taken = {one for one, _, _ in found}
    numbered = (f"{name}_{number}" for number in itertools.count(2))
    return next(one for one in itertools.chain([name], numbered) if one not in taken)


def _in_our_layout(events: list[tuple[str, str, Array]]) -> list[Output]:
    """Pictures channels last; vectors that are flattened pictures in the order (h, w, c)."""
    outputs: list[Output] = []
    picture: tuple[int, int, int] | None = None  # the last one, (h, w, c)
    flattened = False  # whether the last vector is that picture, in the order (c, h, w)
    for name, kind, values in events:
        new = channels_last(values)
        if values.ndim == 4:
            picture, flattened = new.shape[1:], False
        elif values.ndim == 2 and picture is not None:
            fits = int(np.prod(picture)) == values.shape[1]
            flattened = fits and (kind == "flatten" or (flattened and kind != "dense"))
            if flattened:
                new = channels_last_vector(values, picture)
        else:
            flattened = False
        outputs.append(Output(name, kind, np.ascontiguousarray(new)))
    return outputs


def gradients(model: Any, x: Array, weights: Callable[[Any], Array]) -> list[Output]:
    """The gradient of the weighted sum of the outputs at every layer.

    Args:
        model, x: as for :func:`run`.
        weights: shape of the outputs -> the weights in the sum.
    """
    import torch

    given = _input_for(model, x).requires_grad_()
    with torch.enable_grad():
        tensors = [("input", INPUT_KIND, given), *_recorded(model, given, lambda one: one)]
        last = tensors[-1][2]
        total = (last * torch.as_tensor(weights(last.shape)).to(last)).sum()
        found = torch.autograd.grad(total, [one for _, _, one in tensors], allow_unused=True)
    events = [
        (name, kind, gradient.detach().cpu().numpy())
        for (name, kind, _), gradient in zip(tensors, found, strict=True)
        if gradient is not None
    ]
    return _in_our_layout(events)


def build(model: Sequential) -> Any:
    """Build a network of PyTorch's own layers with a model's weights, in ``eval()`` mode.

    Raises:
        InputError: for a layer that has no PyTorch counterpart here.
    """
    import torch

    layers = {
        layer.name: _as_one(modules_of(layer, model.shapes[model.sources[layer.name][0]]))
        for layer in _by_channel(model)
    }

    class Network(torch.nn.Module):  # type: ignore[misc, unused-ignore]
        def __init__(self) -> None:
            super().__init__()
            for name, module in layers.items():
                plain = name.replace(".", "_")
                self.add_module(f"{plain}_" if hasattr(self, plain) else plain, module)

        def forward(self, x: Any) -> Any:
            outputs = {INPUT: x}
            for layer in model.layers:
                xs = [outputs[source] for source in model.sources[layer.name]]
                kind = type(layer).__name__
                if kind == "Add":
                    outputs[layer.name] = torch.add(xs[0], sum(xs[2:], xs[1]))
                elif kind == "Concatenate":
                    outputs[layer.name] = torch.concat(xs, dim=1)
                else:
                    outputs[layer.name] = layers[layer.name](xs[0])
            return outputs[model.layers[-1].name]

    dtype = torch.float64 if model.dtype == np.float64 else torch.float32
    return Network().to(dtype).eval()


def _by_channel(model: Sequential) -> Iterator[Layer]:
    """The layers; after a Flatten, weights are reordered for features channels first."""
    orders: dict[str, Array] = {}
    for layer in model.layers:
        source = model.sources[layer.name][0]
        shape, order = model.shapes[source], orders.get(source)
        if isinstance(layer, Flatten) and len(shape) == 3:
            h, w, c = shape
            orders[layer.name] = np.arange(h * w * c).reshape(h, w, c).transpose(2, 0, 1).ravel()
        elif order is not None and isinstance(layer, Dense):
            layer = changed(layer, kernel=layer.kernel[order])  # noqa: PLW2901
        elif order is not None:
            arrays = {name: array[order] for name, array in layer.weights.items()}
            layer = changed(layer, **arrays)  # noqa: PLW2901
            orders[layer.name] = order
        yield layer


def _as_one(modules: list[Any]) -> Any:
    from torch import nn

    return modules[0] if len(modules) == 1 else nn.Sequential(*modules)
