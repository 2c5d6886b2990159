"""C files: they compile without a warning, and compute what the model and the recipe compute."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinymnist
from tinymnist import InputError, Reader
from tinymnist.adapter import scaling_entry
from tinymnist.c99 import render, write
from tinymnist.cli import main
from tinymnist.imaging.digit.recipes import prepare_readings, recipe_vectors
from tinymnist.imaging.picture.decode import decode
from tinymnist.imaging.synthetic.paint import ink
from tinymnist.nn import layers as L
from tinymnist.nn.sequential import Input, Sequential

GCC = shutil.which("gcc")
STRICT = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic"]
needs_gcc = pytest.mark.skipif(GCC is None, reason="gcc is not installed")


class Compiled:
    """The functions of a C file, on arrays."""

    def __init__(
        self, model: Sequential, folder: Path, speed: str = "-O0", *, int8: bool = False
    ) -> None:
        self.classes = len(Reader(model).class_names)
        write(model, folder / "digits.c", int8=int8)
        library = folder / "digits.so"
        gcc(folder / "digits.c", library, speed, "-shared", "-fPIC")
        self.library = ctypes.CDLL(str(library))

    def network(self, pictures: Any) -> Any:
        """The probabilities (n, classes) of pictures (n, 28, 28) in MNIST's form."""
        answers = np.zeros((len(pictures), self.classes), np.float32)
        for picture, answer in zip(pictures.astype(np.float32), answers, strict=True):
            self.library.digits_network(pointer(np.ascontiguousarray(picture)), pointer(answer))
        return answers

    def read(self, grey: Any) -> tuple[int, Any]:
        answer, grey = np.zeros(self.classes, np.float32), np.ascontiguousarray(grey)
        size = grey.shape[1], grey.shape[0]
        return self.library.digits_read(pointer(grey), *size, pointer(answer)), answer

    def readings(self, grey: Any) -> Any:
        forms, grey = np.zeros((6, 28, 28), np.float32), np.ascontiguousarray(grey)
        size = grey.shape[1], grey.shape[0]
        return forms[: self.library.digits_readings(pointer(grey), *size, pointer(forms))]


def pointer(array: Any) -> Any:
    return array.ctypes.data_as(ctypes.c_void_p)


def gcc(source: Path, target: Path, *options: str) -> None:
    command = [str(GCC), *STRICT, *options, str(source), "-lm", "-o", str(target)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.fixture(scope="module")
def lenet5(tmp_path_factory: pytest.TempPathFactory) -> Compiled:
    return Compiled(tinymnist.load_model("lenet5"), tmp_path_factory.mktemp("lenet5"), "-O1")


def sample(n: int) -> Any:
    """Some of the shipped pictures, (n, 28, 28)."""
    return np.asarray(tinymnist.load_set("mnist-sample").images)[:n]


@needs_gcc
@pytest.mark.parametrize("options", [[], ["--int8"]])
def test_the_self_test_passes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str]
) -> None:
    assert main(["export", "mlp", str(tmp_path / "digits.c"), *options]) == 0
    gcc(tmp_path / "digits.c", tmp_path / "selftest", "-DDIGITS_SELFTEST")
    done = subprocess.run([str(tmp_path / "selftest")], capture_output=True, text=True)
    lines = done.stdout.splitlines()
    assert done.returncode == 0 and len(lines) >= 10
    assert all(line.startswith("ok: ") for line in lines)
    if options:
        return
    damaged = (tmp_path / "digits.c").read_text().replace("14 - down", "13 - down")
    (tmp_path / "damaged.c").write_text(damaged)
    gcc(tmp_path / "damaged.c", tmp_path / "selftest", "-DDIGITS_SELFTEST")
    done = subprocess.run([str(tmp_path / "selftest")], capture_output=True, text=True)
    assert done.returncode == 1 and "DIFFERS: " in done.stdout


@needs_gcc
def test_the_network_is_the_same_on_the_shipped_pictures(lenet5: Compiled) -> None:
    pictures = sample(300)
    expected = tinymnist.load_model("lenet5").predict(pictures[..., None])
    found = lenet5.network(pictures)
    assert (found.argmax(axis=1) == expected.argmax(axis=1)).all()
    assert np.abs(found - expected).max() <= 1e-5


@needs_gcc
@pytest.mark.parametrize("int8", [False, True])
def test_batch_normalization_is_folded(tmp_path: Path, int8: bool) -> None:
    model, pictures = tinymnist.load_model("mnist-cnn"), sample(12) / np.float32(255)
    expected = model.predict(pictures[..., None])
    found = Compiled(model, tmp_path, int8=int8).network(pictures)
    assert (found.argmax(axis=1) == expected.argmax(axis=1)).all()
    assert np.abs(found - expected).max() <= (0.05 if int8 else 1e-5)
    text = (tmp_path / "digits.c").read_text()
    assert len(text) < 1_000_000 if int8 else "batch_normalization(" not in text


@needs_gcc
@pytest.mark.skipif("TINYMNIST_DATA" not in os.environ, reason="MNIST is not on this machine")
@pytest.mark.parametrize("name", ["lenet5", "mlp"])
def test_the_class_is_the_same_on_10000_pictures(tmp_path: Path, name: str) -> None:
    model = tinymnist.load_model(name)
    pictures = np.asarray(tinymnist.load_set("mnist-test").images)
    assert len(pictures) == 10_000
    found = Compiled(model, tmp_path, "-O2").network(pictures)
    assert (found.argmax(axis=1) == model.predict(pictures[..., None]).argmax(axis=1)).all()


@needs_gcc
def test_the_recipe_makes_the_same_forms(lenet5: Compiled) -> None:
    reader = Reader("lenet5")
    samples = sorted((Path(tinymnist.__file__).parent / "samples").iterdir())
    pictures = {file.name: (decode(str(file)) * 255 + 0.5).astype(np.uint8) for file in samples}
    pictures |= {name: grey for name, (grey, _) in recipe_vectors().items()}
    for pen in range(4, 20):  # from lines that are thickened to lines that are thinned
        drawn = 1 - ink(7, (60, 60), height=0.7, pen=pen / 100)
        pictures[f"pen {pen}"] = (drawn * 255 + 0.5).astype(np.uint8)
    hairline = np.full((2000, 1500), 255, np.uint8)  # which pales when it is reduced
    hairline[400, 300:900] = hairline[400:1700, 900] = 0
    pictures |= {"hairline": hairline, "light hairline": 255 - hairline}
    row = np.hstack([1 - ink(digit, (60, 60), height=0.7, pen=0.1) for digit in (3, 5, 8)])
    pictures["several digits"] = (row * 255 + 0.5).astype(np.uint8)
    for number, picture in enumerate(sample(8)):  # in MNIST's form, apart from the polarity
        pictures[f"inverse {number}"] = (255 - picture * 255 + 0.5).astype(np.uint8)
    for name, grey in pictures.items():
        expected, found = prepare_readings(grey).whole[..., 0], lenet5.readings(grey)
        assert found.shape == expected.shape, name
        assert np.abs(found - expected).max() <= 0.01, name
        best, answer = lenet5.read(grey)
        prediction = reader.predict(grey)
        assert best == prediction.digit, name
        assert np.abs(answer - prediction.probabilities).max() <= 0.002, name


@needs_gcc
def test_what_is_not_a_digit_is_refused_as_by_predict(lenet5: Compiled) -> None:
    grain = np.where(np.random.default_rng(0).random((200, 200)) < 0.1, 0, 255)
    for grey in (np.full((40, 30), 200), grain, np.zeros((1, 1)), np.linspace(0, 255, 900)):
        picture = grey.reshape(len(grey), -1).astype(np.uint8)
        with pytest.raises(InputError):
            Reader("lenet5").predict(picture)
        assert lenet5.read(picture)[0] < 0
    assert lenet5.library.digits_read(None, 5, 5, None) < 0


@needs_gcc
@pytest.mark.skipif("TINYMNIST_TESTDATA" not in os.environ, reason="no data of other people")
@pytest.mark.parametrize(("folder", "floor"), [("own", 1.0), ("own2", 0.995), ("multi", 1.0)])
def test_other_peoples_pictures_are_read_alike(lenet5: Compiled, folder: str, floor: float) -> None:
    reader, same = Reader("lenet5"), []
    for file in sorted((Path(os.environ["TINYMNIST_TESTDATA"]) / "data" / folder).rglob("*.*")):
        if file.suffix in (".csv", ".md", ".txt"):
            continue
        try:
            grey = (decode(str(file)) * 255 + 0.5).astype(np.uint8)
            expected = int(reader.predict(grey))
        except InputError:
            continue
        same.append(lenet5.read(grey)[0] == expected)
    assert same and np.mean(same) >= floor


def classifier(*layers: L.Layer, shape: tuple[int, ...] = (28, 28, 1), **further: Any) -> Any:
    model = Sequential([Input(shape), *layers], rng=3)
    model.metadata = {"preprocessing": {"recipe": "mnist", **further}}
    return model


def with_statistics(model: Sequential) -> Sequential:
    """Arrays that are not all 0 and 1."""
    rng = np.random.default_rng(0)
    model.set_weights([np.abs(a) + rng.random(a.shape, a.dtype) / 9 for a in model.get_weights()])
    return model


MODELS: dict[str, Callable[[], Sequential]] = {
    "padding and strides": lambda: classifier(
        L.Conv2D(3, (3, 5), strides=2, padding="same", activation="relu"),
        L.AveragePooling2D(3, strides=2, padding="same"),
        L.Conv2D(4, 2, use_bias=False),
        L.MaxPooling2D(2, padding="same"),
        L.GlobalAveragePooling2D(),
        L.Dropout(0.5),
        L.Dense(10),
    ),
    "normalization": lambda: classifier(
        L.BatchNormalization(),
        L.Conv2D(3, 3, use_bias=False, activation="tanh"),
        L.BatchNormalization(),
        L.Flatten(),
        L.Dense(10),
        L.BatchNormalization(),
        L.Softmax(),
    ),
    "sigmoids": lambda: classifier(
        L.ReLU(), L.Dense(8, activation="sigmoid"), L.Dense(3, activation="sigmoid"), shape=(784,)
    ),
    "scaling": lambda: classifier(
        L.Rescaling(0.5, offset=0.1),
        L.Reshape((784,)),
        L.Dense(10, activation="softmax"),
        scaling=scaling_entry("norm(.1307,.3081)"),
    ),
}


@needs_gcc
@pytest.mark.parametrize(
    ("name", "int8"), [*((name, False) for name in MODELS), ("padding and strides", True)]
)
def test_every_kind_of_layer(tmp_path: Path, name: str, int8: bool) -> None:
    model = with_statistics(MODELS[name]())
    pictures = np.random.default_rng(1).random((5, 28, 28), np.float32)
    expected = Reader(model).probabilities(pictures[..., None])
    found = Compiled(model, tmp_path, int8=int8).network(pictures)
    assert np.abs(found - expected).max() <= (0.1 if int8 else 1e-4)


@needs_gcc
def test_names_stay_text(tmp_path: Path) -> None:
    names = ['"', "\\", "??/", "*/ #error", "é\n", "%d", "a", "", "\x01f", "$x"]
    model = classifier(L.Flatten(name="*/ x\n??/"), L.Dense(10, name="1 / é"), L.Softmax())
    model.metadata |= {"class_names": names, "source": "*/\n#error"}
    model.name = "*/ int"
    compiled = Compiled(model, tmp_path)
    found = (ctypes.c_char_p * 10).in_dll(compiled.library, "digits_class_names")
    assert [(name or b"").decode() for name in found] == names


REFUSED: dict[str, Callable[[], Sequential]] = {
    "elu": lambda: classifier(L.Flatten(), L.Dense(10, activation="elu")),
    "DepthwiseConv2D": lambda: classifier(L.DepthwiseConv2D(3), L.Flatten(), L.Dense(10)),
    "groups or dilation": lambda: classifier(
        L.Conv2D(2, 3, dilation_rate=2), L.Flatten(), L.Dense(10)
    ),
    "28x28": lambda: classifier(L.Flatten(), L.Dense(10), shape=(32, 32, 1)),
    "recipe='resize'": lambda: classifier(L.Flatten(), L.Dense(10), recipe="resize"),
    "vectors of length 1": lambda: classifier(
        L.Flatten(), L.Dense(10), scaling=scaling_entry("normalize(axis=1)")
    ),
    "one number per class": lambda: classifier(L.Flatten(), L.Dense(1)),
}


@pytest.mark.parametrize("rule", REFUSED)
def test_what_a_file_cannot_hold_is_refused_by_name(rule: str) -> None:
    with pytest.raises(InputError) as error:
        render(REFUSED[rule](), "x.c")
    assert rule in str(error.value) and "\n" not in str(error.value)


def test_branches_are_refused() -> None:
    layers: list[Any] = [Input((28, 28, 1)), L.Flatten(name="f"), L.Dense(784, name="d"), L.Add()]
    model = Sequential([*layers, L.Dense(10)], wiring={"add": ["f", "d"]})
    with pytest.raises(InputError, match="add: a C file cannot hold branches"):
        render(model, "x.c")


def test_only_a_file_of_its_kind_is_overwritten(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "digits.c"
    for _ in range(2):
        assert main(["export", "mlp", str(file)]) == 0
    file.write_text("int main(void) { return 0; }")
    assert main(["export", "mlp", str(file)]) == 2
    assert "would overwrite" in capsys.readouterr().err and file.stat().st_size < 99


def test_8_bits_are_for_c_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "mlp", str(tmp_path / "it.py"), "--int8"]) == 2
    assert "only a .c file" in capsys.readouterr().err
