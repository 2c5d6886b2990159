"""PyTorch: every module's output by hooks, and what is called between them (``F.relu`` ...)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinymnist.compare.layouts import channels_last, channels_last_vector
from tinymnist.compare.outputs import INPUT_KIND, Output, kind_of
from tinymnist.errors import InputError
from tinymnist.nn.arrays import Array


def run(model: Any, x: Array, *, seed: int | None = None) -> list[Output]:
    """Run a ``torch.nn.Module`` in the mode that it is in: ``eval()`` it first, as a rule.

    Buffers (the moving statistics, in training mode) and the random state are put back afterwards.

    Args:
        model: any module; it gets pictures as (n, c, h, w), or (n, features) if it wants those.
        x: (n, h, w, c) or (n, features).
        seed: for what draws in the model; None takes the random state as it is.

    Raises:
        InputError: when the model does not take such examples.
    """
    import torch

    example = next(model.parameters(), torch.zeros(1))
    given = torch.as_tensor(np.ascontiguousarray(_channels_first(x)))
    given = given.to(example.device, example.dtype)
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


def _channels_first(x: Array) -> Array:
    return x.transpose(0, 3, 1, 2) if x.ndim == 4 else x


def _events(model: Any, given: Any) -> list[tuple[str, str, Array]]:
    """(name, kind, values) of everything that was computed, in order."""
    try:
        return record(model, given)
    except (RuntimeError, ValueError) as error:
        if given.ndim == 2:
            raise InputError(
                f"the PyTorch model does not take {tuple(given.shape)}: {error}"
            ) from None
        reason = str(error).splitlines()[0]
    try:
        return record(model, given.flatten(1))
    except (RuntimeError, ValueError):
        raise InputError(
            f"the PyTorch model takes neither {tuple(given.shape)} nor the same flattened: {reason}"
        ) from None


def record(model: Any, given: Any) -> list[tuple[str, str, Array]]:
    """Run a module and note what its leaves and the functions between them give."""
    # Copied at once, because the next module may work in place.
    tensors = recorded(model, given, lambda tensor: tensor.detach().clone())
    return [(name, kind, tensor.cpu().numpy()) for name, kind, tensor in tensors]


def recorded(model: Any, given: Any, keep: Callable[[Any], Any]) -> list[tuple[str, str, Any]]:
    """As :func:`record`, as tensors: ``keep`` makes of each what is noted."""
    from torch.overrides import TorchFunctionMode

    found: list[tuple[str, str, Any]] = []
    latest: list[Any] = [None]
    inside = [0]  # how deep in leaf modules; functions there belong to the module

    class Listener(TorchFunctionMode):  # type: ignore[misc, unused-ignore]
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
            told = name or type(module).__name__.lower()
            hooks.append(module.register_forward_hook(_named(leave, told)))
    try:
        with Listener():
            result = model(given)
    finally:
        for hook in hooks:
            hook.remove()
    if result is not latest[0]:
        note("output", "", result)
    return found


def _named(hook: Any, name: str) -> Any:
    return lambda module, arguments, result: hook(module, arguments, result, name=name)


def _is_batch(result: Any, given: Any) -> bool:
    """Whether something is floats (n, ...)."""
    import torch

    return (
        isinstance(result, torch.Tensor)
        and result.is_floating_point()
        and result.ndim > 1
        and len(result) == len(given)
    )


def _free(name: str, found: list[tuple[str, str, Any]]) -> str:
    """The name, or with a number if it is taken: a module may be called twice."""
    taken = {one for one, _, _ in found}
    chosen, number = name, 1
    while chosen in taken:
        number += 1
        chosen = f"{name}_{number}"
    return chosen


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
    """The gradient of the weighed sum of the outputs at every layer.

    Args:
        model, x: as for :func:`run`.
        weights: gives what the outputs are weighed by, for their shape.
    """
    import torch

    example = next(model.parameters(), torch.zeros(1))
    given = torch.as_tensor(np.ascontiguousarray(_channels_first(x)))
    given = given.to(example.device, example.dtype).requires_grad_()
    with torch.enable_grad():
        tensors = [("input", INPUT_KIND, given), *recorded(model, given, lambda one: one)]
        last = tensors[-1][2]
        total = (last * torch.as_tensor(weights(last.shape)).to(last)).sum()
        found = torch.autograd.grad(total, [one for _, _, one in tensors], allow_unused=True)
    events = [
        (name, kind, gradient.detach().cpu().numpy())
        for (name, kind, _), gradient in zip(tensors, found, strict=True)
        if gradient is not None
    ]
    return _in_our_layout(events)
