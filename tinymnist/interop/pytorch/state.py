"""The state_dict in the value of a PyTorch pickle, as tensors by name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tinymnist.interop.pytorch.machine import Instance, Machine, Refused
from tinymnist.interop.pytorch.tensors import Tensor

PREFERRED = ("state_dict", "model_state_dict", "model_state", "model", "net", "network", "module")
"""Keys under which checkpoints keep the weights, most specific first."""
_NEVER = ("optim", "sched", "scaler")
_MOST_DEPTH = 16


def named_tensors(root: Any, machine: Machine) -> dict[str, Tensor]:
    """Find the tensors of the model.

    Args:
        root: a state_dict, a checkpoint that contains one, or a pickled or scripted module.
        machine: the machine that made it.

    Returns:
        The tensors by their names in the state_dict, in its order.

    Raises:
        Refused: when there is no state_dict or several, or when the file holds objects that are
            neither containers, tensors nor plain modules.
    """
    _refuse_strangers(machine)
    if not isinstance(root, (dict, Instance)):
        raise Refused(f"it holds a {type(root).__name__}; expected a state_dict")
    if isinstance(root, Instance) or any(isinstance(value, Tensor) for value in root.values()):
        return dict(_walk(root))
    found = {key: dict(_walk(value)) for key, value in root.items()
             if isinstance(value, (dict, Instance))
             and not any(word in str(key).lower() for word in _NEVER)}  # fmt: skip
    found = {key: tensors for key, tensors in found.items() if tensors}
    chosen = next((key for key in PREFERRED if key in found), None)
    if chosen is None and len(found) == 1:
        chosen = next(iter(found))
    if chosen is None:
        raise Refused(
            f"it holds {f'several sets of tensors: {list(found)[:8]}' if found else 'no tensors'}; "
            "expected one state_dict"
        )
    return found[chosen]


def _refuse_strangers(machine: Machine) -> None:
    """Refuse anything but modules and their tensors by name, even if it did nothing."""
    for instance in machine.instances:
        scripted = instance.kind.module.split(".")[0] == "__torch__"
        state = instance.state
        if not scripted and not (
            isinstance(state, dict) and {"_parameters", "_modules"} <= set(state)
        ):
            raise Refused(f"it holds an object of {instance.kind}; {_ADVICE}")
    modules = {instance.kind for instance in machine.instances}
    for name in machine.strangers:
        if name not in modules and name.module.split(".")[0] != "torch":
            raise Refused(f"it names {name}; {_ADVICE}")


_ADVICE = (
    "expected tensors and containers alone. If you trust the file, save the weights in PyTorch: "
    "torch.save(model.state_dict(), 'weights.pt')"
)


def _walk(value: Any, prefix: str = "", depth: int = 0) -> Iterator[tuple[str, Tensor]]:
    """All tensors, at any depth, by their dotted names."""
    if depth > _MOST_DEPTH:
        raise Refused("its tensors are nested too deeply")
    for key, item in _items(value):
        name = f"{prefix}{key}"
        if isinstance(item, Tensor):
            yield name, item
        elif isinstance(item, (dict, Instance)):
            yield from _walk(item, f"{name}.", depth + 1)


def _items(value: dict[Any, Any] | Instance) -> Iterator[tuple[Any, Any]]:
    """The entries of a dict, or of a module: its parameters, its buffers, then its submodules."""
    if isinstance(value, dict):
        yield from value.items()
    elif isinstance(value.state, dict):
        state = value.state
        if "_modules" not in state:
            yield from state.items()
            return
        for part in ("_parameters", "_buffers", "_modules"):
            if isinstance(inner := state.get(part), dict):
                yield from inner.items()
