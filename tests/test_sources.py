"""Pictures from folders, archives, arrays, documents and lists, for `predict` and `read`."""

from __future__ import annotations

import gzip
import io
import json
import os
import struct
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.test_cli import Result, assert_refused, run
from tinymnist.errors import InputError
from tinymnist.imaging.digit.recipes import prepare_readings
from tinymnist.imaging.synthetic.paint import ink
from tinymnist.sources import Inputs


def drawn(digit: int) -> np.ndarray:
    """Dark ink on light paper, (40, 40) uint8."""
    return (255 - 255 * ink(digit, (40, 40), height=0.7, pen=0.12)).astype(np.uint8)


def png(digit: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(drawn(digit)).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four pictures, one of them torn, and other files."""
    place = tmp_path / "scans"
    (place / "more").mkdir(parents=True)
    for name, digit in (("0.png", 0), ("more/1.png", 1), ("z.png", 7)):
        (place / name).write_bytes(png(digit))
    (place / "more.png").write_bytes(b"torn")
    (place / "film.mp4").write_bytes(b"")
    (place / "labels.csv").write_text("file,label\n")
    (place / ".hidden.png").write_bytes(b"")
    return place


NAMES = ["0.png", "more/1.png", "more.png", "z.png"]


def predict(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, list[Any], str]:
    code, out, err = run(capsys, "predict", "--model", "mlp", "--json", *arguments)
    return code, [json.loads(line) for line in out.splitlines()], err


def digits(records: list[Any]) -> list[object]:
    return [record.get("digit", "error") for record in records]


def test_a_folder(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    code, records, err = predict(capsys, folder)
    assert code == 1
    assert [record["file"] for record in records] == [str(folder / name) for name in NAMES]
    assert digits(records) == [0, 1, "error", 7]
    assert err.splitlines()[1:] == ["tinymnist: 1 file is not a picture by name (.mp4): skipped"]


def test_a_zip(capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for file in sorted(folder.rglob("*.*")):
            archive.write(file, file.relative_to(folder))
    code, records, err = predict(capsys, tmp_path / "a.zip")
    assert code == 1 and ".mp4" in err
    names = [f"{tmp_path / 'a.zip'}/{name}" for name in sorted(NAMES)]
    assert sorted(record["file"] for record in records) == names
    assert sorted(map(str, digits(records))) == ["0", "1", "7", "error"]


@pytest.mark.parametrize("ending", [".tar", ".tar.gz", ".tgz"])
def test_a_tar(
    capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path, ending: str
) -> None:
    path = tmp_path / f"a{ending}"
    with tarfile.open(path, "w" if ending == ".tar" else "w:gz") as archive:
        for name in NAMES:
            archive.add(folder / name, name if ending == ".tar" else f"./{name}")
    _, records, _ = predict(capsys, path)
    assert [record["file"] for record in records] == [f"{path}/{name}" for name in NAMES]
    assert digits(records) == [0, 1, "error", 7]


@pytest.mark.parametrize("name", ["a.npz", "a.npy", "t10k-images-idx3-ubyte.gz"])
def test_arrays(capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str) -> None:
    images, path = np.stack([drawn(digit) for digit in (3, 1, 7)]), tmp_path / name
    if name.endswith(".npz"):
        np.savez(path, labels=np.arange(3), images=images)
    elif name.endswith(".npy"):
        np.save(path, images)
    else:
        content = bytes([0, 0, 8, 3]) + struct.pack(">III", *images.shape) + images.tobytes()
        path.write_bytes(gzip.compress(content))
    _, records, _ = predict(capsys, path)
    assert [record["file"] for record in records] == [f"{path}[{i}]" for i in range(3)]
    assert digits(records) == [3, 1, 7]


def test_all_pages_of_a_tiff(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "scan.tif"
    pages = [Image.fromarray(drawn(digit)) for digit in (3, 1, 7)]
    pages[0].save(path, save_all=True, append_images=pages[1:])
    _, records, _ = predict(capsys, tmp_path)
    assert [record["file"] for record in records] == [str(path), f"{path}#2", f"{path}#3"]
    assert digits(records) == [3, 1, 7]


def test_pages_of_every_kind(tmp_path: Path) -> None:
    """What Pillow cannot write as PNG, and a page that lies on its side."""
    path = tmp_path / "scan.tif"
    grey = Image.fromarray(drawn(7))
    lying = grey.rotate(90, expand=True)
    pages = [grey, grey.convert("CMYK"), Image.fromarray(np.float32(drawn(7)) / 255), lying]
    lying.getexif()[0x0112] = 6
    pages[0].save(path, save_all=True, append_images=pages[1:])
    found = [source for _, source in Inputs([path])]
    assert len(found) == 4
    for content in found[1:3]:
        with Image.open(io.BytesIO(content)) as page:
            values = np.asarray(page.convert("F" if page.mode == "F" else "L"), float)
        assert np.abs(values / values.max() - drawn(7) / 255).max() < 0.02


def test_the_pages_of_a_pdf(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    pytest.importorskip("pypdfium2")
    path = tmp_path / "scan.pdf"
    pages = [Image.fromarray(drawn(digit)).resize((200, 200)) for digit in (3, 1)]
    pages[0].save(path, save_all=True, append_images=pages[1:])
    code, records, _ = predict(capsys, path)
    assert code == 0
    assert [record["file"] for record in records] == [str(path), f"{path}#2"]
    assert digits(records) == [3, 1]


def test_a_pdf_without_its_package(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pypdfium2", None)
    (tmp_path / "a.pdf").write_bytes(b"%PDF-1.4")
    result = run(capsys, "predict", tmp_path / "a.pdf")
    assert_refused(result, "a.pdf", "pip install pypdfium2")


def test_a_list(
    capsys: pytest.CaptureFixture[str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = f"{folder / 'z.png'}\r\n\n{folder / 'more'}\nnowhere.png"
    (folder / "list.txt").write_text(lines)
    _, records, _ = predict(capsys, "--files-from", folder / "list.txt")
    assert digits(records) == [7, 1, "error"]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(lines.encode())))
    _, records, _ = predict(capsys, folder / "0.png", "--files-from", "-")
    assert digits(records) == [0, 7, 1, "error"]
    assert_refused(run(capsys, "predict", "--files-from", "none.txt"), "none.txt")


def write_empty_zip(path: Path) -> None:
    zipfile.ZipFile(path, "w").close()


def write_text(path: Path) -> None:
    path.write_text("no archive, no array")


def write_start_of_gzip(path: Path) -> None:
    path.write_bytes(b"\x1f\x8b\x08\x04\0\0\0\0\0\xff")  # a field of its header follows


def write_names(path: Path) -> None:
    np.save(path, np.array(["a"]))


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("a.zip", write_text),
        ("a.zip", write_empty_zip),
        ("a.tar.gz", write_text),
        ("a.tar.gz", write_start_of_gzip),
        ("a.npz", write_text),
        ("a.npy", write_names),
        ("a.idx", write_text),
        ("a.tif", write_text),
    ],
)
def test_what_cannot_be_opened_has_a_record(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, folder: Path, name: str, write: Any
) -> None:
    write(tmp_path / name)
    code, records, err = predict(capsys, tmp_path / name, folder / "z.png")
    assert code == 1 and str(tmp_path / name) in err
    assert digits(records) == ["error", 7]
    assert records[0]["file"] == str(tmp_path / name)
    assert_refused(run(capsys, "predict", tmp_path / name), name)


def test_a_model_is_not_a_set_of_pictures(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with zipfile.ZipFile(tmp_path / "m.npz", "w") as archive:
        archive.writestr("metadata", "{}")
    assert_refused(run(capsys, "predict", tmp_path / "m.npz"), "holds no pictures")


def test_a_list_of_names_is_text(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    assert_refused(run(capsys, "predict", "--files-from", folder / "z.png"), "list of names")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs links and pipes")
@pytest.mark.parametrize(
    "command",
    [
        "predict PICTURE --out LOOP",
        "predict PICTURE --sort-into LOOP",
        "predict PICTURE --resume --out PIPE",
        "explain PICTURE --out LOOP",
        "compare mlp mlp --report LOOP",
        "augment LOOP --out new.png",
        "read PICTURE --fields PIPE",
        "review LOOP --out new.html",
        "review PIPE --out new.html",
        "review / --out new.html",
        "convert LOOP new.npz",
        "diagnose LOOP",
    ],
)
def test_links_in_a_loop_and_pipes_are_refused(
    capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path, command: str
) -> None:
    places = {"PICTURE": folder / "z.png", "LOOP": tmp_path / "a.png", "PIPE": tmp_path / "b.jsonl"}
    os.symlink("a.png", places["LOOP"])
    os.mkfifo(places["PIPE"])
    words = [
        places.get(word, tmp_path / word if "new" in word else word) for word in command.split()
    ]
    assert_refused(run(capsys, *words), "")


def test_a_cut_off_archive_gives_what_it_has(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as archive:
        for number in range(3):
            entry = tarfile.TarInfo(f"{number}.png")
            entry.size = len(png(number))
            archive.addfile(entry, io.BytesIO(png(number)))
    path.write_bytes(path.read_bytes()[: 2 * 1024 - 400])
    found = list(Inputs([path]))
    assert found[0] == (f"{path}/0.png", png(0))
    assert isinstance(found[-1][1], InputError)


def test_nothing_is_opened_before_its_turn(tmp_path: Path, folder: Path) -> None:
    stream = iter(Inputs([folder / "0.png", tmp_path / "late.npz"]))
    assert next(stream)[0] == str(folder / "0.png")
    np.savez(tmp_path / "late.npz", images=np.zeros((2, 28, 28)))
    assert len(list(stream)) == 2


class TestResults:
    def test_a_line_for_every_input(
        self, capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path
    ) -> None:
        out = tmp_path / "results.jsonl"
        code, printed, err = predict(capsys, folder, "--out", out)
        assert code == 1
        records = [json.loads(line) for line in out.read_text().splitlines()]
        assert {record.pop("by")[:8] for record in records} == {"predict "}
        assert records == printed
        assert len(printed) == 4 and "error" in printed[2]
        assert "3 read" in err and "1 failed" in err

    @pytest.mark.parametrize("cut", [0, 1, 30])
    def test_resume(
        self, capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path, cut: int
    ) -> None:
        """The rest is added to the same bytes, wherever the file was cut off."""
        whole, out = tmp_path / "whole.jsonl", tmp_path / "part.jsonl"
        predict(capsys, folder, "--out", whole, "--resume")
        lines = whole.read_bytes().splitlines(keepends=True)
        out.write_bytes(b"".join(lines[:3])[: -cut or None])
        _, printed, err = predict(capsys, folder, "--out", out, "--resume")
        assert out.read_bytes() == whole.read_bytes()
        assert len(printed) == (2 if cut else 1)
        assert "read before" in err
        code, printed, _ = predict(capsys, folder, "--out", out, "--resume")
        assert (code, printed) == (0, [])
        assert out.read_bytes() == whole.read_bytes()

    @pytest.mark.parametrize("content", [b"my notes", b'{"files": 1}', b"\x89PNG"])
    def test_another_file_is_not_taken_for_a_line_that_was_cut(
        self, capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path, content: bytes
    ) -> None:
        (tmp_path / "notes").write_bytes(content)
        ran = run(capsys, "predict", folder / "z.png", "--out", tmp_path / "notes", "--resume")
        assert_refused(ran, "is not a result")
        assert (tmp_path / "notes").read_bytes() == content

    def test_results_of_another_model_are_not_continued(
        self, capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path
    ) -> None:
        out = tmp_path / "r.jsonl"
        predict(capsys, folder / "z.png", "--out", out)
        before = out.read_bytes()
        for other in (["predict", "--model", "lenet5"], ["predict", "--recipe", "none"], ["read"]):
            options = [*other[1:], folder, "--out", out, "--resume"]
            assert_refused(run(capsys, other[0], *options), "written by predict", "another name")
        assert out.read_bytes() == before

    def test_nothing_is_overwritten(
        self, capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path
    ) -> None:
        other = tmp_path / "other.txt"
        other.write_text("dear diary\n")
        assert_refused(run(capsys, "predict", folder, "--out", other), "exists", "--resume")
        assert_refused(run(capsys, "predict", folder, "--out", other, "--resume"), "line 1")
        assert_refused(run(capsys, "predict", folder, "--out", tmp_path), "exists")
        assert_refused(run(capsys, "predict", folder, "--out", tmp_path / "a.csv"), ".jsonl")
        assert_refused(run(capsys, "predict", folder, "--out", tmp_path / "x/a.jsonl"), "a.jsonl")
        assert_refused(run(capsys, "predict", folder, "--resume"), "--out")
        assert other.read_text() == "dear diary\n"

    def test_an_interruption_keeps_what_there_is(
        self,
        capsys: pytest.CaptureFixture[str],
        folder: Path,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        def interrupted(source: str, recipe: str) -> object:
            if source.endswith("z.png"):
                raise KeyboardInterrupt
            return prepare_readings(source, recipe)

        monkeypatch.setattr("tinymnist.reader.prepare_readings", interrupted)
        out = tmp_path / "r.jsonl"
        code, _, err = run(capsys, "predict", folder, "--out", out, "--model", "mlp")
        assert code == 130 and "--resume" in err
        assert len(out.read_text().splitlines()) == 3

    def test_csv(self, capsys: pytest.CaptureFixture[str], folder: Path) -> None:
        code, out, _ = run(capsys, "predict", folder, "--csv", "--model", "mlp")
        rows = [line.split(",") for line in out.splitlines()]
        assert code == 1 and len(rows) == 5
        assert rows[0] == [
            *("file", "digit", "confidence", "runner_up", "runner_up_confidence", "error")
        ]
        assert [row[1] for row in rows[1:]] == ["0", "1", "", "7"]
        assert_refused(run(capsys, "predict", folder, "--csv", "--json"), "--csv")

    def test_csv_of_pages(self, capsys: pytest.CaptureFixture[str], folder: Path) -> None:
        code, out, _ = run(capsys, "read", folder / "z.png", "--csv")
        assert code == 0
        header, row = out.splitlines()
        assert header == "file,text,digits,least_confidence,error"
        assert row.startswith(f"{folder / 'z.png'},7,1,0.")

    def test_below_selects(
        self, capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path
    ) -> None:
        _, everything, _ = predict(capsys, folder)
        limit = sorted(record.get("confidence", 2) for record in everything)[1]
        out = tmp_path / "all.jsonl"
        _, printed, _ = predict(capsys, folder, "--below", limit, "--out", out)
        assert len(printed) == 2 and len(out.read_text().splitlines()) == 4
        assert all("error" in one or one["confidence"] < limit for one in printed)

    def test_sort_into(
        self, capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path
    ) -> None:
        place = tmp_path / "sorted"
        (folder / "more" / "z.png").write_bytes(png(7) + b"other")
        before = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
        np.save(tmp_path / "a.npy", np.stack([drawn(3), drawn(1)]))
        for _ in range(2):  # the second time everything is there already
            predict(capsys, folder, tmp_path / "a.npy", "--sort-into", place)
            copies = sorted(f.relative_to(place).as_posix() for f in place.rglob("*.*"))
            assert copies == [
                *("0/0.png", "1/1.png", "1/a-1.png", "3/a-0.png", "7/z-2.png", "7/z.png")
            ]
        assert {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()} == before
        assert (place / "7" / "z-2.png").read_bytes() == png(7)
        result: Result = run(capsys, "predict", folder, "--sort-into", folder / "sorted")
        assert_refused(result, "outside")
        assert not (folder / "sorted").exists()

    def test_failures_are_summarized_if_the_results_have_them(
        self, capsys: pytest.CaptureFixture[str], folder: Path
    ) -> None:
        for number in range(8):
            (folder / f"torn-{number}.png").write_bytes(b"torn")
        _, records, err = predict(capsys, folder)
        assert sum("error" in record for record in records) == 9
        assert err.count("torn-") + err.count("more.png") == 5 and "4 more" in err
        _, _, err = run(capsys, "predict", folder, "--model", "mlp")
        assert err.count("torn-") == 8

    def test_progress_is_shown_on_a_terminal_only(
        self, capsys: pytest.CaptureFixture[str], folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        _, _, err = predict(capsys, folder)
        assert "\r" not in err
        monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
        clock = iter(range(10**6))
        monkeypatch.setattr("time.monotonic", lambda: float(next(clock)))
        _, _, err = predict(capsys, folder)
        assert "3 of 4 pictures, " in err and "/s, " in err and " s left, " in err
        assert "1 failed" in err and err.rstrip("\n").splitlines()[-1].endswith("skipped")
