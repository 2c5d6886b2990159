"""PyTorch: state_dicts, read without PyTorch and without running any code of the file."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from tinymnist.errors import InputError
from tinymnist.interop.bare.candidates import Candidates, from_blocks
from tinymnist.interop.pytorch.containers import load
from tinymnist.interop.pytorch.machine import Refused
from tinymnist.interop.pytorch.modules import Unmapped, blocks_of
from tinymnist.interop.pytorch.state import named_tensors
from tinymnist.nn.arrays import Array
from tinymnist.nn.sequential import Sequential


def read(
    path: str | PathLike[str],
    *,
    architecture: str | PathLike[str] | None = None,
    plan: int | None = None,
) -> Sequential:
    """Read a file that ``torch.save`` or ``torch.jit.save`` wrote.

    Args:
        path: a state_dict, a checkpoint with one inside, or a pickled or scripted module.
        architecture: what the file does not tell: a JSON file that describes the layers (see
            :mod:`tinymnist.interop.bare.architecture`), or the name of a shipped architecture.
        plan: which of the architectures that fit the shapes, counted from 1.

    Raises:
        InputError: when the file is damaged or hostile, when it holds a layer that cannot be
            mapped, or when several architectures fit; the message lists them.
    """
    return candidates(path, architecture=architecture).choose(plan)


def candidates(
    path: str | PathLike[str], *, architecture: str | PathLike[str] | None = None
) -> Candidates:
    """Every model that the weights in a file may be.

    Raises:
        InputError: as :func:`read`, but not for several architectures.
    """
    tensors, version = read_tensors(path)
    source = f"PyTorch state_dict ({version}), {Path(path).name}"
    try:
        blocks = blocks_of(tensors)
    except Unmapped as error:
        raise InputError(f"{path}: {error}") from None
    return from_blocks(blocks, path, source, architecture=architecture, channels_first=True)


def read_tensors(path: str | PathLike[str]) -> tuple[dict[str, Array], str]:
    """The tensors of a file by their names in the state_dict, and the version of its format.

    Raises:
        InputError: when it cannot be read, or holds none.
    """
    contents = load(path)
    try:
        tensors = named_tensors(contents.root, contents.machine)
        return {name: contents.array(t) for name, t in tensors.items()}, contents.version
    except Refused as error:
        raise InputError(f"{path} cannot be read as a PyTorch file: {error}") from None
