"""Opens one damaged input after another, within limits of memory and time, and says what happened.

The runner starts it as ``python -m benchmarks.mutations.worker``, sends it ``KIND NUMBER`` lines,
and reads one line of JSON for each. An audit hook notes what Python reports of writes, processes
and connections outside of the worker's own folder.
"""

from __future__ import annotations

import json
import os
import pickle
import resource
import shutil
import sys
import time
import traceback
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.common import command_line
from benchmarks.peak import limit_growth, peak_bytes

MOST_BYTES = 3 << 29
"""Address space beyond what the imports take."""
MOST_RESIDENT_BYTES = 1 << 30
MOST_SECONDS = 10
"""Of processor time for one input."""
MOST_LETTERS = 2000
_ALWAYS = {
    *("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork"),
    *("os.forkpty", "socket.connect", "socket.bind", "socket.getaddrinfo", "pickle.find_class"),
}
_WITH_PATH = {
    *("os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.symlink", "os.link", "os.truncate"),
    *("os.chmod", "os.chown", "os.utime", "shutil.rmtree", "shutil.move", "shutil.copyfile"),
}
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Watch:
    """Notes forbidden deeds while ``on``."""

    def __init__(self, folder: str) -> None:
        self.on, self.folder, self.deeds = False, folder, list[str]()

    def __call__(self, event: str, args: tuple[Any, ...]) -> None:
        if not self.on:
            return
        if event in _ALWAYS:
            self.deeds.append(f"{event} {args!r:.200}")
        elif event in _WITH_PATH or event == "open":
            if event == "open" and not (isinstance(args[2], int) and args[2] & _WRITES):
                return
            path = os.fsdecode(args[0]) if isinstance(args[0], (str, bytes)) else ""
            inside = os.path.abspath(path).startswith(self.folder) or path == os.devnull
            if path and not inside:
                self.deeds.append(f"{event} {args!r:.200}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Answer the lines on standard input until it ends."""
    parser = command_line("mutations.worker", "One process of mutations; the others start it.")
    for name in ("folder", "key", "seeds_file"):
        parser.add_argument(name)
    parser.add_argument("names", nargs="*")
    folder, key, seeds_file, names = vars(parser.parse_args(arguments)).values()
    answers = os.fdopen(os.dup(1), "w")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    warnings.simplefilter("ignore")
    sys.dont_write_bytecode = True  # a module imported late would count as a deed of its input
    from benchmarks.mutations.kinds import damaged
    from benchmarks.mutations.registry import all_kinds

    kinds = {name: kind for name, kind in all_kinds().items() if name in names}
    seeds = pickle.loads(Path(seeds_file).read_bytes())
    for prepare in {kind.prepare for kind in kinds.values()}:
        prepare()
    watch = Watch(folder)
    sys.addaudithook(watch)
    limit_growth(MOST_BYTES)
    print(json.dumps("ready"), file=answers, flush=True)
    for line in sys.stdin:
        name, number = line.split()
        files = damaged(kinds[name], seeds[name], int(key), int(number))
        place = Path(folder, "input")
        shutil.rmtree(place, ignore_errors=True)
        path = write(files, place)
        watch.deeds.clear()
        used = resource.getrusage(resource.RUSAGE_SELF)
        seconds = used.ru_utime + used.ru_stime
        hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
        resource.setrlimit(resource.RLIMIT_CPU, (int(seconds + MOST_SECONDS + 1), hard))
        start = time.process_time()
        watch.on = True
        outcome, text, where = opened(kinds[name], path)
        watch.on = False
        answer = {
            "outcome": outcome,
            "text": text,
            "where": where,
            "seconds": time.process_time() - start,
            "peak": peak_bytes() or 0,
            "deeds": watch.deeds[:5],
        }
        print(json.dumps(answer), file=answers, flush=True)


def write(files: Any, folder: Path) -> Path:
    """Write an input; the path of its only file, or of the folder."""
    for name, content in files.items():
        (place := folder / name).parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    return place if len(files) == 1 else folder


def opened(kind: Any, path: Path) -> tuple[str, str, str]:
    """The outcome: opened, refused or wrong; the error; and where in the package it arose."""
    from tinymnist.errors import InputError

    try:
        kind.open(path)
    except InputError as error:
        text = str(error)
        fine = "\n" not in text and 0 < len(text) <= MOST_LETTERS
        return ("refused" if fine else "wrong"), text[:300], ("" if fine else _place_of(error))
    except BaseException as error:  # whatever it is, it is what a user would see
        if isinstance(error, KeyboardInterrupt):
            raise
        return "wrong", f"{type(error).__name__}: {error}"[:300], _place_of(error)
    return "opened", "", ""


def _place_of(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "/tinymnist/" in frame.filename]
    last = (own or frames)[-1]
    return f"{last.filename.rpartition('/tinymnist/')[2]}:{last.lineno} {frames[-1].name}"


if __name__ == "__main__":
    main()
