"""The server under load: ``python -m benchmarks.serve``.

``tinymnist serve`` runs in a process of its own, with one thread for BLAS. 50 connections send
1,000 requests, each one sample picture, in two ways. *Paced*, they ask for half of what one core
can answer, which shows how long an answer takes; *flooded*, each asks again at once, which shows
how many answers there are. ``Reader.predict`` of the same picture in this process is the measure.
"""

from __future__ import annotations

import http.client
import json
import random
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from benchmarks.common import add_json, add_quick, command_line, machine_line, pin_threads, verdict

EXAMPLES = """\
           1,000 requests of each kind
--quick    200
--json > serve.json"""
CONNECTIONS = 50
TARGET = 2.0
"""Times a single prediction: the median answer if paced, and the share of one answer if flooded."""
PICTURE = "3-thin-pen-on-white.png"


class Load(NamedTuple):
    """Requests sent and lost; seconds of the median answer, and of all answers together."""

    requests: int
    lost: int
    median: float
    wall: float


def ask(port: int, body: bytes, pause: float) -> tuple[bool, float]:
    """Send one request after a pause, on a connection of its own; whether and when it answers."""
    time.sleep(random.random() * 2 * pause)
    began = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    try:
        connection.request("POST", "/api/predict", body)
        answer = connection.getresponse()
        good = answer.status == 200 and "digit" in json.loads(answer.read())
    except (OSError, ValueError, http.client.HTTPException):
        good = False
    finally:
        connection.close()
    return good, time.perf_counter() - began


def load(port: int, body: bytes, requests: int, pause: float) -> Load:
    """All requests over 50 connections; ``pause`` is the mean pause of each before a request."""
    began = time.perf_counter()
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        answers = list(pool.map(lambda _: ask(port, body, pause), range(requests)))
    wall = time.perf_counter() - began
    lost = sum(not good for good, _ in answers)
    return Load(requests, lost, statistics.median(seconds for _, seconds in answers), wall)


def single(body: bytes, runs: int = 40) -> float:
    """Seconds of one prediction in this process."""
    from tinymnist.reader import Reader

    reader = Reader()
    times = []
    for _ in range(runs + 3):
        began = time.perf_counter()
        reader.predict(body)
        times.append(time.perf_counter() - began)
    return statistics.median(times[3:])


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and report."""
    parser = command_line("serve", "Time the server under load.", EXAMPLES)
    add_quick(parser)
    add_json(parser)
    options = parser.parse_args(arguments)
    pin_threads(1)
    from tinymnist.web.endpoints import SAMPLES

    requests, body = 200 if options.quick else 1000, (SAMPLES / PICTURE).read_bytes()
    command = [sys.executable, "-m", "tinymnist", "serve", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        line = server.stdout.readline() if server.stdout else ""
        port = int(line.split("/ (")[0].rpartition(":")[2])
        load(port, body, 10, 0)  # opens the model
        before = single(body)
        loads = {"paced": load(port, body, requests, 2 * before * CONNECTIONS)}
        between = single(body)
        loads["flooded"] = load(port, body, requests, 0)
        one = statistics.mean([before, between, single(body)])
        server.send_signal(signal.SIGINT)
    ratios = {
        "paced, median answer / one prediction": loads["paced"].median / one,
        "flooded, time per answer / one prediction": loads["flooded"].wall / requests / one,
    }
    if options.json:
        rows = {name: row._asdict() for name, row in loads.items()}
        machine = machine_line("numpy", "pillow")
        print(json.dumps({"machine": machine, "single": one, "loads": rows, "ratios": ratios}))
        return 0
    print(f"one prediction: {1e3 * one:.1f} ms")
    for name, row in loads.items():
        rate = row.requests / row.wall
        print(
            f"{name}: {row.requests} requests on {CONNECTIONS} connections, {row.lost} lost, "
            f"median answer {1e3 * row.median:.1f} ms, {rate:.0f} answers per second"
        )
    print("\n".join(verdict(name, value, TARGET, below=True) for name, value in ratios.items()))
    print(machine_line("numpy", "pillow"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
