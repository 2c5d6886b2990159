"""Small things that a day's work runs into, as a user meets them on the command line."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import tinymnist
from tests.test_cli import SAMPLES, assert_refused, run
from tests.test_labelled_sets import folder_of
from tinymnist.adapter import Prediction
from tinymnist.errors import InputError
from tinymnist.layers import Dense
from tinymnist.nn.losses import get_loss
from tinymnist.nn.optimizers import get_optimizer
from tinymnist.pages import Page, PageDigit

PHOTO = SAMPLES[4]


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (["predct", "x.png"], "'predict'"),
        (["predict", "--modle", "mlp", "x.png"], "'--model'"),
        (["predict", "--recipe=rezise", "x.png"], "'resize'"),
        (["predict", "x.png", "--model", "mnst-cnn"], "'mnist-cnn'"),
        (["evaluate", "mnist-tst"], "'mnist-test'"),
        (["verify", "lenet"], "'lenet5'"),
        (["lesson", "centre_by_maas"], "'centre_by_mass'"),
    ],
)
def test_what_was_meant_is_named(
    capsys: pytest.CaptureFixture[str], arguments: list[str], meant: str
) -> None:
    assert_refused(run(capsys, *arguments), f"did you mean {meant}?")


def test_pictures_may_stand_on_both_sides_of_an_option(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "predict", SAMPLES[0], "--model", "mlp", "--json", SAMPLES[1])
    assert (
        code == 0 and [Path(json.loads(line)["file"]) for line in out.splitlines()] == SAMPLES[:2]
    )


def test_a_null_character_is_no_name() -> None:
    with pytest.raises(InputError, match="expected the name of a file"):
        tinymnist.load_model("mlp").save("a\0b.npz")


def test_the_names_of_keras_are_suggested_too() -> None:
    layer: Any = Dense
    for make, meant in (
        (lambda: get_optimizer("adma"), "adam"),
        (lambda: get_loss("categorical_crosentropy"), "categorical_crossentropy"),
        (lambda: layer(3, activation="rellu"), "relu"),
        (lambda: layer(3, kernel_initializer="glorot_unifrm"), "glorot_uniform"),
        (lambda: layer(unit=3), "units"),
        (lambda: tinymnist.load_model("mlp").get_layer("dens"), "dense"),
    ):
        with pytest.raises((ValueError, TypeError), match=f"did you mean '{meant}'"):
            make()


def test_a_lazy_module_suggests_a_name() -> None:
    code = "import tinymnist\ntinymnist.Readr"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "Did you mean: 'Reader'" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [["predict", PHOTO, "--model", "no/m.h5"], ["summary", "no/m.h5"], ["evaluate", "no/m.h5"]],
)
def test_a_missing_file_is_not_an_unknown_name(
    capsys: pytest.CaptureFixture[str], arguments: list[Any]
) -> None:
    assert_refused(run(capsys, *arguments), "no/m.h5: no such file")


def test_verify_goes_on_after_an_unusable_file(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "bad.npz").write_bytes(b"PK\3\4 and no more")
    arguments = ("verify", "lenet5", tmp_path / "bad.npz", "mlp")
    code, out, err = run(capsys, *arguments)
    assert code == 2
    assert [line.split()[0] for line in out.splitlines()] == ["model", "lenet5", "mlp"]
    assert err.count("\n") == 1 and "bad.npz" in err
    code, out, _ = run(capsys, *arguments, "--json")
    assert code == 2
    kinds = ["sound" if "sound" in json.loads(line) else "error" for line in out.splitlines()]
    assert kinds == ["sound", "error", "sound"]


def test_one_file_cannot_take_several_annotated_pictures(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    out = tmp_path / "x.png"
    result = run(capsys, "read", PHOTO, SAMPLES[0], "--annotate", out)
    assert_refused(result, "x.png is one picture", "2 inputs", "folder")
    assert not out.exists()
    assert_refused(run(capsys, "read", PHOTO, "--annotate", tmp_path / "x.xyz"), ".png", ".jpg")
    assert run(capsys, "read", PHOTO, "--model", "mlp", "--annotate", f"{tmp_path}/new/")[0] == 0
    assert (tmp_path / "new" / "7-tilted-photo.png").is_file()


def test_long_class_names_are_joined_with_a_space() -> None:
    names = ("tick", "cross", "7")
    box = (0, 0, 1, 1)

    def sign(number: int) -> PageDigit:
        return PageDigit(Prediction(np.eye(3, dtype=np.float32)[number], names), box)

    assert Page(((sign(0), sign(2)), (sign(1),))).text == "tick 7\ncross"


def test_class_names_stand_beside_probabilities(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    model = tinymnist.load_model("mlp")
    model.metadata["class_names"] = [f"sign {i}" for i in range(10)]
    model.save(tmp_path / "m.npz")
    _, out, _ = run(capsys, "predict", PHOTO, "--model", tmp_path / "m.npz", "--json")
    record = json.loads(out)
    likeliest = record["class_names"][int(np.argmax(record["probabilities"]))]
    assert record["digit"] == likeliest == "sign 7"


def test_predict_takes_lists_and_arrays_of_pictures() -> None:
    reader = tinymnist.Reader("mlp")
    one = reader.predict(PHOTO)
    assert reader.predict([PHOTO, SAMPLES[0]])[0] == one
    x = np.stack([tinymnist.prepare_image(file) for file in SAMPLES[:3]])
    found = reader.predict(x)
    assert [int(p) for p in found] == [int(p) for p in reader.predict(x[..., 0])]
    assert len(found) == 3 and len({*found, one, reader.predict(PHOTO)}) == 4
    assert isinstance(reader.predict(x[0]), Prediction)
    assert isinstance(reader.predict(x[:1, ..., 0]), Prediction)  # (1, h, w), as in PyTorch
    assert reader.predict([]) == []
    with pytest.raises(tinymnist.InputError, match=r"picture 1 of 2: .*gone.png"):
        reader.predict([PHOTO, "gone.png"])


def test_a_pair_of_arrays_is_a_labelled_set() -> None:
    x = np.stack([tinymnist.prepare_image(file)[..., 0] for file in SAMPLES])
    y = np.array([int(file.name[0]) for file in SAMPLES])
    by_number = tinymnist.evaluate((x, y))
    assert by_number.accuracy == 1.0
    assert tinymnist.evaluate((x, np.eye(10)[y])).accuracy == 1.0
    assert tinymnist.evaluate((SAMPLES, [str(label) for label in y])).accuracy == 1.0
    with pytest.raises(tinymnist.InputError, match="labels must be"):
        tinymnist.evaluate((x, y[:2]))
    with pytest.raises(tinymnist.InputError, match="as many labels"):
        tinymnist.evaluate((SAMPLES, y[:2]))


def test_results_show_themselves_in_one_line(tmp_path: Path) -> None:
    folder_of(tmp_path, (3, 7))
    trial = tinymnist.finetune(tmp_path, "mlp", epochs=1)
    found = {
        "Evaluation": tinymnist.evaluate(tmp_path, "mlp"),
        "Explanation": tinymnist.explain(PHOTO, "mlp"),
        "Diagnosis": tinymnist.diagnose(tmp_path, "mlp"),
        "LabelledSet": tinymnist.load_set(tmp_path),
        "Trial": trial,
    }
    for name, one in found.items():
        assert repr(one).startswith(f"{name}(")
        assert len(repr(one)) < 200 + len(str(tmp_path)) and "\n" not in repr(one)


def test_samples_are_found_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert tinymnist.Reader("mlp").predict(tinymnist.sample(PHOTO.name)).digit == 7
    with pytest.raises(tinymnist.InputError, match=PHOTO.name):
        tinymnist.sample("9.png")


@pytest.mark.filterwarnings("ignore")
def test_one_picture_is_diagnosed(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    report = tmp_path / "r.html"
    code, out, err = run(capsys, "diagnose", PHOTO, "--model", "keras-cnn", "--out", report)
    assert (code, err) == (0, "")
    assert "1 picture," in out and "1 pictures" not in out + report.read_text(encoding="utf-8")
    assert tinymnist.diagnose(str(PHOTO), "keras-cnn").n == 1
    assert_refused(run(capsys, "diagnose", tmp_path / "gone.png"), "gone.png: no such file")


def test_one_is_counted_in_the_singular(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    sheet = run(capsys, "augment", PHOTO, "--out", tmp_path / "s.png", "--count", 1)[1]
    assert sheet.startswith("1 picture, 1 variant each")
    (tmp_path / "set" / "7").mkdir(parents=True)
    (tmp_path / "set" / "7" / "a.jpg").write_bytes(PHOTO.read_bytes())
    folder_of(tmp_path / "set", (3,), each=1)
    out, m = tmp_path / "m.npz", ("--model", "mlp", "--epochs", 1)
    _, text, err = run(capsys, "finetune", tmp_path / "set", "--out", out, *m)
    assert text.startswith("2 pictures,") and "1 pictures" not in text + err
    _, text, _ = run(capsys, "compare", "mlp", "mlp", "--inputs", "mnist-sample", "--limit", 1)
    assert "1 example," in text
    assert "1 layer, 1 parameter," in repr(
        tinymnist.Sequential([Dense(1, use_bias=False)], input_shape=(1,))
    )


def test_many_variants_take_several_lines(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    sizes = {}
    for variants in (16, 17, 200):
        out = tmp_path / f"{variants}.png"
        assert run(capsys, "augment", SAMPLES[0], "--out", out, "--count", variants)[0] == 0
        with Image.open(out) as sheet:
            sizes[variants] = sheet.size
            assert np.asarray(sheet.convert("L"))[-60:-20, 230:300].min() < 128  # the last line
    assert {width for width, _ in sizes.values()} == {sizes[16][0]}
    assert sizes[200][1] > sizes[17][1] > sizes[16][1]


def test_fine_tuning_shows_one_moving_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = folder_of(tmp_path / "set", (3, 7), each=3)
    shares: list[float] = []
    tinymnist.finetune(folder, "mlp", epochs=2, hidden=8, watch=shares.append)
    assert shares == sorted(shares) and shares[-1] == 1.0 and 0 < shares[0] < 0.1
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    arguments = ("finetune", folder, "--model", "mlp", "--epochs", 2, "--out", tmp_path / "m.npz")
    code, _, err = run(capsys, *arguments)
    assert code == 0 and "\n" not in err
    assert re.search(r"\r\x1b\[Kfold 1 of \d; \d+% of all, \d+ s left", err)
