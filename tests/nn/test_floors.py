"""The files of ``nn`` lie on floors: each imports only from below, in whatever way it does so."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import tinymnist.nn

FOLDER = Path(tinymnist.nn.__file__).parent
FLOORS = (
    "arrays", "shapes", "functional", "naive", "initializers", "parallel", "layers", "schedules",
    "losses", "optimizers", "metrics", "graph", "weights", "plain_training",
    "training.batches", "training.state", "training.checkpoint", "training.callbacks",
    "training.frozen", "training.loop", "training.fit", "sequential", "architectures",
)  # fmt: skip
"""From the ground up. A folder is one floor, except ``training``."""


def floor_of(module: str) -> str | None:
    """``tinymnist.nn.layers.base`` lies on the floor "layers"; None for what lies on none."""
    parts = module.removeprefix("tinymnist.nn").lstrip(".").split(".")
    for name in (".".join(parts[:2]), parts[0]):
        if name in FLOORS:
            return name
    return None


def imports_of(file: Path) -> Iterator[str]:
    """Every module that a file names: at its top, in functions, under ``TYPE_CHECKING``."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == "tinymnist.nn":
            yield from (f"tinymnist.nn.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.Name | ast.Attribute):
            name = node.id if isinstance(node, ast.Name) else node.attr
            assert name != "import_module", f"{file} imports by name"


FILES = [
    file
    for file in sorted(FOLDER.rglob("*.py"))
    if file.relative_to(FOLDER).as_posix() not in ("__init__.py", "training/__init__.py")
]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(FOLDER).as_posix())
def test_a_file_imports_only_from_below(file: Path) -> None:
    own = floor_of("tinymnist.nn." + ".".join(file.relative_to(FOLDER).with_suffix("").parts))
    assert own is not None, f"{file.name} must have a floor"
    for module in imports_of(file):
        if module.startswith("tinymnist.nn"):
            floor = floor_of(module)
            assert floor is not None, f"{file.name} imports {module}"
            is_within_folder = floor == own and (FOLDER / own).is_dir()
            assert is_within_folder or FLOORS.index(floor) < FLOORS.index(own), (
                f"{file.name} imports {module}"
            )


def test_nothing_imports_what_is_only_to_be_read() -> None:
    readable = {"tinymnist.nn.naive", "tinymnist.nn.plain_training"}
    for file in FOLDER.parent.rglob("*.py"):
        modules = set()
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                modules |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        assert not modules & readable, f"{file.name} imports {modules & readable}"
