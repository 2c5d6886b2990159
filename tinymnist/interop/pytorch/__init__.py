"""PyTorch: state_dicts, read without PyTorch and without running any code of the file.

``containers`` opens the zip (or the older file) and runs its pickle on ``machine``, which knows
containers and the ``tensors`` of a fixed table alone; ``state`` finds the state_dict in the result;
``modules`` turns its tensors into blocks of weights, and layers back into tensors.
"""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from tinymnist.errors import InputError
from tinymnist.interop.bare.candidates import Candidates, from_blocks
from tinymnist.interop.pytorch.containers import load
from tinymnist.interop.pytorch.machine import Refused
from tinymnist.interop.pytorch.modules import blocks_of
from tinymnist.interop.pytorch.state import named_tensors
from tinymnist.nn.arrays import Array


def read(path: str | PathLike[str], architecture: str | PathLike[str] | None = None) -> Candidates:
    """Read a file that ``torch.save`` or ``torch.jit.save`` wrote.

    Args:
        path: a state_dict, a checkpoint that contains one, or a pickled or scripted module.
        architecture: a JSON file that describes the layers (see
            :mod:`tinymnist.interop.bare.architecture`), or the name of a shipped architecture.

    Raises:
        InputError: when the file is damaged or hostile, or holds a layer that cannot be mapped.
    """
    tensors, version = read_tensors(path)
    source = f"PyTorch state_dict ({version}), {Path(path).name}"
    blocks = blocks_of(tensors, path)
    return from_blocks(blocks, path, source, architecture=architecture, channels_first=True)


def read_tensors(path: str | PathLike[str]) -> tuple[dict[str, Array], str]:
    """The tensors of a file by their names in the state_dict, and the version of its format.

    Raises:
        InputError: when it cannot be read, or holds no tensors.
    """
    contents = load(path)
    try:
        tensors = named_tensors(contents.root, contents.machine)
        return {name: contents.array(t) for name, t in tensors.items()}, contents.version
    except Refused as error:
        raise InputError(f"{path} cannot be read as a PyTorch file: {error}") from None
