"""Pages of known digits read as a user reads them: by the class and by the command."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from benchmarks.samples import photograph, tint, to_image
from tests.imaging.grids import CELL, MARGIN, grid_of
from tests.test_cli import assert_refused, run
from tinymnist import limits
from tinymnist.errors import InputError
from tinymnist.imaging.page.annotate import upright_picture
from tinymnist.imaging.picture.decode import decode
from tinymnist.imaging.synthetic.paint import ink, slope
from tinymnist.pages import Page
from tinymnist.reader import Reader

ROWS = ["3504", "826"]


@pytest.fixture(scope="module")
def reader() -> Any:
    return Reader()


def written(rows: Any = ROWS, size: Any = (260, 360), tall: int = 56) -> Any:
    page = np.zeros(size, np.float32)
    for i, row in enumerate(rows):
        for j, digit in enumerate(row):
            centre = ((50 + j * 75) / size[1], (70 + i * 100) / size[0])
            drawn = ink(int(digit), size, height=tall / size[0], pen=0.11, centre=centre)
            np.maximum(page, drawn, out=page)
    return page


@pytest.fixture(scope="module")
def page() -> Any:
    """Ink on paper, (260, 360)."""
    return written()


@pytest.fixture
def picture(tmp_path: Path, page: Any) -> Any:
    path = tmp_path / "page.png"
    to_image(tint(page, "#1c2f66", "#efe6d2")).save(path)
    return path


def assert_boxes(found: Page, scale: float = 1.0) -> None:
    for i, row in enumerate(found.rows):
        for j, digit in enumerate(row):
            left, top, right, bottom = digit.box
            assert all(isinstance(side, int) for side in digit.box)
            assert (left + right) / 2 == pytest.approx((50 + j * 75) * scale, abs=10 * scale)
            assert (top + bottom) / 2 == pytest.approx((70 + i * 100) * scale, abs=6 * scale)
            assert bottom - top == pytest.approx(60 * scale, abs=8 * scale)


class TestReader:
    def test_rows_digits_confidences_and_boxes(self, reader: Any, page: Any) -> None:
        found = reader.read(1 - page)
        assert found.text == "3504\n826"
        assert [len(row) for row in found.rows] == [4, 3]
        assert [d.digit for d in found.digits] == [3, 5, 0, 4, 8, 2, 6]
        assert all(0.5 < d.confidence <= 1 for d in found.digits)
        assert_boxes(found)

    def test_a_photograph(self, reader: Any, page: Any) -> None:
        rng = np.random.default_rng(0)
        scene = tint(page * 0.8, "#333333", "#ddd8c8")
        light = 1 - 0.5 * slope(page.shape, 200)
        photo = photograph(scene, light=light, blur=1, noise=0.03, rng=rng)
        assert reader.read(photo).text == "3504\n826"

    def test_boxes_of_a_large_picture_are_in_its_own_pixels(self, reader: Any, page: Any) -> None:
        large = to_image(1 - page).resize((360 * 6, 260 * 6))
        found = reader.read(large)
        assert found.text == "3504\n826"
        assert_boxes(found, 6)

    def test_boxes_of_a_turned_photo_are_those_of_the_upright_picture(
        self, reader: Any, page: Any
    ) -> None:
        exif = Image.Exif()
        exif[0x0112] = 6  # to be turned clockwise by 90 degrees
        file = io.BytesIO()
        lying = to_image(1 - page).convert("RGB").rotate(90, expand=True)
        lying.save(file, "JPEG", exif=exif, quality=95)
        found = reader.read(file.getvalue())
        assert found.text == "3504\n826"
        assert_boxes(found)
        upright = upright_picture(file.getvalue())
        assert upright.size == (360, 260)
        assert np.abs(np.asarray(upright.convert("L"), float) / 255 - (1 - page)).mean() < 0.02

    def test_every_kind_of_source(self, reader: Any, picture: Any) -> None:
        content = picture.read_bytes()
        with Image.open(picture) as opened, open(picture, "rb") as file:
            for source in (picture, str(picture), content, io.BytesIO(content), file, opened):
                assert reader.read(source).text == "3504\n826"

    def test_a_transparent_drawing(self, reader: Any, page: Any, tmp_path: Path) -> None:
        drawing = to_image(np.dstack([np.zeros((*page.shape, 3), np.float32), page]))
        drawing.save(tmp_path / "drawing.png")
        assert reader.read(tmp_path / "drawing.png").text == "3504\n826"
        seen = np.asarray(upright_picture(tmp_path / "drawing.png"))
        assert seen.shape == (260, 360, 3) and seen.min() == 0 and np.median(seen) == 255

    def test_touching_digits(self, reader: Any) -> None:
        page = np.zeros((120, 200), np.float32)
        for digit, x in ((2, 60), (5, 94), (0, 150)):
            drawn = ink(digit, page.shape, height=0.5, pen=0.12, centre=(x / 200, 0.5))
            np.maximum(page, drawn, out=page)
        page[88:90, 60:84] = 1  # the foot of the 2 runs into the 5
        assert reader.read(1 - page).text == "250"

    def test_a_five_whose_bar_came_apart(self, reader: Any) -> None:
        page = written(["353"], size=(140, 260))
        page[40:60, 122:127] = 0
        assert reader.read(1 - page).text == "353"

    def test_blots_rules_and_an_edge_are_no_digits(self, reader: Any, page: Any) -> None:
        seen = 1 - 0.8 * page
        seen[118:120] = seen[225:227] = 0.5
        seen[20:25, 340:346] = seen[240:243, 30:34] = 0.2
        seen[:, :7] = 0.1
        assert reader.read(seen).text == "3504\n826"

    @pytest.mark.parametrize("grey", [np.ones((90, 60)), np.zeros((40, 40)), np.ones((1, 1))])
    def test_a_blank_page(self, reader: Any, grey: Any) -> None:
        with pytest.raises(InputError, match="no digit found"):
            reader.read(grey)

    def test_text_mode_is_refused(self, reader: Any) -> None:
        with pytest.raises(InputError, match="mode 'rb'"):
            reader.read(io.StringIO("7"))


class TestCommand:
    def test_text(self, capsys: pytest.CaptureFixture[str], picture: Any) -> None:
        code, out, err = run(capsys, "read", picture)
        assert (code, err) == (0, "")
        first, second = out.splitlines()
        assert first == f"{picture}  3504"
        assert second.strip() == "826" and second.index("826") == first.index("3504")

    def test_json(self, capsys: pytest.CaptureFixture[str], picture: Any) -> None:
        code, out, _ = run(capsys, "read", picture, "--json")
        record = json.loads(out)
        assert code == 0 and out.count("\n") == 1
        assert set(record) == {"file", "text", "digits", "grids", "turned", "skipped"}
        assert record["file"] == str(picture) and record["text"] == "3504\n826"
        assert [set(d) for d in record["digits"]] == [{"digit", "confidence", "box"}] * 7
        left, top, right, bottom = record["digits"][0]["box"]
        assert 0 < left < 50 < right < 100 and 30 < top < 70 < bottom < 110

    def test_some_unreadable(
        self, capsys: pytest.CaptureFixture[str], picture: Any, tmp_path: Path
    ) -> None:
        blank = tmp_path / "blank.png"
        Image.new("L", (50, 50), 255).save(blank)
        code, out, err = run(capsys, "read", picture, blank, tmp_path / "none.png")
        assert code == 1 and "3504" in out
        assert f"{blank}: no digit found" in err and "no such file" in err

    def test_nothing_readable(self, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        Image.new("L", (50, 50), 255).save(tmp_path / "blank.png")
        code, out, err = run(capsys, "read", tmp_path / "blank.png")
        assert (code, out, err.count("\n")) == (2, "", 1) and "no digit found" in err
        code, out, err = run(capsys, "read", tmp_path / "blank.png", tmp_path / "x.png")
        assert (code, out) == (2, "") and "no picture could be read" in err

    def test_a_picture_is_annotated(
        self, capsys: pytest.CaptureFixture[str], picture: Any, tmp_path: Path
    ) -> None:
        out = tmp_path / "out.png"
        before = picture.read_bytes()
        assert run(capsys, "read", picture, "--annotate", out)[0] == 0
        assert picture.read_bytes() == before
        with Image.open(picture) as was, Image.open(out) as now:
            assert now.size == was.size
            changed = (np.asarray(was) != np.asarray(now)).any(-1)
            drawn = np.asarray(now)[changed].astype(int)
        assert 500 < changed.sum() < 0.2 * changed.size
        assert np.median(drawn[:, 1] - drawn[:, 0]) > 100  # green: sure of nearly all
        found = Reader().read(picture)
        for digit in found.digits:
            left, top, right, bottom = digit.box
            assert changed[top:bottom, left - 3 : left].any()
            assert changed[top:bottom, right : right + 3].any()
        assert decode(out).shape == (260, 360)

    def test_several_are_annotated_into_a_folder(
        self, capsys: pytest.CaptureFixture[str], picture: Any, tmp_path: Path
    ) -> None:
        (tmp_path / "more").mkdir()
        other = tmp_path / "more" / "page.png"
        other.write_bytes(picture.read_bytes())
        code, _, _ = run(capsys, "read", picture, other, "--annotate", tmp_path / "seen")
        assert code == 0
        assert sorted(p.name for p in (tmp_path / "seen").iterdir()) == ["page-2.png", "page.png"]

    def test_no_picture_is_overwritten(
        self, capsys: pytest.CaptureFixture[str], picture: Any
    ) -> None:
        before = picture.read_bytes()
        for out in (picture, picture.parent):
            code, printed, err = run(capsys, "read", picture, "--annotate", out)
            assert (code, printed) == (2, "") and "would overwrite" in err
        assert picture.read_bytes() == before

    def test_an_annotation_that_cannot_be_written(
        self, capsys: pytest.CaptureFixture[str], picture: Any, tmp_path: Path
    ) -> None:
        for out in (tmp_path / "x.docx", tmp_path / "none" / "x.png"):
            code, _, err = run(capsys, "read", picture, "--annotate", out)
            assert code == 2 and err.count("\n") == 1


def test_real_pages(reader: Any, shared_folder: Path) -> None:
    """Other people's pages; the digits count without the rows' ends."""
    folder = shared_folder / "data" / "multi"
    right = digits = whole = 0
    with open(folder / "labels.csv", newline="") as table:
        pages = list(csv.DictReader(table))
    for entry in pages:
        expected = entry["label"]
        found = reader.read(folder / entry["file"]).text.replace("\n", "/")
        whole += found == expected
        digits += len(expected.replace("/", ""))
        if len(found) == len(expected):
            pairs = zip(found, expected, strict=True)
            right += sum(one == other for one, other in pairs if other != "/")
    assert right >= 0.95 * digits
    assert whole >= len(pages) - 1


class TestGrids:
    TABLE = ("3.5", ".82", "...")

    def test_cells(self, reader: Any) -> None:
        found = reader.read(1 - grid_of(self.TABLE))
        (grid,) = found.grids
        assert (grid.rows, grid.columns) == (3, 3)
        assert grid.table == [["3", "", "5"], ["", "8", "2"], ["", "", ""]]
        assert found.text == "3.5\n.82\n..."
        assert [len(row) for row in found.rows] == [2, 2]
        for cell in grid.cells:
            left, top, right, bottom = cell.box
            expected = MARGIN + CELL * (cell.column + 0.5), MARGIN + CELL * (cell.row + 0.5)
            assert ((left + right) / 2, (top + bottom) / 2) == pytest.approx(expected, abs=3)
            for digit in cell.digits:
                assert left < digit.box[0] < digit.box[2] < right
                assert top < digit.box[1] < digit.box[3] < bottom

    def test_an_empty_grid(self, reader: Any) -> None:
        found = reader.read(1 - grid_of(["..", ".."]))
        assert found.text == "..\n.." and found.rows == ()

    def test_json_and_annotation(self, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        path, out = tmp_path / "grid.png", tmp_path / "out.png"
        to_image(1 - grid_of(self.TABLE)).save(path)
        code, printed, _ = run(capsys, "read", path, "--json", "--annotate", out)
        (grid,) = json.loads(printed)["grids"]
        assert code == 0 and (grid["rows"], grid["columns"], len(grid["cells"])) == (3, 3, 9)
        assert set(grid["cells"][0]) == {"row", "column", "text", "confidence", "box"}
        assert [cell["text"] for cell in grid["cells"][:3]] == ["3", "", "5"]
        with Image.open(out) as drawn:
            assert (np.asarray(drawn)[..., 2] > np.asarray(drawn)[..., 0]).sum() > 500  # blue cells

    def test_csv(self, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        """One picture's grid is a table of its own; of several pictures, each has a row."""
        path = tmp_path / "grid.png"
        to_image(1 - grid_of(self.TABLE)).save(path)
        code, printed, _ = run(capsys, "read", path, "--csv")
        assert (code, printed) == (0, "3,,5\n,8,2\n,,\n")
        code, printed, _ = run(capsys, "read", path, path, "--csv")
        assert code == 0 and printed.count("3.5/.82/...") == 2 and printed.startswith("file,")


def test_a_line_with_print_below_it(reader: Any) -> None:
    page = written(["350"])
    small = written(["004"], size=(130, 180), tall=24)[40:100]
    page[150:210, 40:220] = np.maximum(page[150:210, 40:220], small)
    assert reader.read_line(1 - page).text == "350"


def test_work_is_limited(
    capsys: pytest.CaptureFixture[str], picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "PAGE_STEPS", 3000)
    assert_refused(run(capsys, "read", picture), "takes too much work (limits.PAGE_STEPS=3,000)")
    code, printed, _ = run(capsys, "read", picture, picture, "--workers", 1)
    assert code == 2 and printed == ""


def test_the_curves_of_a_thin_digit_are_not_a_grid() -> None:
    """Its strokes are lines whose crossings lie outside the picture."""
    drawn = 1 - ink(3, (200, 200), height=0.8, pen=0.013, slant=-0.04, turn=-5.14)
    assert Reader("mlp").read(drawn).grids == ()
