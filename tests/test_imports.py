"""The README's table of files is the order of imports, and nobody pays for what they do not use.

Every import counts: at the top of a file, inside a function, under ``TYPE_CHECKING``.
"""

from __future__ import annotations

import ast
import functools
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import tinymnist

PACKAGE = Path(tinymnist.__file__).parent
README = Path(__file__).parents[1] / "README.md"
ENTRANCES = {"__init__.py", "__main__.py"}
"""What opens the whole package, and stands above everything."""
READABLE = {"nn/naive.py", "nn/plain_training.py"}
"""What is there to be read and to test against: nothing but the lessons imports it."""
NEVER = {"imaging/": "nn/", "reporting/": "nn/"}
"""Pictures and reports know no network."""
OPTIONAL = {
    "distributed",
    "h5py",
    "jax",
    "keras",
    "onnx",
    "onnxruntime",
    "pypdfium2",
    "pytest",
    "sklearn",
    "tensorflow",
    "threadpoolctl",
    "torch",
}
"""What is imported when a file or a program asks for it; ``pip install tinymnist`` does not bring
it."""


def reading_order() -> list[str]:
    """Files and folders ("nn/layers/") of the README's table, from the top."""
    table = README.read_text(encoding="utf-8").partition("## Where to read")[2]
    rows = [line for line in table.partition("\n## ")[0].splitlines() if line.startswith("|")]
    return re.findall(r"\]\(tinymnist/([\w/.]*)\)", "\n".join(rows))


ORDER = reading_order()
FILES = sorted(file.relative_to(PACKAGE).as_posix() for file in PACKAGE.rglob("*.py"))


@functools.cache
def place(file: str) -> int:
    """The row of the table that a file belongs to: the longest entry that begins its path.

    A folder's ``__init__.py`` without a row of its own opens the folder: it comes with its last.
    """
    fitting = [entry for entry in ORDER if file == entry or file.startswith(entry)]
    if fitting:
        return ORDER.index(max(fitting, key=len))
    folder = file.removesuffix("__init__.py")
    inside = [i for i, entry in enumerate(ORDER) if entry.startswith(folder)]
    assert file.endswith("__init__.py") and inside, f"the README's table lacks {file}"
    return inside[-1]


@functools.cache
def modules_of(file: str) -> tuple[str, ...]:
    """Every module that a file names in an import."""
    return tuple(_modules_of(file))


def _modules_of(file: str) -> Iterator[str]:
    for node in ast.walk(ast.parse((PACKAGE / file).read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


@functools.cache
def imports_of(file: str) -> set[str]:
    """The package's own files that a file imports."""
    found = set()
    for module in modules_of(file):
        path = module.replace(".", "/").removeprefix("tinymnist/")
        if module.startswith("tinymnist."):
            found |= {f"{path}.py", f"{path}/__init__.py"} & set(FILES)
    folders = {name.removesuffix("__init__.py") for name in found if name.endswith("__init__.py")}
    # "from tinymnist.nn import layers" needs layers; nn/__init__.py is on the way to everything.
    return found - {
        f"{f}__init__.py" for f in folders if any(g != f and g.startswith(f) for g in found)
    }


def test_a_file_imports_only_what_the_readme_lists_before_it() -> None:
    """One test, so that every file is parsed once, however many workers pytest has."""
    wrong = []
    for file in FILES:
        if file in ENTRANCES:
            continue
        for other in sorted(imports_of(file)):
            later = place(other) > place(file)
            unknown = any(file.startswith(a) and other.startswith(b) for a, b in NEVER.items())
            if later or unknown or (other in READABLE and not file.startswith("lessons/")):
                wrong.append(f"{file} imports {other}")
    assert not wrong


def test_the_table_lists_what_is_there_once() -> None:
    assert len(ORDER) == len(set(ORDER)) > 30
    for entry in ORDER:
        assert (PACKAGE / entry).is_dir() if entry.endswith("/") else (PACKAGE / entry).is_file()


def test_there_is_no_circle() -> None:
    """Leave out, again and again, what imports nothing that is left."""
    left = {file: imports_of(file) - {file} for file in FILES if file not in ENTRANCES}
    while free := {file for file, imported in left.items() if not imported & left.keys()}:
        left = {file: imported for file, imported in left.items() if file not in free}
    assert not left


def test_only_public_names_and_commands_are_imported_by_name() -> None:
    """An import that is written as text can go around the order."""
    by_name = {
        file
        for file in FILES
        if re.search(r"import_module|__import__", (PACKAGE / file).read_text(encoding="utf-8"))
    }
    assert by_name <= {"lazy.py", "cli.py"}


def test_the_package_needs_numpy_pillow_and_scipy_alone() -> None:
    outside = {module.split(".")[0] for file in FILES for module in modules_of(file)}
    assert outside - sys.stdlib_module_names - {"tinymnist"} == {"numpy", "PIL", "scipy"} | OPTIONAL


def imported_by(code: str) -> set[str]:
    """The modules that are loaded after running ``code`` in a new interpreter."""
    program = f"{code}\nimport sys\nprint('\\n'.join(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_predict_starts_without_scipy() -> None:
    loaded = imported_by("from tinymnist.cli import main\nmain(['predict', '--json'])")
    assert "numpy" in loaded and "PIL" in loaded
    assert not {m for m in loaded if m.split(".")[0] == "scipy"}


def test_importing_the_package_imports_nothing_heavy() -> None:
    assert "numpy" not in imported_by("import tinymnist")
    assert "numpy" not in imported_by("import tinymnist.cli")
