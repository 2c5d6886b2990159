"""Names that would rule the terminal are printed escaped, in whatever is printed."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tinymnist.cli import main
from tinymnist.reporting.html import page, write_page
from tinymnist.reporting.text import printable
from tinymnist.web.endpoints import SAMPLES

EVIL = "7\x1b]0;owned\x07\r\x9b31m\u202egnp\n2"
UNSAFE = set(EVIL) - set("7]0;owned31mgnp2\n")


@pytest.mark.parametrize("character", [*EVIL, "\0", "\x7f", "\u2066", "\u2028", "\ufeff"])
def test_control_characters_are_escaped(character: str) -> None:
    escaped = printable(f"a{character}b")
    assert escaped.isprintable() and escaped[0] == "a" and escaped[-1] == "b"


@pytest.mark.parametrize("text", ["", "7.png", "déjà vu 数字 🙂", "no\u00a0break", "a\tb"])
def test_what_harms_nobody_stays(text: str) -> None:
    assert printable(text, keep="\t") == text


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A class folder whose name and files' names hold control characters."""
    folder = tmp_path / "set" / f"class{EVIL}"
    folder.mkdir(parents=True)
    for number, file in enumerate(sorted(Path(SAMPLES).iterdir())[:2]):
        (folder / f"{number}{EVIL}{file.suffix}").write_bytes(file.read_bytes())
    (folder / f"bad{EVIL}.png").write_bytes(b"no picture")
    Image.fromarray(np.full((30, 30), 255, np.uint8)).save(folder / f"blank{EVIL}.png")
    return tmp_path / "set"


@pytest.mark.skipif(os.name != "posix", reason="names that other systems refuse")
@pytest.mark.parametrize(
    "command",
    [
        "predict SET", "predict SET --json", "read SET", "evaluate SET", "diagnose SET --out OUT",
        "predict SET/\x1b[31m.png", "evaluate \x1b[31m", "\x1b[31m", "predict --\x1b[31m",
        "predict SET --model \x1b[31m", "augment SET --out OUT", "explain SET/\x07 --out OUT",
    ],
)  # fmt: skip
def test_commands(
    command: str, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.html"
    words = [w.replace("SET", str(pictures)).replace("OUT", str(out)) for w in command.split(" ")]
    assert main(words) in (0, 1, 2)
    printed = capsys.readouterr()
    assert printed.out or printed.err
    assert not UNSAFE & set(printed.out + printed.err)
    assert printed.err.count("\n") == printed.err.count("tinymnist:")
    if "--json" in command:
        names = [json.loads(line)["file"] for line in printed.out.splitlines()]
        assert all(EVIL in name for name in names)
    if out.exists():
        assert not UNSAFE & set(out.read_text())


def test_a_report_shows_them_escaped(tmp_path: Path) -> None:
    write_page(page(EVIL, "c", "<b>h</b>", EVIL, [f"a\tb{EVIL}"]), tmp_path / "a.html")
    assert not UNSAFE & set((tmp_path / "a.html").read_text())


def test_commands_print_by_one_function() -> None:
    """Only JSON, which escapes by itself, goes around it."""
    folder = Path(SAMPLES).parent / "commands"
    lines = [line for file in folder.glob("*.py") for line in file.read_text().splitlines()]
    printing = [line.strip() for line in lines if line.strip().startswith("print(")]
    assert printing == ["print(json.dumps(record), flush=True)"]
