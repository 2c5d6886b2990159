"""PyTorch: state_dicts, read without PyTorch and without running any code of the file.

``containers`` opens the zip (or the older file), runs its pickle on ``machine``, which knows
containers and the ``tensors`` of a fixed table alone, and finds the state_dict in the result;
``modules`` turns its tensors into blocks of weights, and layers back into tensors. ``pickled``
reads NumPy's arrays from a pickle in the same way.
"""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from tinymnist.interop.bare.candidates import Candidates, from_blocks
from tinymnist.interop.pytorch.containers import read_tensors
from tinymnist.interop.pytorch.modules import blocks_of

__all__ = ["read", "read_tensors"]


def read(path: str | PathLike[str], architecture: str | PathLike[str] | None = None) -> Candidates:
    """Read a file that ``torch.save`` or ``torch.jit.save`` wrote, or a pickle of NumPy's arrays.

    Args:
        path: a state_dict, a checkpoint that contains one, or a pickled or scripted module.
        architecture: a JSON file that describes the layers (see
            :mod:`tinymnist.interop.bare.architecture`), or the name of a shipped architecture.

    Raises:
        InputError: when the file is damaged or hostile, or holds a layer that cannot be mapped.
    """
    tensors, version = read_tensors(path)
    source = f"{version}, {Path(path).name}"
    blocks = blocks_of(tensors, path)
    return from_blocks(blocks, path, source, architecture=architecture, channels_first=True)
