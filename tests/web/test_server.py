"""The server under load, against slow and broken clients, and at its end; and waitress."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tinymnist.web import app, server
from tinymnist.web.endpoints import SAMPLES
from tinymnist.web.server import Server

ROOT = Path(__file__).parents[2]
BITMAP = (SAMPLES / "2-small-bitmap.png").read_bytes()


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    running = Server("127.0.0.1", 0, app)
    threading.Thread(target=running.run, daemon=True).start()
    yield running.server_port
    running.shutdown()


def post(port: int, path: str, body: bytes, **headers: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_no_request_is_lost(port: int) -> None:
    """200 requests on 50 connections; ``python -m benchmarks.serve`` sends 1,000."""
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: post(port, "/api/predict", BITMAP), range(200)))
    assert {status for status, _ in answers} == {200}
    assert len({body for _, body in answers}) == 1


def test_a_large_body_is_refused_with_an_answer(port: int) -> None:
    status, body = post(port, "/api/predict", bytes(26_000_000))
    assert status == 413 and b"25 MB" in body


def test_slow_clients_are_cut_off_and_others_served(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server._Handler, "timeout", 0.5)
    silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(20)]
    half = socket.create_connection(("127.0.0.1", port))
    half.sendall(b"POST /api/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\nx")
    assert post(port, "/api/predict", BITMAP)[0] == 200
    half.settimeout(10)
    assert b"408" in half.recv(1000)
    for connection in silent:
        connection.settimeout(10)
        assert connection.recv(10) == b""
        connection.close()
    half.close()


def test_a_client_that_drips_is_cut_off(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "LONGEST_REQUEST", 1.0)
    with socket.create_connection(("127.0.0.1", port)) as drip:
        drip.settimeout(0.2)
        drip.sendall(
            b"POST /api/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 999\r\n\r\n"
        )
        began, answer = time.monotonic(), b""
        while not answer and time.monotonic() - began < 15:
            try:
                drip.sendall(b"x")
                answer = drip.recv(1000)
            except TimeoutError:
                continue
        assert b"408" in answer


def test_a_port_that_is_taken_is_one_line(port: int, capsys: pytest.CaptureFixture[str]) -> None:
    from tinymnist.cli import main

    assert main(["serve", "--port", str(port)]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and f"127.0.0.1:{port}" in err
    assert main(["serve", "--port", "0", "--model", "no-such-model"]) == 2


@pytest.mark.skipif(os.name != "posix", reason="Ctrl-C is sent as a signal")
def test_ctrl_c_ends_the_server_and_its_jobs() -> None:
    command = [sys.executable, "-m", "tinymnist", "serve", "--port", "0"]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stderr is not None
    port = int(process.stdout.readline().split("/ (")[0].rpartition(":")[2])
    page = {"X-Page": "a-page-that-will-be-closed"}
    body = b'{"architecture": "mlp", "epochs": 50, "paused": true}'
    assert post(port, "/api/training", body, **page)[0] == 200
    tasks = Path(f"/proc/{process.pid}/task")  # a child belongs to the thread that started it
    workers = [child for own in tasks.glob("*/children") for child in own.read_text().split()]
    assert workers or not any(tasks.glob("*/children"))
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == 0
    assert process.stderr.read() == ""
    process.stdout.close()
    process.stderr.close()
    for _ in range(50):
        if not any(Path(f"/proc/{worker}").exists() for worker in workers):
            break
        time.sleep(0.1)
    else:
        raise AssertionError("a worker outlived the server")


def test_waitress_serves_the_same_application() -> None:
    waitress = pytest.importorskip("waitress.server")
    running = waitress.create_server(app, host="127.0.0.1", port=0, threads=4)
    thread = threading.Thread(target=running.run, daemon=True)
    thread.start()
    port = running.effective_port
    try:
        status, body = post(port, "/api/predict", BITMAP)
        assert status == 200 and b'"digit": 2' in body
    finally:
        running.close()
        thread.join(5)
