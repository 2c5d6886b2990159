"""PyTorch: every module's output, by hooks, and those of functions called between (``F.relu``)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import numpy as np

from tinymnist.comparison.outputs import INPUT_KIND, Output, channels_last, kind_of, reorder_vector
from tinymnist.errors import InputError
from tinymnist.nn.arrays import Array

_Recorded = tuple[str, str, Any]
"""Name, kind, and a tensor or its values."""


def run(model: Any, x: Array, *, seed: int | None = None) -> list[Output]:
    """Run a ``torch.nn.Module`` in its current mode, on (n, c, h, w), or flattened if it must.

    Buffers (the moving statistics, in training mode) and the random state are restored afterwards;
    ``seed`` is what the random state is set to for the run.
    """
    import torch

    given = _input_for(model, x)
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            if seed is not None:
                torch.manual_seed(seed)
            outputs = _in_our_layout(_values(model, given))
    finally:
        for name, buffer in model.named_buffers():
            buffer.copy_(buffers[name])
    return [Output("input", INPUT_KIND, np.asarray(x, outputs[-1].values.dtype)), *outputs]


def gradients(model: Any, x: Array, weights: Callable[[Any], Array]) -> list[Output]:
    """The gradient of the weighted sum of the outputs at every layer."""
    import torch

    given = _input_for(model, x).requires_grad_()
    with torch.enable_grad():
        tensors = [("input", INPUT_KIND, given), *_recorded(model, given, lambda one: one)]
        last = tensors[-1][2]
        total = (last * torch.as_tensor(weights(last.shape)).to(last)).sum()
        slopes = torch.autograd.grad(total, [one for _, _, one in tensors], allow_unused=True)
    found = zip(tensors, slopes, strict=True)
    known = [(name, kind, slope) for (name, kind, _), slope in found if slope is not None]
    return _in_our_layout((name, kind, slope.cpu().numpy()) for name, kind, slope in known)


def _input_for(model: Any, x: Array) -> Any:
    """The examples as a tensor, channels first, with the dtype and device of the parameters."""
    import torch

    example = next(model.parameters(), torch.zeros(1))
    first = x.transpose(0, 3, 1, 2) if x.ndim == 4 else x
    return torch.as_tensor(np.ascontiguousarray(first)).to(example.device, example.dtype)


def _values(model: Any, given: Any) -> list[_Recorded]:
    """The values of everything that was computed, in order."""
    reason = ""
    for tensor in (given, given.flatten(1)):
        try:  # values are copied at once, because the next module may work in place
            return _recorded(model, tensor, lambda one: one.detach().cpu().numpy().copy())
        except (RuntimeError, ValueError) as error:
            reason = reason or str(error).splitlines()[0]
    raise InputError(
        f"the PyTorch model takes neither {tuple(given.shape)} nor the same flattened: {reason}"
    )


def _recorded(model: Any, given: Any, keep: Callable[[Any], Any]) -> list[_Recorded]:
    """Run a module; record ``keep(tensor)`` of its leaf modules and of functions between them."""
    import torch

    found: list[_Recorded] = []
    latest: list[Any] = [None]
    inside = [0]  # how deep in leaf modules; functions there belong to the module

    class Recorder(torch.overrides.TorchFunctionMode):  # type: ignore[misc, unused-ignore]
        def __torch_function__(self, function, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            result = function(*args, **(kwargs or {}))
            name = getattr(function, "__name__", "").strip("_")
            if not inside[0] and kind_of(name):
                note(name, kind_of(name), result)
            return result

    def note(name: str, kind: str, result: Any) -> None:
        if isinstance(result, torch.Tensor) and result.is_quantized:
            result = result.dequantize()
        is_floats = isinstance(result, torch.Tensor) and result.is_floating_point()
        if is_floats and result.ndim > 1 and len(result) == len(given):
            latest[0] = result
            taken = {one for one, _, _ in found}  # a module may be called twice
            names = itertools.chain([name], (f"{name}_{number}" for number in itertools.count(2)))
            free = next(one for one in names if one not in taken)
            found.append((free, kind, keep(result)))

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


def _in_our_layout(events: Iterable[_Recorded]) -> list[Output]:
    """Pictures channels last; vectors that are flattened pictures in the order (h, w, c)."""
    outputs: list[Output] = []
    picture: tuple[int, int, int] | None = None  # the last one, (h, w, c)
    flattened = False  # whether the last vector is that picture, in the order (c, h, w)
    last = False  # whether the network has moved the channels of pictures last
    for name, kind, values in events:
        if kind == "permute" and values.ndim == 4:
            last = picture is not None and values.shape[1:] == picture
            continue  # the same numbers as before, in our layout
        new = values if last else channels_last(values)
        if values.ndim == 4:
            picture = new.shape[1:]
        fits = values.ndim == 2 and picture is not None and math.prod(picture) == values.shape[1]
        flattened = fits and not last and (kind == "flatten" or (flattened and kind != "dense"))
        if flattened and picture is not None:
            new = reorder_vector(values, picture)
        outputs.append(Output(name, kind, np.ascontiguousarray(new)))
    return outputs
