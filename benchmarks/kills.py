"""Kill commands at random moments, and check that no file is half-written and no litter stays.

    python -m benchmarks.kills [--count 1000] [--seed 0] [--json]

Each round starts a program that saves a model, writes results, sorts copies, trains or fine-tunes,
kills it (SIGKILL) after a random time, and looks at the folder: every file must be an old or a new
one to the last byte, or results whose last line is cut. Then the program runs to its end: its
temporary files and those of the killed one must be gone, and a training that was resumed has to end
in the bytes of one that was left alone. Most rounds kill a copy of this process that does the same,
which is much quicker; of a training they kill what the last kill has left, until it ends.
"""

from __future__ import annotations

import io
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from functools import partial
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


def train(folder: Path) -> list[str]:
    """``train`` on 20 pictures, resumed."""
    options = ["--architecture", "mlp", "--epochs", "20", "--batch-size", "4", "--no-augment"]
    files = ["--checkpoint", str(folder / "t.ckpt"), "--history", str(folder / "t.csv")]
    return ["-m", "tinymnist", "train", *_learning(folder), *options, *files]


def finetune(folder: Path) -> list[str]:
    """``finetune`` on 20 pictures, resumed."""
    files = ["--checkpoint", str(folder / "states"), "--report", str(folder / "report.html")]
    options = ["--model", "mlp", "--epochs", "1"]
    return ["-m", "tinymnist", "finetune", *_learning(folder), *options, *files]


def _learning(folder: Path) -> list[str]:
    files = [str(folder.parent / "few.npz"), "--out", str(folder / "learnt.npz"), "--resume"]
    return [*files, *["--recipe", "none", "--workers", "1", "--quiet", "--json"]]


PROGRAMS: dict[str, Callable[[Path], list[str]]] = {
    "save": save,
    "results": results,
    "sort": sort,
    "train": train,
    "finetune": finetune,
}
LEARNING = ("train", "finetune")


def make_set(folder: Path) -> None:
    """60 pictures in a folder, and 20 with labels beside it."""
    import numpy as np
    from PIL import Image

    from tinymnist.data.mnist import load_mnist_sample

    images, labels = load_mnist_sample()
    folder.mkdir()
    for number, image in enumerate(images[::17]):
        Image.fromarray(255 - image).save(folder / f"{number}.png")
    few = np.concatenate([np.flatnonzero(labels == digit)[:4] for digit in range(5)])
    np.savez(folder.with_name("few.npz"), images=images[few], labels=labels[few])


_WHOLE = {".csv": (b"epoch,", b"\n"), ".html": (b"<!", b"</html>\n")}
"""How files of text begin and end."""


def faults(folder: Path, pictures: Path) -> list[str]:
    """What is wrong with the files of a folder after a kill; temporary ones may be left."""
    known = {file.name: file.read_bytes() for file in pictures.iterdir()}
    return [
        f"{file.relative_to(folder)}: {wrong}"
        for file in sorted(folder.rglob("*"))
        if file.is_file() and not file.name.endswith(".tmp")
        for wrong in _wrong_with(file, known)
    ]


def _wrong_with(file: Path, known: dict[str, bytes]) -> list[str]:
    import tinymnist

    content = file.read_bytes()
    if file.suffix == ".jsonl":
        lines = content.split(b"\n")[:-1]
        return [repr(line[:80]) for line in lines if "file" not in json.loads(line)]
    if file.suffix in _WHOLE:
        start, end = _WHOLE[file.suffix]
        is_whole = content.startswith(start) and content.endswith(end)
        return [] if is_whole else [repr(content[-80:])]
    if file.suffix not in (".npz", ".ckpt"):
        return [] if known.get(file.name) == content else ["is not a whole copy"]
    try:
        with zipfile.ZipFile(file) as archive:
            if damaged := archive.testzip():
                return [f"{damaged} is damaged"]
        if file.suffix == ".npz":
            tinymnist.verify(file)
    except (zipfile.BadZipFile, tinymnist.InputError) as error:
        return [str(error)]
    return []


def litter(folder: Path) -> list[str]:
    """Temporary files."""
    return [file.name for file in folder.rglob("*.tmp")]


def kill_once(
    program: str, place: Path, rng: random.Random, alone: bytes = b""
) -> tuple[list[str], bool]:
    """One round; what was found wrong, and whether the program was killed before its end.

    ``alone`` is what a training that was not killed has saved.
    """
    folder = place / program
    folder.mkdir(exist_ok=True)
    command = [sys.executable, *PROGRAMS[program](folder)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    if program in LEARNING:
        while child.poll() is None and not any(map(Path.is_file, folder.rglob("*"))):
            time.sleep(0.005)
    elif child.stdout is not None:
        child.stdout.readline()  # it has begun
    time.sleep(rng.random() ** 2 * 0.3)
    child.send_signal(signal.SIGKILL)
    child.communicate()
    killed = child.returncode == -signal.SIGKILL
    wrong = faults(folder, place / "set")
    short = [word if word != "400" else "1" for word in command]
    done = subprocess.run(short, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):
        wrong.append(f"{program}: exit code {done.returncode}: {done.stderr[-200:]}")
    return wrong + after_the_end(program, folder, alone), killed


def after_the_end(program: str, folder: Path, alone: bytes) -> list[str]:
    """What is wrong with what a whole run has left; the folder is emptied for a new round."""
    wrong = [f"{program} left {name}" for name in litter(folder)]
    if program in LEARNING and (folder / "learnt.npz").read_bytes() != alone:
        wrong.append(f"{program}: other bytes than if it is not killed")
    for file in folder.rglob("*"):
        if file.is_file() and file.name != "model.npz":
            file.unlink()
    return wrong


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
    work = partial(write_forever, folder, place / "set")
    code = _killed(work, rng.random() * 0.05)
    ended = [] if code == -signal.SIGKILL else [f"it ended by itself, with code {code}"]
    return ended + faults(folder, place / "set")


def left_alone(program: str, place: Path) -> tuple[bytes, float]:
    """What a training saves that is not killed, and how many seconds it takes."""
    from tinymnist.cli import main as command

    folder = place / f"{program}-alone"
    folder.mkdir()
    command([*_here(program, folder)])  # imports what it needs
    after_the_end("", folder, b"")
    began = time.monotonic()
    command(_here(program, folder))
    return (folder / "learnt.npz").read_bytes(), time.monotonic() - began


def kill_learning(
    program: str, place: Path, rng: random.Random, alone: bytes, seconds: float
) -> tuple[list[str], bool]:
    """Go on with a training in a copy of this process, and kill that as :func:`kill_once` does."""
    from tinymnist.cli import main as command

    folder = place / f"{program}-forked"
    folder.mkdir(exist_ok=True)

    def work(ready: int) -> None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        os.write(ready, b"1")
        os._exit(command(_here(program, folder)))

    code = _killed(work, rng.random() * seconds)
    wrong = faults(folder, place / "set")
    if code == -signal.SIGKILL:
        return wrong, True
    if code:
        wrong.append(f"{program}: exit code {code}")
    return wrong + after_the_end(program, folder, alone), False


def _here(program: str, folder: Path) -> list[str]:
    """The arguments of a command, for this process: a copy of threads does not work."""
    return [*PROGRAMS[program](folder)[2:], "--threads", "1"]


def _killed(work: Callable[[int], None], seconds: float) -> int:
    """Kill a copy of this process some time after it has written to ``ready``; its exit code."""
    begun, ready = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            work(ready)
        finally:
            os._exit(1)
    os.close(ready)
    os.read(begun, 1)
    os.close(begun)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main(argv: Sequence[str] | None = None) -> int:
    """Run the rounds and print what was found."""
    parser = command_line("kills", __doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=1000, help="how many kills; default: 1000")
    what = "how many of them are whole commands, which take longer; default: 30"
    parser.add_argument("--commands", type=int, default=30, help=what)
    what = "the share of the others that train or fine-tune; default: 0.3"
    parser.add_argument("--learning", type=float, default=0.3, help=what)
    parser.add_argument("--seed", type=int, default=0, help="of the moments; default: 0")
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args(argv)
    rng = random.Random(arguments.seed)
    wrong: list[str] = []
    killed = left = rounds = 0
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        make_set(place / "set")
        alone: dict[str, tuple[bytes, float]] = {}
        if arguments.commands or arguments.learning:
            with redirect_stdout(io.StringIO()):
                alone = {program: left_alone(program, place) for program in LEARNING}
        while killed < arguments.count:  # a command may end before it is killed
            number, rounds = rounds, rounds + 1
            program = [*PROGRAMS][number % len(PROGRAMS)]
            if number < arguments.commands:
                saved, _ = alone.get(program, (b"", 0))
                found, was_killed = kill_once(program, place, rng, saved)
            elif rng.random() < arguments.learning:
                program = LEARNING[number % 2]
                found, was_killed = kill_learning(program, place, rng, *alone[program])
            else:
                found, was_killed = kill_fork(place, rng), True
            wrong += found
            killed += was_killed
            left += bool(litter(place))
            if rounds % 100 == 0:
                print(f"{killed:,} kills, {len(wrong)} faults", file=sys.stderr)
        for folder in {file.parent for file in place.rglob("*.tmp")}:
            subprocess.run([sys.executable, "-c", NEXT, str(folder / "next")], check=True)
        wrong += [f"{name} stays" for name in litter(place)]
    if arguments.json:
        print(json.dumps({"rounds": rounds, "killed": killed, "left": left, "wrong": wrong}))
    else:
        print(
            f"{rounds:,} rounds, {killed:,} kills, {left:,} left a temporary file, "
            f"{len(wrong)} faults"
        )
        print("\n".join(wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
