"""PyTorch: state_dicts, read without torch and without running any code."""

from __future__ import annotations

from os import PathLike

from tinymnist.errors import InputError
from tinymnist.nn.model import Sequential


def read(
    path: str | PathLike[str],
    *,
    architecture: str | PathLike[str] | None = None,
    plan: int | None = None,
) -> Sequential:
    """Read a file that ``torch.save`` or ``torch.jit.save`` wrote.

    Raises:
        InputError: when it cannot be read.
    """
    raise InputError(f"{path}: PyTorch files are not read yet")
