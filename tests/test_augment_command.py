"""``tinymnist augment``: sheets of pictures, folders and sets."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tinymnist
from tests.test_cli import assert_refused, run
from tinymnist.figures import draw_sheet

SAMPLES = Path(tinymnist.__file__).parent / "samples"


def sheet_of(capsys, tmp_path, *arguments):
    path = tmp_path / "sheet.png"
    code, _, err = run(capsys, "augment", *arguments, "--out", path)
    assert code == 0, err
    return np.asarray(Image.open(path).convert("L"))


def test_a_picture_and_its_variants(capsys, tmp_path):
    picture = SAMPLES / "8-chalk-on-black.jpg"
    first, same, other = (
        sheet_of(capsys, tmp_path, picture, "--count", 3, "--seed", seed) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, same)
    assert first.shape == other.shape and not np.array_equal(first, other)


@pytest.mark.parametrize(
    "option",
    [
        *(["--rotation", "40"], ["--width-shift", "4"], ["--height-shift", "0.3"]),
        *(["--shear", "30"], ["--zoom", "0.4"], ["--fill-mode", "constant", "--cval", "1"]),
        *(["--horizontal-flip"], ["--vertical-flip"], ["--elastic"], ["--perspective"]),
        *(["--stroke"], ["--blur"], ["--contrast"], ["--gamma"], ["--noise"], ["--cutout"]),
    ],
    ids=lambda option: option[0],
)
def test_every_option_shows(capsys, tmp_path, option):
    picture = SAMPLES / "3-thin-pen-on-white.png"
    plain = sheet_of(capsys, tmp_path, picture)
    assert not np.array_equal(plain, sheet_of(capsys, tmp_path, picture, *option))


def test_without_ranges_the_variants_are_the_picture(capsys, tmp_path):
    still = [x for name in ("rotation", "width-shift", "height-shift", "shear", "zoom")
             for x in (f"--{name}", 0)]  # fmt: skip
    sheet = sheet_of(capsys, tmp_path, SAMPLES / "2-small-bitmap.png", "--count", 2, *still)
    digit = tinymnist.prepare(SAMPLES / "2-small-bitmap.png")[None, None, ..., 0]
    wanted = draw_sheet(np.repeat(digit, 3, axis=1), ["2-small-bitmap.png"])
    np.testing.assert_array_equal(sheet, np.asarray(wanted.convert("L")))


def test_folders_with_and_without_classes(capsys, tmp_path):
    (tmp_path / "set" / "8").mkdir(parents=True)
    chalk = (SAMPLES / "8-chalk-on-black.jpg").read_bytes()
    (tmp_path / "set" / "8" / "a.jpg").write_bytes(chalk)
    for source, names in ((tmp_path / "set", ["8"]), (tmp_path / "set" / "8", ["a.jpg"])):
        code, out, _ = run(capsys, "augment", source, "--out", tmp_path / "s.png", "--json")
        assert code == 0
        assert json.loads(out)["pictures"] == names


def test_arrays_of_a_set(capsys, tmp_path):
    images = np.zeros((40, 28, 28), np.uint8)
    images[:, 8:20, 13:15] = 255
    np.savez(tmp_path / "ones.npz", images=images, labels=np.ones(40, int))
    code, out, _ = run(
        capsys, "augment", tmp_path / "ones.npz", "--rows", 4, "--out", tmp_path / "s.png"
    )
    assert code == 0 and out.startswith("4 pictures, 8 variants each")


def test_what_cannot_be_read(capsys, tmp_path):
    (tmp_path / "digits").mkdir()
    (tmp_path / "digits" / "bad.png").write_bytes(b"none")
    (tmp_path / "digits" / "good.jpg").write_bytes((SAMPLES / "8-chalk-on-black.jpg").read_bytes())
    code, _, err = run(capsys, "augment", tmp_path / "digits", "--out", tmp_path / "s.png")
    assert code == 1 and "bad.png" in err
    missing = run(capsys, "augment", tmp_path / "none.png", "--out", tmp_path / "s.png")
    assert_refused(missing, "none.png", "no such file")
    assert_refused(run(capsys, "augment", "nothing", "--out", tmp_path / "s.png"), "no set")
    good = SAMPLES / "8-chalk-on-black.jpg"
    assert_refused(run(capsys, "augment", good, "--out", tmp_path / "s.xyz"), "unknown kind")
