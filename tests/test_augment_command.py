"""``tinymnist augment``: sheets of pictures, folders and sets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PIL.features import check

import tinymnist
from tests.test_cli import assert_refused, run
from tinymnist.errors import InputError
from tinymnist.reporting.figures import save_figure, variant_sheet

SAMPLES = Path(tinymnist.__file__).parent / "samples"


def sheet_of(capsys: pytest.CaptureFixture[str], tmp_path: Path, *arguments: Any) -> Any:
    path = tmp_path / "sheet.png"
    code, _, err = run(capsys, "augment", *arguments, "--out", path)
    assert code == 0, err
    return np.asarray(Image.open(path).convert("L"))


def test_a_picture_and_its_variants(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
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
def test_every_option_shows(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, option: Any
) -> None:
    picture = SAMPLES / "3-thin-pen-on-white.png"
    plain = sheet_of(capsys, tmp_path, picture)
    assert not np.array_equal(plain, sheet_of(capsys, tmp_path, picture, *option))


def test_without_ranges_the_variants_are_the_picture(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    still = [x for name in ("rotation", "width-shift", "height-shift", "shear", "zoom")
             for x in (f"--{name}", 0)]  # fmt: skip
    sheet = sheet_of(capsys, tmp_path, SAMPLES / "2-small-bitmap.png", "--count", 2, *still)
    digit = tinymnist.prepare_image(SAMPLES / "2-small-bitmap.png")[None, None, ..., 0]
    wanted = variant_sheet(np.repeat(digit, 3, axis=1), ["2-small-bitmap.png"])
    np.testing.assert_array_equal(sheet, np.asarray(wanted.convert("L")))


def test_folders_with_and_without_classes(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "set" / "8").mkdir(parents=True)
    chalk = (SAMPLES / "8-chalk-on-black.jpg").read_bytes()
    (tmp_path / "set" / "8" / "a.jpg").write_bytes(chalk)
    for source, names in ((tmp_path / "set", ["8"]), (tmp_path / "set" / "8", ["a.jpg"])):
        code, out, _ = run(capsys, "augment", source, "--out", tmp_path / "s.png", "--json")
        assert code == 0
        assert json.loads(out)["pictures"] == names


def test_arrays_of_a_set(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    images = np.zeros((40, 28, 28), np.uint8)
    images[:, 8:20, 13:15] = 255
    np.savez(tmp_path / "ones.npz", images=images, labels=np.ones(40, int))
    code, out, _ = run(
        capsys, "augment", tmp_path / "ones.npz", "--rows", 4, "--out", tmp_path / "s.png"
    )
    assert code == 0 and out.startswith("4 pictures, 8 variants each")


def test_what_cannot_be_read(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
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


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("--seed", -1, "0..4294967295"),
        ("--seed", 2**32, "0..4294967295"),
        ("--rotation", "nan", "a number in -1e6..1e6"),
        ("--shear", "inf", "a number in -1e6..1e6"),
        ("--width-shift", "1e308", "a number in -1e6..1e6"),
        ("--zoom", 1, "from 0 to below 1"),
        ("--zoom", -0.1, "from 0 to below 1"),
        ("--cval", 1.5, "0..1"),
        ("--cval", "nan", "0..1"),
        ("--count", "x", "at least 1, not 'x'"),
        ("--rows", 0, "at least 1, not '0'"),
    ],
)
def test_settings_that_make_no_sense(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, option: str, value: Any, expected: str
) -> None:
    out = tmp_path / "s.png"
    code, _, err = run(capsys, "augment", SAMPLES, "--out", out, f"{option}={value}")
    assert code == 2 and f"argument {option}: must be" in err and expected in err
    assert not out.exists()


def test_pictures_that_cannot_be_read_take_up_no_rows(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    digits = tmp_path / "digits"
    digits.mkdir()
    for name in ("a", "b"):
        (digits / f"{name}.png").write_bytes(b"none")
    for name in ("c", "d", "e"):
        chalk = (SAMPLES / "8-chalk-on-black.jpg").read_bytes()
        (digits / f"{name}.jpg").write_bytes(chalk)
    code, out, _ = run(
        capsys, "augment", digits, "--rows", 2, "--out", tmp_path / "s.png", "--json"
    )
    assert code == 1 and json.loads(out)["pictures"] == ["c.jpg", "d.jpg"]


def test_a_picture_is_not_overwritten_by_its_sheet(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    photo = tmp_path / "set" / "8" / "photo.jpg"
    photo.parent.mkdir(parents=True)
    chalk = (SAMPLES / "8-chalk-on-black.jpg").read_bytes()
    photo.write_bytes(chalk)
    for source in (photo, photo.parent, photo.parent.parent):
        refused = run(capsys, "augment", source, "--out", photo.parent / ".." / "8" / "photo.jpg")
        assert_refused(refused, "photo.jpg", "overwrite", "another name")
    assert photo.read_bytes() == chalk


def test_only_what_can_be_written_is_a_name_for_a_sheet(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for name in ("s.psd", "s.mpg", "s.xyz"):
        refused = run(capsys, "augment", SAMPLES, "--out", tmp_path / name)
        assert_refused(refused, name, "unknown kind", ".png", ".jpg", ".bmp")
    assert_refused(run(capsys, "augment", SAMPLES, "--out", ""), "name")


@pytest.mark.parametrize("name", ["s.gif", "s.tga", "s.webp", "s.jpg"])
def test_a_figure_that_the_format_cannot_hold(tmp_path: Path, name: str) -> None:
    features = {"s.webp": "webp", "s.jpg": "jpg"}
    if name in features and not check(features[name]):
        pytest.skip("Pillow was built without it")
    with pytest.raises(InputError, match=r"cannot hold this figure of 70000x2 pixels.*\.png"):
        save_figure(Image.new("RGB", (70_000, 2)), tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_not_the_format_s_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    figure = Image.new("RGB", (5, 5))
    monkeypatch.setattr(figure, "save", full)
    with pytest.raises(InputError, match=r"cannot write .*No space left"):
        save_figure(figure, tmp_path / "s.png")


def test_folders_of_a_mac_are_no_classes(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "digits" / "__MACOSX").mkdir(parents=True)
    chalk = (SAMPLES / "8-chalk-on-black.jpg").read_bytes()
    (tmp_path / "digits" / "a.jpg").write_bytes(chalk)
    (tmp_path / "digits" / "__MACOSX" / "._a.jpg").write_bytes(b"none")
    code, out, _ = run(
        capsys, "augment", tmp_path / "digits", "--out", tmp_path / "s.png", "--json"
    )
    assert code == 0 and json.loads(out)["pictures"] == ["a.jpg"]
