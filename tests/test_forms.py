"""Fields of a form: proposed, described in a file, and read from scans."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.imaging.grids import CELL, MARGIN, grid_of
from tests.imaging.pages import written
from tinymnist.cli import main
from tinymnist.errors import InputError
from tinymnist.forms import Field, expand_digits, load_fields, propose_fields, read_fields
from tinymnist.reader import Reader


def form(first: str, second: str) -> Any:
    """A comb of four boxes above one of two, dark on light."""
    return 1 - np.concatenate([np.pad(grid_of([row]), ((0, 0), (0, 0 if len(row) > 2 else 96)))
                               for row in (first, second)])  # fmt: skip


@pytest.fixture(scope="module")
def reader() -> Reader:
    return Reader()


def test_combs_are_proposed_and_read(reader: Reader) -> None:
    fields = propose_fields(form("....", ".."))
    assert [(field.name, field.length) for field in fields] == [("field1", 4), ("field2", 2)]
    height, width = form("....", "..").shape
    left, top, right, bottom = np.array(fields[0].box) * [width, height, width, height]
    assert abs(left - MARGIN) < 10 and abs(right - MARGIN - 4 * CELL) < 10
    assert abs(top - MARGIN) < 10 and abs(bottom - MARGIN - CELL) < 10
    found = read_fields(reader, form("3725", "48"), fields)
    assert [one.text for one in found] == ["3725", "48"]
    assert all(one.confidence > 0.5 for one in found)
    assert found[1].digits[0].box[1] > MARGIN + CELL  # on the whole picture


def test_a_page_without_boxes_has_no_fields() -> None:
    with pytest.raises(InputError, match="no boxes"):
        propose_fields(1 - written(["12"]))


def test_length_and_allowed_digits_decide(reader: Reader) -> None:
    row = 1 - written(["17"], size=(70, 120))
    assert reader.read_line(row).text == "17"
    assert reader.read_line(row, allow="17").text == "17"
    assert set(reader.read_line(row, length=2, allow="2345").text) <= set("2345")
    assert len(reader.read_line(row, length=1).text) == 1
    with pytest.raises(InputError, match="length=9"):
        reader.read_line(row, length=9)


def test_an_empty_field_is_not_an_error(reader: Reader) -> None:
    page = 1 - written(["12"])
    here, empty = Field("here", (0, 0, 0.4, 0.35)), Field("empty", (160, 100, 300, 180), 3)
    found = read_fields(reader, page, [here, empty])
    assert [one.text for one in found] == ["12", ""]
    with pytest.raises(InputError, match="outside"):
        read_fields(reader, page, [Field("far", (900, 900, 950, 950))])


def test_the_files_of_fields(tmp_path: Path) -> None:
    file = tmp_path / "form.json"
    entry = {"name": "id", "box": [0.1, 0.2, 0.5, 0.6], "length": 4, "allow": "0-2,7"}
    file.write_text(json.dumps({"fields": [entry]}))
    assert load_fields(file) == [Field("id", (0.1, 0.2, 0.5, 0.6), 4, "0127")]
    for wrong in ({"name": ""}, {"box": [1, 2, 3]}, {"box": [5, 0, 1, 1]}, {"length": 0},
                  {"length": True}, {"allow": "a-z"}, {"colour": 1}):  # fmt: skip
        file.write_text(json.dumps([entry | wrong]))
        with pytest.raises(InputError, match="Received"):
            load_fields(file)
    file.write_text(json.dumps([entry, entry]))
    with pytest.raises(InputError, match="'id' twice"):
        load_fields(file)
    for text in ("", "[]", "{}", "3"):
        file.write_text(text)
        with pytest.raises(InputError, match=r"expected|not JSON"):
            load_fields(file)


def test_digits_that_may_occur() -> None:
    assert expand_digits("0-9") == "0123456789" and expand_digits("3,1") == "13"
    for wrong in ("9-0", "x", "-3", "4-"):
        with pytest.raises(InputError, match="Received"):
            expand_digits(wrong)


def test_the_commands(tmp_path: Path, capsys: Any) -> None:
    blank, filled, file = tmp_path / "blank.png", tmp_path / "filled.png", tmp_path / "form.json"
    Image.fromarray(np.uint8(255 * form("....", ".."))).save(blank)
    Image.fromarray(np.uint8(255 * form("3725", "48"))).save(filled)
    drawn = tmp_path / "drawn.png"
    assert main(["fields", str(blank), "--out", str(file), "--draw", str(drawn)]) == 0
    assert drawn.exists() and "field1: 4 digits" in capsys.readouterr().out
    assert main(["fields", str(blank), "--out", str(file)]) == 2  # nothing is overwritten
    capsys.readouterr()
    assert main(["read", str(filled), "--fields", str(file), "--csv"]) == 0
    head, row = capsys.readouterr().out.splitlines()
    assert head == "file,field1,field2,least_confidence,error"
    assert row.split(",")[1:3] == ["3725", "48"]
    assert main(["read", str(filled), "--fields", str(file), "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["fields"]["field2"]["text"] == "48"
    row_file = tmp_path / "row.png"
    Image.fromarray(np.uint8(255 - 255 * written(["17"], size=(70, 120)))).save(row_file)
    assert main(["read", str(row_file), "--length", "2", "--allow", "0-9"]) == 0
    assert capsys.readouterr().out.split()[-1] == "17"
