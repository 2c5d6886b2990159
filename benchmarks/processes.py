"""Trainers in processes of their own: a second Keras backend, and the memory of a training."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

Ask = Callable[[str], Any]
"""``ask("epoch")`` calls the trainer's method in its process and returns what it returns."""


def start(make: Callable[[Any], Any], task: Any, environment: dict[str, str]) -> Ask:
    """Build ``make(task)`` in a new process, with these variables set before anything is imported.

    Args:
        make: a function of a module, so that it can be sent.
        task: its argument.
        environment: added to this process's own.

    Raises:
        ModuleNotFoundError: if the process lacks a package.
    """
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    try:
        context.Process(target=_serve, args=(there, make, task), daemon=True).start()
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
    there.close()

    def ask(what: str) -> Any:
        here.send(what)
        return here.recv()

    if missing := here.recv():
        raise ModuleNotFoundError(missing)
    return ask


def _serve(pipe: Connection, make: Callable[[Any], Any], task: Any) -> None:
    try:
        trainer = make(task)
    except ModuleNotFoundError as error:
        pipe.send(str(error))
        return
    pipe.send("")
    while True:
        try:
            what = pipe.recv()
        except EOFError:  # the other side has ended
            return
        pipe.send(peak_megabytes() if what == "peak" else getattr(trainer, what)())


def peak_megabytes() -> float:
    """The most memory that this process has held: NaN where the system does not say."""
    status = Path("/proc/self/status")  # Linux; ru_maxrss would count the parent's before exec
    if status.exists():
        for line in status.read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) / 1024
    if sys.platform == "win32":
        return float("nan")
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)
