"""Public names of a package that are imported on first use, so that a program pays for no more."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Mapping
from importlib import import_module
from types import ModuleType
from typing import Any


def upper_room(name: str) -> ModuleType:
    """A room of the package for one below it, which may not import it: ``upper_room("interop")``.

    It is meant for what a user asks of a model but only an upper room can do, such as saving it in
    another framework's format.
    """
    return import_module(f"tinymnist.{name}")


def lazy_names(
    package: str,
    homes: Mapping[str, str],
    renamed: Mapping[str, str] | None = None,
    others: Mapping[str, Callable[[str], Any]] | None = None,
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The ``__getattr__`` and ``__dir__`` of a package (PEP 562).

    Args:
        package: its ``__name__``.
        homes: the names of each module, which is relative to the package, separated by spaces; ""
            for names of modules.
        renamed: today's name by an old one, which warns.
        others: by further names, functions that give what the name stands for.

    Raises:
        AttributeError: from ``__getattr__``, for any other name.
    """
    home = {name: module for module, names in homes.items() for name in names.split()}
    old, made = renamed or {}, others or {}

    def __getattr__(name: str) -> Any:
        if name in old:
            message = f"{package}.{name} is now {package}.{old[name]}"
            warnings.warn(message, DeprecationWarning, stacklevel=2)
            name = old[name]
        if name not in home:
            if name in made:
                return made[name](name)
            # Given the module, Python looks for a similar name if it has to print the error.
            rule = f"module {package!r} has no attribute {name!r}"
            raise AttributeError(rule, name=name, obj=sys.modules[package])
        module = import_module(f"{package}.{home[name] or name}")
        return getattr(module, name) if home[name] else module

    return __getattr__, lambda: sorted(home)
