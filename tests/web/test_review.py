"""``tinymnist review`` without a browser: records in, labels out, and what is refused."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import tinymnist
from tests.test_cli import SAMPLES, assert_refused, run
from tests.web.client import Client
from tinymnist.web.application import Application
from tinymnist.web.doubtful import read_records
from tinymnist.web.labels import Labels
from tinymnist.web.review import Review, review_file

EVIL = "<img src=x onerror=alert(1)>.png"


class Reviewing(Client):
    """The application on a file of records."""

    def __init__(self, records: Path, below: float = 0.9) -> None:
        self.labels = records.with_name("labels.csv")
        self.review = Review(read_records(records, below), Labels(self.labels))
        super().__init__(Application(routes=self.review.routes))

    def sheet(self, page: int = 0) -> Any:
        return self.get(f"/api/review?page={page}")

    def say(self, number: int, label: str | None = None, rejected: bool = False) -> Any:
        body = {"number": number, "label": label, "rejected": rejected}
        return self.post("/api/label", body)


def record(name: str, digit: int, confidence: float) -> dict[str, Any]:
    shares = [round((1 - confidence) / 9, 6)] * 10
    shares[digit] = confidence
    return {"file": name, "digit": digit, "confidence": confidence, "probabilities": shares}


@pytest.fixture
def records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Six results about samples in the current folder; the third is sure."""
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    for sample in SAMPLES[:3]:
        Path("in", sample.name).write_bytes(sample.read_bytes())
    Path("in", EVIL).write_bytes(SAMPLES[0].read_bytes())
    with zipfile.ZipFile("more.zip", "w") as archive:
        archive.write(SAMPLES[4], "7.jpg")
    names = [f"in/{sample.name}" for sample in SAMPLES[:3]]
    lines = [
        record(names[0], 2, 0.8),
        record(names[1], 9, 0.4),
        record(names[2], 4, 0.95),
        record("more.zip/7.jpg", 7, 0.6),
        record(f"in/{EVIL}", 2, 0.7),
        {"file": "gone.png", "error": "gone.png: no such file"},
    ]
    path = Path("results.jsonl")
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines) + '{"file": "cut')
    return path


def test_the_worst_come_first_and_labels_are_there_at_once(records: Path) -> None:
    client = Reviewing(records)
    sheet = client.sheet()
    names = [Path(item["name"]).name for item in sheet["items"]]
    assert names == ["gone.png", SAMPLES[1].name, "7.jpg", EVIL, SAMPLES[0].name]
    assert sheet["classes"] == list("0123456789") and sheet["total"] == 5
    assert sheet["items"][0]["missing"] and sheet["items"][0]["error"]
    assert sheet["items"][1]["ranked"][0] == ["9", 0.4]
    assert client.say(1, "3")["done"] == 1
    assert Path("labels.csv").read_text() == f"file,label\nin/{SAMPLES[1].name},3\n"
    client.say(2, "7")
    client.say(3, rejected=True)
    client.say(4, "2")
    client.say(1)  # undone
    client.say(1, "3")
    again = Reviewing(records).sheet()  # after a crash
    assert [item["label"] for item in again["items"]] == [None, "3", "7", None, "2"]
    assert [item["rejected"] for item in again["items"]] == [False, False, False, True, False]


def test_evaluate_and_finetune_take_the_labels(
    records: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    client = Reviewing(records)
    for number, label in ((1, "3"), (2, "7"), (4, "2")):
        client.say(number, label)
    client.say(3, rejected=True)
    code, out, _ = run(capsys, "evaluate", "labels.csv", "--json")
    assert code == 0 and json.loads(out)["n"] == 3 and json.loads(out)["accuracy"] == 1.0
    tuned = run(capsys, "finetune", "labels.csv", "--model", "mlp", "--epochs", 1, "--out", "m.npz")
    assert tuned[0] == 0
    kept = {path.suffix: path.read_bytes() for path in Path("labels-pictures").iterdir()}
    assert kept == {".jpg": SAMPLES[4].read_bytes()}


def test_records_elsewhere_name_pictures_from_here(
    records: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Pictures that do not lie below the table are copied beside it, when they get a label."""
    Path("out").mkdir()
    client = Reviewing(records.rename("out/results.jsonl"))
    client.say(1, "3")
    assert len(list(Path("out/labels-pictures").iterdir())) == 1
    assert tinymnist.load_set("out/labels.csv").class_names == tuple("0123456789")


def test_digits_of_a_page_become_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    page = Image.new("L", (300, 100), 255)
    page.paste(Image.open(SAMPLES[1]).convert("L").resize((80, 80)), (200, 10))
    page.save("page.png")
    digits = [{"digit": 1, "confidence": 0.99, "box": [0, 0, 9, 9]}]
    digits.append({"digit": 8, "confidence": 0.3, "box": [200, 10, 280, 90]})
    line = {"file": "page.png", "text": "18", "digits": digits, "grids": [], "turned": 0}
    Path("r.jsonl").write_text(json.dumps(line) + "\n")
    client = Reviewing(Path("r.jsonl"))
    assert [item["box"] for item in client.sheet()["items"]] == [[200, 10, 280, 90]]
    with Image.open(io.BytesIO(client.raw("GET", "/api/picture?number=0&large=1"))) as shown:
        assert shown.size == (106, 100)  # with a little around it
    client.say(0, "3")
    assert tinymnist.evaluate("labels.csv").accuracy == 1.0


def test_only_pictures_in_the_records_are_served(records: Path) -> None:
    client = Reviewing(records)
    Path("secret.png").write_bytes(SAMPLES[0].read_bytes())
    for path in (
        *("/secret.png", "/in/" + SAMPLES[0].name, "/../secret.png", "/results.jsonl"),
        *("/api/picture?number=-1", "/api/picture?number=99", "/api/picture?number=x"),
        *("/api/picture?name=secret.png", "/api/picture?number=0"),
    ):
        client.raw("GET", path)
        assert client.status.startswith("404"), path
    assert client.raw("GET", "/api/picture?number=1").startswith(b"\x89PNG")
    client.raw("GET", "/", HTTP_HOST="evil.example")
    assert client.status.startswith("403")


@pytest.mark.parametrize(
    "body",
    [
        *(b"{}", b"[]", b'{"number": 99, "label": "3"}', b'{"number": 1, "label": ""}'),
        *(b'{"number": 1.5e8}', b'{"number": 1, "label": "a\\nb"}', b'{"number": 0, "label": "3"}'),
    ],
)
def test_what_cannot_be_a_label_changes_nothing(records: Path, body: bytes) -> None:
    """The first picture is missing: a table that named it could not be read."""
    client = Reviewing(records)
    assert "error" in json.loads(client.raw("POST", "/api/label", body))
    assert client.status.startswith("400") and not client.labels.exists()


def test_a_page_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    lines = [record(f"{i}.png", 3, i / 1000) for i in range(500)]
    path.write_text("".join(json.dumps(line) + "\n" for line in [*lines, lines[0]]))
    client = Reviewing(path)
    sheets = [client.sheet(page) for page in range(9)]
    assert sheets[0]["pages"] == 9 and sheets[0]["total"] == 500
    assert [i["number"] for sheet in sheets for i in sheet["items"]] == list(range(500))
    assert client.sheet(99)["page"] == 8


def test_one_file_holds_everything(records: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):  # it may be written again
        assert run(capsys, "review", "results.jsonl", "--out", "review.html")[0] == 0
    page = Path("review.html").read_text(encoding="utf-8")
    assert not re.search(r"(src|href)=\"(?!data:)", page)
    assert EVIL not in page
    data = json.loads(re.findall(r'id="data">(.*?)</script>', page)[0])
    assert [bool(item["picture"]) for item in data["items"]] == [False, True, True, True, True]
    assert Path("labels-pictures").is_dir()  # of the archive, as the table must name it
    assert not Path("labels.csv").exists()


def test_unusable_records_and_outputs_are_refused(
    records: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = records.read_text()
    review = ("review", "results.jsonl", "--out", "review.html")
    assert_refused(run(capsys, "review", "no.jsonl"), "no.jsonl")
    for bad in ('{"name": 1}\n', "[]\n", '{"file": "a", "digits": [1]}\n', "\0\n"):
        records.write_text(text.split("\n", 1)[0] + "\n" + bad)
        assert_refused(run(capsys, *review), "line 2 is not a result")
    records.write_text(text)
    for mine in ("file,label,pen\na.png,3,thin\n", "something else\n"):
        Path("labels.csv").write_text(mine)
        assert_refused(run(capsys, *review), "labels.csv")
        assert Path("labels.csv").read_text() == mine
    Path("labels.csv").write_text("file,label\nother.png,5\n")
    Reviewing(records).say(1, "3")  # what it does not know about stays
    assert Path("labels.csv").read_text().startswith("file,label\nother.png,5\n")
    Path("review.html").write_bytes(SAMPLES[5].read_bytes())
    assert_refused(run(capsys, *review), "review.html")
    Path("review.html").unlink()
    records.write_text(json.dumps(record("a.png", 3, 0.99)) + "\n")
    code, out, _ = run(capsys, *review)
    assert code == 0 and "1 reading, each with a confidence of at least 0.9" in out


def test_names_of_classes_come_from_the_records(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    line = {"file": "a", "digit": "tick", "confidence": 0.5, "probabilities": [0.5, 0.3, 0.2]}
    path.write_text(json.dumps({**line, "class_names": ["cross", "tick", "heart"]}) + "\n")
    found = read_records(path, 0.9)
    assert found.classes == ("cross", "tick", "heart")
    assert found.items[0].ranked[0] == ("cross", 0.5)
    page = review_file(found, Labels(tmp_path / "labels.csv"), "<b>")
    assert "<title>&lt;b&gt;</title>" in page


def test_arrays_are_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", np.zeros((3, 28, 28), np.uint8) + np.arange(28, dtype=np.uint8) * 9)
    Path("r.jsonl").write_text(json.dumps(record("x.npy[2]", 3, 0.1)) + "\n")
    client = Reviewing(Path("r.jsonl"))
    with Image.open(io.BytesIO(client.raw("GET", "/api/picture?number=0"))) as shown:
        assert shown.size == (28, 28)


@pytest.mark.skipif(os.name != "posix", reason="Ctrl-C is sent as a signal")
def test_the_command_serves_until_ctrl_c(records: Path) -> None:
    command = [sys.executable, "-m", "tinymnist", "review", "results.jsonl", "--port", "0"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline() == "5 readings to review; labels go to labels.csv\n"
        address = process.stdout.readline().split()[3]
        with urllib.request.urlopen(f"{address}api/review", timeout=30) as answer:
            assert json.load(answer)["total"] == 5
        with urllib.request.urlopen(address, timeout=30) as answer:
            assert b"review.js" in answer.read()
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0 and process.stderr.read() == ""
