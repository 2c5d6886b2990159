"""Rooms know only the rooms before them, and nobody pays for what they do not use."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import tinymnist

PACKAGE = Path(tinymnist.__file__).parent
ROOMS = (
    "errors",
    "files",
    "memory",
    "lazy",
    "reporting",
    "nn",
    "layers",
    "losses",
    "optimizers",
    "callbacks",
    "utils",
    "imaging",
    "augmentation",
    "data",
    "adapter",
    "interop",
    "reader",
    "labelled",
    "explanation",
    "comparison",
    "finetuning",
    "diagnosis",
    "api",
    "learning",
    "commands",
    "cli",
)
"""In reading order; each may import from those before it and from itself."""
NEVER = {"imaging": {"nn"}}
"""Pictures know no network either."""
OPTIONAL = {"h5py", "keras", "onnx", "onnxruntime", "tensorflow", "torch"}
"""What ``interop`` imports when a file asks for it; ``pip install tinymnist`` does not bring it."""


@cache
def imports_of(file: Path) -> list[str]:
    """The modules that a file imports, anywhere in it."""
    found: list[str] = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            found.append(node.module or "")
        elif isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
    return found


def files_of(room: str) -> list[Path]:
    single = PACKAGE / f"{room}.py"
    return [single] if single.exists() else sorted((PACKAGE / room).rglob("*.py"))


def test_every_file_belongs_to_a_room() -> None:
    known = {file for room in ROOMS for file in files_of(room)}
    entrances = {PACKAGE / "__init__.py", PACKAGE / "__main__.py"}
    assert set(PACKAGE.rglob("*.py")) == known | entrances


@pytest.mark.parametrize("room", ROOMS)
def test_imports_run_one_way(room: str) -> None:
    allowed = set(ROOMS[: ROOMS.index(room) + 1]) - NEVER.get(room, set())
    for file in files_of(room):
        for module in imports_of(file):
            parts = module.split(".")
            if parts[0] == "tinymnist" and len(parts) > 1:
                assert parts[1] in allowed, f"{file.relative_to(PACKAGE)} imports {module}"


def test_the_package_needs_numpy_pillow_and_scipy_alone() -> None:
    outside = {
        module.split(".")[0] for file in PACKAGE.rglob("*.py") for module in imports_of(file)
    }
    assert outside - sys.stdlib_module_names - {"tinymnist"} == {"numpy", "PIL", "scipy"} | OPTIONAL


def imported_by(code: str) -> set[str]:
    """The modules that are loaded after running ``code`` in a new interpreter."""
    program = f"{code}\nimport sys\nprint('\\n'.join(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_importing_the_package_imports_nothing_heavy() -> None:
    loaded = imported_by("import tinymnist, tinymnist.cli\ntinymnist.InputError")
    assert not loaded & {"numpy", "PIL", "scipy", "http", "urllib.request", "email"}
