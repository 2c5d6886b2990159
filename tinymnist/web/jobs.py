"""Jobs in processes of their own, each in a temporary folder, and never more than a few at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from tinymnist.errors import InputError

MAX_JOBS = max(2, os.cpu_count() or 1)
"""In the whole server at one time."""
LONGEST = 1800.0
"""Seconds after which a job is ended, whatever it does."""
_ROOT = Path(__file__).parents[2]

_running: set[Job] = set()
_lock = threading.Lock()


class Busy(InputError):
    """All places for jobs are taken."""


class Job:
    """One worker process, and the events that it has sent so far."""

    def __init__(self, settings: dict[str, Any]) -> None:
        """Start it.

        Raises:
            Busy: when too many run already.
        """
        with _lock:
            if len(_running) >= MAX_JOBS:
                raise Busy(f"{MAX_JOBS} jobs are running already; try again in a minute")
            _running.add(self)
        self.kind: str = settings["kind"]
        self.events: list[dict[str, Any]] = []
        self.dropped = 0  # events at the beginning that the page has received
        self.news = threading.Condition()
        self.over = False
        self.began = time.monotonic()
        self.folder = tempfile.TemporaryDirectory(prefix="tinymnist-")
        paths = [str(_ROOT), os.environ.get("PYTHONPATH", "")]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tinymnist.web.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=self.folder.name,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(filter(None, paths)),
                "PYTHONDONTWRITEBYTECODE": "1",
                "TMPDIR": self.folder.name,
                "OPENBLAS_NUM_THREADS": "1",
            },
            text=True,
        )
        threading.Thread(target=self._collect, daemon=True).start()
        self.send(settings)

    def send(self, command: dict[str, Any]) -> None:
        """Pass a line on; nothing happens if the job is over."""
        with suppress(OSError, ValueError):
            if self.process.stdin is not None:
                self.process.stdin.write(json.dumps(command) + "\n")
                self.process.stdin.flush()

    def _collect(self) -> None:
        """Gather events until the process ends."""
        for line in self.process.stdout or ():
            # A line may be cut off, as the process was ended, or not be an event at all.
            with suppress(ValueError), self.news:
                self.events.append(json.loads(line))
                self.news.notify_all()
        self.process.wait()
        with self.news:
            if not self.events or self.events[-1]["event"] not in ("end", "error"):
                reason = "it was ended: it took too much memory or time, or its page was closed"
                self.events.append({"event": "error", "message": reason})
            self.over = True
            self.news.notify_all()
        self._forget()

    def since(self, number: int, wait: float = 0.0) -> tuple[list[dict[str, Any]], int]:
        """The events from one on, and the number of the next; earlier ones are forgotten.

        It waits some seconds for the first.
        """
        with self.news:
            self.news.wait_for(lambda: self.dropped + len(self.events) > number or self.over, wait)
            del self.events[: max(number - self.dropped, 0)]
            self.dropped = max(self.dropped, number)
            return list(self.events), self.dropped + len(self.events)

    def result(self, event: str, seconds: float) -> dict[str, Any]:
        """Wait for the end of a job that has one result, with the notes of the end.

        Raises:
            InputError: when it fails, or is not over in time.
        """
        with self.news:
            if not self.news.wait_for(lambda: self.over, seconds):
                self.end()
                raise InputError(f"this takes more than {seconds:.0f} seconds; it was ended")
        last = self.events[-1]
        if last["event"] == "error":
            raise InputError(last["message"])
        found = next(e for e in self.events if e["event"] == event)
        return {**found, "notes": last.get("notes", [])}

    def end(self) -> None:
        """End the process, now."""
        self.process.kill()

    def _forget(self) -> None:
        with _lock:
            _running.discard(self)
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                with suppress(OSError):
                    stream.close()
        self.folder.cleanup()


def end_all() -> None:
    """End every job of this server."""
    with _lock:
        jobs = list(_running)
    for job in jobs:
        job.end()
