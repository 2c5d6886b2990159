"""Kill commands at random moments, and check that no file is half-written and no litter stays.

    python -m benchmarks.kills [--count 1000] [--seed 0] [--json]

Each round starts a program that saves a model, writes results or sorts copies, kills it (SIGKILL)
after a random time, and looks at the folder: every file must be an old or a new one to the last
byte, or results whose last line is cut. Then the program runs to its end: its temporary files and
those of the killed one must be gone. Most rounds kill a copy of this process that writes the same
files, which is much quicker.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.common import command_line

SAVE = """
import sys, numpy as np, tinymnist
model = tinymnist.load_model("mlp")
name, rounds = sys.argv[1], int(sys.argv[2])
first = next(iter(model.weights))
print("ready", flush=True)
for number in range(rounds):
    model.weights[first].fill(number % 7)
    model.save(name)
"""

NEXT = """
import sys
from tinymnist.files import whole_file
with whole_file(sys.argv[1]) as temporary:
    temporary.write_bytes(b"new")
"""
"""The next run that writes into a folder."""


def save(folder: Path) -> list[str]:
    """A program that saves a model again and again."""
    return ["-c", SAVE, str(folder / "model.npz"), "400"]


def results(folder: Path) -> list[str]:
    """``predict --out`` of 60 pictures."""
    command = ["-m", "tinymnist", "predict", "--model", "mlp", "--workers", "1", "--json"]
    return [*command, str(folder.parent / "set"), "--out", str(folder / "r.jsonl"), "--resume"]


def sort(folder: Path) -> list[str]:
    """``predict --sort-into``."""
    command = ["-m", "tinymnist", "predict", "--model", "mlp", "--workers", "1", "--json"]
    return [*command, str(folder.parent / "set"), "--sort-into", str(folder / "sorted")]


PROGRAMS: dict[str, Callable[[Path], list[str]]] = {"save": save, "results": results, "sort": sort}


def make_set(folder: Path) -> None:
    """60 pictures."""
    from PIL import Image

    from tinymnist.data.mnist import load_mnist_sample

    folder.mkdir()
    for number, image in enumerate(load_mnist_sample()[0][::17]):
        Image.fromarray(255 - image).save(folder / f"{number}.png")


def faults(folder: Path, pictures: Path) -> list[str]:
    """What is wrong with the files of a folder after a kill; temporary ones may be left."""
    import tinymnist

    wrong = []
    known = {file.name: file.read_bytes() for file in pictures.iterdir()}
    for file in sorted(folder.rglob("*")):
        if file.is_dir() or file.name.endswith(".tmp"):
            continue
        if file.suffix == ".npz":
            try:
                tinymnist.verify(file)
            except tinymnist.InputError as error:
                wrong.append(f"{file.name}: {error}")
        elif file.suffix == ".jsonl":
            for line in file.read_bytes().split(b"\n")[:-1]:
                if "file" not in json.loads(line):
                    wrong.append(f"{file.name}: {line[:80]!r}")
        elif known.get(file.name) != file.read_bytes():
            wrong.append(f"{file.relative_to(folder)} is not a whole copy")
    return wrong


def litter(folder: Path) -> list[str]:
    """Temporary files."""
    return [file.name for file in folder.rglob("*.tmp")]


def kill_once(
    program: str, place: Path, rng: random.Random, finish: bool = True
) -> tuple[list[str], bool]:
    """One round; what was found wrong, and whether the program was killed before its end."""
    folder = place / program
    folder.mkdir(exist_ok=True)
    command = [sys.executable, *PROGRAMS[program](folder)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    if child.stdout is not None:
        child.stdout.readline()  # it has begun
    time.sleep(rng.random() ** 2 * 0.3)
    child.send_signal(signal.SIGKILL)
    child.communicate()
    killed = child.returncode == -signal.SIGKILL
    wrong = faults(folder, place / "set")
    if finish:
        short = [word if word != "400" else "1" for word in command]
        done = subprocess.run(short, capture_output=True, text=True, check=False)
        if done.returncode not in (0, 1):
            wrong.append(f"{program}: exit code {done.returncode}: {done.stderr[-200:]}")
        wrong += [f"{program} left {name}" for name in litter(folder)]
        for file in folder.rglob("*"):  # a new round
            if file.is_file() and file.name != "model.npz":
                file.unlink()
    return wrong, killed


def write_forever(folder: Path, pictures: Path, ready: int) -> None:
    """What the commands write, without their start: a model, results and sorted copies.

    A byte is written to ``ready`` when it has begun.
    """
    import tinymnist
    from tinymnist.commands.records import ResultFile, copy_sorted

    model = tinymnist.load_model("mlp")
    first = next(iter(model.weights))
    files = sorted(pictures.iterdir())
    results = ResultFile(folder / "r.jsonl", resume=True)
    os.write(ready, b"1")
    for number in range(10**6):
        model.weights[first].fill(number % 7)
        model.save(folder / "model.npz")
        file = files[number % len(files)]
        results.write({"file": file.name, "number": number})
        copy_sorted(file.name, str(file), str(number % 10), folder / "sorted")


def kill_fork(place: Path, rng: random.Random) -> list[str]:
    """Kill a copy of this process while it writes; returns what is wrong with the files."""
    folder = place / "forked"
    folder.mkdir(exist_ok=True)
    begun, ready = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            write_forever(folder, place / "set", ready)
        finally:
            os._exit(1)
    os.close(ready)
    os.read(begun, 1)
    os.close(begun)
    time.sleep(rng.random() * 0.05)
    os.kill(child, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    ended = [] if code == -signal.SIGKILL else [f"it ended by itself, with code {code}"]
    return ended + faults(folder, place / "set")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the rounds and print what was found."""
    parser = command_line("kills", __doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=1000, help="how many kills; default: 1000")
    what = "how many of them are whole commands, which take longer; default: 30"
    parser.add_argument("--commands", type=int, default=30, help=what)
    parser.add_argument("--seed", type=int, default=0, help="of the moments; default: 0")
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args(argv)
    rng = random.Random(arguments.seed)
    wrong: list[str] = []
    killed = left = 0
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        make_set(place / "set")
        for number in range(arguments.count):
            if number < arguments.commands:
                found, was_killed = kill_once([*PROGRAMS][number % len(PROGRAMS)], place, rng)
            else:
                found, was_killed = kill_fork(place, rng), True
            wrong += found
            killed += was_killed
            left += bool(litter(place))
            if (number + 1) % 100 == 0:
                print(f"{number + 1:,} rounds, {len(wrong)} faults", file=sys.stderr)
        for folder in {file.parent for file in place.rglob("*.tmp")}:
            subprocess.run([sys.executable, "-c", NEXT, str(folder / "next")], check=True)
        wrong += [f"{name} stays" for name in litter(place)]
    if arguments.json:
        print(
            json.dumps({"rounds": arguments.count, "killed": killed, "left": left, "wrong": wrong})
        )
    else:
        print(
            f"{arguments.count:,} rounds, {killed:,} kills, {left:,} left a temporary file, "
            f"{len(wrong)} faults"
        )
        print("\n".join(wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
