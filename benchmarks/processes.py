"""Trainers in processes of their own: a second Keras backend, and the memory of a training."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from benchmarks.peak import peak_bytes

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
    peak = peak_bytes()
    return float("nan") if peak is None else peak / (1 << 20)
