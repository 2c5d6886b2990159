"""Downloads against a server on this machine that behaves well, badly, or not at all."""

from __future__ import annotations

import hashlib
import http.server
import os
import re
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tinymnist.data import download as module
from tinymnist.data.download import MIRRORS, SHA256, download_mnist
from tinymnist.errors import InputError

CONTENT = bytes(range(256)) * 1000
MANNERS: dict[str, list[tuple[str, str]]] = {
    "drip": [("Content-Length", "10000000")],
    "silent": [("Content-Length", "10000000")],
    "endless": [],
    "odd-length": [("Content-Length", "many")],
    "minus": [("Content-Length", "-5")],
    "redirect-loop": [("Location", "/redirect-loop/a.gz")],
    "redirect-file": [("Location", "file:///etc/passwd")],
    "redirect-nowhere": [("Location", "http://[::")],
}
"""Headers of servers that are slow or lie, by the first folder of the address."""
FILES = {"a.gz": hashlib.sha256(CONTENT).hexdigest()}


class Server(http.server.ThreadingHTTPServer):
    """Notes the path and the range of every request."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[tuple[str, str | None]] = []
        self.address = f"http://127.0.0.1:{self.server_address[1]}"


class Handler(http.server.BaseHTTPRequestHandler):
    """The first folder of the address says how to behave."""

    server: Server

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        self.server.requests.append((self.path, self.headers.get("Range")))
        manner = self.path.split("/")[1]
        start = self._start() if manner != "norange" else 0
        content = b"wrong" * 50_000 if manner == "wrong" else CONTENT
        if manner == "missing":
            self.send_error(404)
        elif manner in MANNERS:
            self.send_response(302 if manner.startswith("redirect") else 200)
            for header in MANNERS[manner]:
                self.send_header(*header)
            self.end_headers()
            with suppress(OSError):  # who gives up closes the connection
                while manner in ("drip", "endless", "silent"):
                    self.wfile.write({"drip": b"x", "endless": bytes(1 << 20)}.get(manner, b""))
                    time.sleep(0 if manner == "endless" else 0.05)
        elif start >= len(content):
            self.send_error(416)
        else:
            self._send(content[start:], start, cut=manner == "cut")

    def _start(self) -> int:
        return int(re.findall(r"\d+", self.headers.get("Range") or "0")[0])

    def _send(self, content: bytes, start: int, cut: bool) -> None:
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if cut else content)


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        yield server
        server.shutdown()


def download(server: Server, folder: Path, *manners: str, **settings: Any) -> Path:
    mirrors = [f"{server.address}/{manner}/" for manner in manners]
    return download_mnist(folder, mirrors=mirrors, files=FILES, timeout=5, **settings)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_good_mirror(server: Server, tmp_path: Path) -> None:
    steps = []
    folder = download(
        server, tmp_path / "new" / "folder", "good", progress=lambda *s: steps.append(s)
    )
    assert (folder / "a.gz").read_bytes() == CONTENT
    assert names(folder) == ["a.gz"]
    assert steps[-1] == ("a.gz", len(CONTENT), len(CONTENT))


def test_what_is_there_is_not_fetched_again(server: Server, tmp_path: Path) -> None:
    (tmp_path / "a.gz").write_bytes(CONTENT)
    download(server, tmp_path, "good")
    assert server.requests == []


def test_a_wrong_file_that_is_there_is_replaced(server: Server, tmp_path: Path) -> None:
    (tmp_path / "a.gz").write_bytes(b"old and wrong")
    download(server, tmp_path, "good")
    assert (tmp_path / "a.gz").read_bytes() == CONTENT


@pytest.mark.parametrize("bad", ["missing", "wrong", "cut"])
def test_after_a_bad_mirror_the_next_is_tried(server: Server, tmp_path: Path, bad: str) -> None:
    download(server, tmp_path, bad, "good")
    assert (tmp_path / "a.gz").read_bytes() == CONTENT
    assert names(tmp_path) == ["a.gz"]


def test_what_was_cut_off_is_gone_on_with(server: Server, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cut off|IncompleteRead"):
        download(server, tmp_path, "cut")
    half = (tmp_path / "a.gz.part").stat().st_size
    assert 0 < half < len(CONTENT)
    download(server, tmp_path, "good")
    assert server.requests[-1] == ("/good/a.gz", f"bytes={half}-")
    assert (tmp_path / "a.gz").read_bytes() == CONTENT


def test_a_server_that_cannot_resume_sends_all_of_it(server: Server, tmp_path: Path) -> None:
    (tmp_path / "a.gz.part").write_bytes(CONTENT[:1000])
    download(server, tmp_path, "norange")
    assert (tmp_path / "a.gz").read_bytes() == CONTENT


def test_a_part_that_is_whole_already_is_used(server: Server, tmp_path: Path) -> None:
    (tmp_path / "a.gz.part").write_bytes(CONTENT)
    download(server, tmp_path, "good")
    assert names(tmp_path) == ["a.gz"]


def test_a_poisoned_part_is_thrown_away(server: Server, tmp_path: Path) -> None:
    (tmp_path / "a.gz.part").write_bytes(b"x" * 1000)
    with pytest.raises(InputError, match="SHA-256"):
        download(server, tmp_path, "good")
    assert names(tmp_path) == []
    download(server, tmp_path, "good")
    assert (tmp_path / "a.gz").read_bytes() == CONTENT


def test_when_all_fail_every_reason_is_told_in_one_line(server: Server, tmp_path: Path) -> None:
    with pytest.raises(InputError) as raised:
        download_mnist(
            tmp_path,
            mirrors=[f"{server.address}/missing/", "http://127.0.0.1:9/"],
            files=FILES,
            timeout=5,
        )
    message = str(raised.value)
    assert "HTTP 404" in message and "refused" in message and "\n" not in message
    assert names(tmp_path) == []


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="the folder"):
        download_mnist(tmp_path / "file" / "folder", mirrors=[], files=FILES)


def test_the_real_addresses_and_hashes_are_well_formed() -> None:
    assert all(address.startswith("https://") and address.endswith("/") for address in MIRRORS)
    assert len(SHA256) == 4
    assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in SHA256.values())


def test_the_hashes_are_those_of_the_originals(mnist_folder: Path) -> None:
    same = [
        name
        for name, digest in SHA256.items()
        if hashlib.sha256((mnist_folder / name).read_bytes()).hexdigest() == digest
    ]
    # A copy of train-images may have been packed anew; its pixels are checked in test_mnist.py.
    assert set(SHA256) - set(same) <= {"train-images-idx3-ubyte.gz"}


@pytest.mark.parametrize("manner", MANNERS)
def test_slow_and_lying_servers_are_given_up(
    server: Server, tmp_path: Path, manner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MAX_BYTES", 4_000_000)
    began = time.monotonic()
    with pytest.raises(InputError) as caught:
        mirrors = [f"{server.address}/{manner}/"]
        download_mnist(tmp_path, mirrors=mirrors, files=FILES, timeout=0.3)
    assert len(str(caught.value).splitlines()) == 1
    assert time.monotonic() - began < 5
    assert not (tmp_path / "a.gz").exists()


@pytest.mark.skipif(os.name != "posix", reason="symbolic links")
def test_a_link_in_the_way_is_not_followed(server: Server, tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "cache" / "a.gz.part").symlink_to(tmp_path / "mine")
    with pytest.raises(InputError):
        download(server, tmp_path / "cache", "good")
    assert (tmp_path / "mine").read_text() == "mine"
