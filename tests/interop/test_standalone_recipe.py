"""A standalone file with the recipe reads any picture as the package does, without tinymnist."""

from __future__ import annotations

import ast
import inspect
import io
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import tinymnist
from tinymnist import InputError, Reader
from tinymnist.adapter import scaling_entry
from tinymnist.cli import main
from tinymnist.interop.standalone import functions, render
from tinymnist.interop.standalone.recipe import MODULES
from tinymnist.nn import layers as L
from tinymnist.nn.sequential import Input, Sequential

SAMPLES = sorted((Path(tinymnist.__file__).parent / "samples").iterdir())


def run(text: str) -> dict[str, Any]:
    """The names that a standalone file defines."""
    names = {"__name__": "standalone"}
    exec(compile(text, "standalone.py", "exec"), names)
    return names


@cache
def digits() -> dict[str, Any]:
    return run(render(tinymnist.load_model("lenet5"), "digits.py", with_recipe=True))


def seven() -> Image.Image:
    """A dark 7 on white paper, with a mark beside it."""
    grey = np.full((90, 70), 250, np.uint8)
    grey[20:26, 18:50] = 30
    for down in range(26, 75):
        left = 48 - (down - 26) // 2
        grey[down, left - 4 : left + 4] = 30
    grey[80:84, 60:63] = 60
    return Image.fromarray(grey)


def saved(picture: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return saved(seven().rotate(90, expand=True), "JPEG", exif=exif, quality=95)


def transparent() -> bytes:
    alpha = 255 - np.asarray(seven())
    return saved(Image.fromarray(np.stack([*[alpha * 0 + 9] * 3, alpha], axis=-1)), "PNG")


def deep() -> bytes:
    return saved(Image.fromarray(np.asarray(seven()).astype(np.uint16) * 201), "PNG")


def noisy() -> bytes:
    grey = np.asarray(seven().resize((280, 360))) * 0.5
    light = np.linspace(0.4, 1, 280)
    noise = np.random.default_rng(0).normal(0, 6, grey.shape)
    return saved(Image.fromarray(np.clip(grey * light + noise, 0, 255).astype(np.uint8)), "PNG")


PICTURES: dict[str, Callable[[], Any]] = {
    "grey": lambda: saved(seven(), "PNG"),
    "inverted": lambda: 255 - np.asarray(seven()),
    "turned by EXIF": turned,
    "transparent": transparent,
    "16 bit": deep,
    "noise and shadow": noisy,
    "palette": lambda: saved(seven().convert("P"), "GIF"),
    "28x28": lambda: np.asarray(seven().resize((28, 28)), np.float64) / 255,
    "MNIST's form": lambda: tinymnist.prepare_image(seven())[..., 0],
}
REFUSED: dict[str, Callable[[], Any]] = {
    "blank": lambda: np.full((40, 30), 200, np.uint8),
    "not a picture": lambda: b"hello",
    "cut off": lambda: saved(seven(), "PNG")[:150],
    "empty": lambda: b"",
    "missing": lambda: "/no/such/file.png",
    "folder": lambda: os.curdir,
    "text": lambda: np.array([["a"]]),
    "NaN": lambda: np.full((28, 28), np.nan),
}


def check_alike(model: Sequential, source: Any, names: dict[str, Any]) -> None:
    expected = Reader(model).predict(source).probabilities
    found = names["read"](source)
    assert found.dtype == np.float32 and found.shape == expected.shape
    assert np.abs(found - expected).max() <= 1e-6


@pytest.mark.parametrize("name", PICTURES)
def test_any_picture_is_read_as_predict_reads_it(name: str) -> None:
    check_alike(tinymnist.load_model("lenet5"), PICTURES[name](), digits())


@pytest.mark.parametrize("file", SAMPLES, ids=lambda file: file.name)
def test_the_samples_are_read_as_predict_reads_them(file: Path) -> None:
    check_alike(tinymnist.load_model("lenet5"), str(file), digits())


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_has_the_same_message(name: str) -> None:
    source = REFUSED[name]()
    with pytest.raises(InputError) as expected:
        Reader("lenet5").predict(source)
    with pytest.raises(digits()["InputError"]) as found:
        digits()["read"](source)
    assert str(found.value) == str(expected.value)


def test_it_answers_as_the_command_does(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In an interpreter that does not find tinymnist; table, JSON, failures and exit codes."""
    file = tmp_path / "digits.py"
    assert main(["export", "lenet5", str(file), "--with-recipe"]) == 0
    np.save(tmp_path / "two.npy", np.stack([np.asarray(seven()), 255 - np.asarray(seven())]))
    (tmp_path / "bad.png").write_bytes(b"no picture")
    for arguments in (
        [*map(str, SAMPLES), str(tmp_path / "bad.png")],
        ["--json", str(SAMPLES[0]), str(tmp_path / "two.npy")],
        [str(tmp_path / "bad.png")],
    ):
        capsys.readouterr()
        code = main(["predict", "--model", "lenet5", *arguments])
        out, err = capsys.readouterr()
        done = subprocess.run(
            [sys.executable, "-I", str(file), *arguments], capture_output=True, text=True
        )
        assert done.stderr == err.replace("tinymnist: ", "").replace("no picture could be read", "")
        if "--json" not in arguments:
            assert (done.returncode, done.stdout) == (code, out)
            continue
        for ours, theirs in zip(done.stdout.splitlines(), out.splitlines(), strict=True):
            a, b = json.loads(ours), json.loads(theirs)
            assert np.allclose(a.pop("probabilities"), b.pop("probabilities"), rtol=0, atol=2e-6)
            assert a.pop("confidence") == pytest.approx(b.pop("confidence"), abs=2e-6)
            assert a == b
    done = subprocess.run([sys.executable, "-I", str(file)], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.startswith("ok: ")


def classifier(*layers: L.Layer, shape: tuple[int, ...], **preprocessing: Any) -> Sequential:
    model = Sequential([Input(shape), *layers], rng=3)
    model.metadata = {"preprocessing": {"recipe": "mnist", **preprocessing}}
    return model


MODELS: dict[str, Callable[[], Sequential]] = {
    "logits": lambda: classifier(L.Flatten(), L.Dense(10), shape=(28, 28, 1)),
    "sigmoids": lambda: classifier(
        L.Flatten(), L.Dense(10, activation="sigmoid"), shape=(28, 28, 1)
    ),
    "a shape after the softmax": lambda: classifier(
        L.Dense(10, activation="softmax"), L.Reshape((1, 10)), shape=(784,)
    ),
    "padded": lambda: classifier(
        L.Flatten(), L.Dense(10, activation="softmax"), shape=(32, 32, 1), fit="pad"
    ),
    "averaged": lambda: classifier(
        L.Dense(10, activation="softmax"),
        shape=(196,),
        fit="average",
        scaling=scaling_entry("x/127.5-1"),
    ),
    "colours": lambda: classifier(
        L.Flatten(),
        L.Dense(10, activation="softmax"),
        shape=(28, 28, 3),
        scaling=scaling_entry("norm(.1307,.3081)"),
    ),
    "unit length": lambda: classifier(
        L.Flatten(),
        L.Dense(10, activation="softmax"),
        shape=(28, 28, 1),
        scaling=scaling_entry("normalize(axis=1)"),
    ),
    "raw": lambda: classifier(
        L.Rescaling(1 / 255),
        L.Flatten(),
        L.Dense(10, activation="softmax"),
        shape=(28, 28, 1),
        scaling=scaling_entry("raw"),
    ),
    "another recipe": lambda: classifier(
        L.Flatten(), L.Dense(10, activation="softmax"), shape=(28, 28, 1), recipe="resize"
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_any_input_and_any_head(name: str) -> None:
    model = MODELS[name]()
    names = run(render(model, "it.py", with_recipe=True))
    check_alike(model, np.asarray(seven()), names)
    assert names["main"]([]) == 0


def test_what_is_no_classifier_of_pictures_is_refused() -> None:
    for shape, units, rule in (((30, 20, 1), 10, "square"), ((28, 28, 1), 1, "number")):
        model = classifier(L.Flatten(), L.Dense(units), shape=shape)
        with pytest.raises(InputError, match=rule):
            render(model, "it.py", with_recipe=True)


def test_other_formats_hold_no_recipe(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "mlp", str(tmp_path / "it.onnx"), "--with-recipe"]) == 2
    assert "can hold the recipe" in capsys.readouterr().err
    assert not any(tmp_path.iterdir())


def test_a_photo_without_the_recipe_is_one_line_of_advice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = run(render(tinymnist.load_model("mlp"), "digits.py"))
    assert names["main"]([str(SAMPLES[0])]) == 2
    err = capsys.readouterr().err
    assert "--with-recipe" in err and "pickle" not in err and err.count("\n") == 1
    np.save(tmp_path / "objects.npy", np.array([{}]), allow_pickle=True)
    (tmp_path / "empty.npy").touch()
    for file in ("objects.npy", "empty.npy"):
        assert names["main"]([str(tmp_path / file)]) == 2
        err = capsys.readouterr().err
        assert err.count("\n") == 1 and "allow_pickle" not in err


@pytest.mark.parametrize("name", ["mlp", "flat"])
def test_ranges_and_shapes_are_recognized(name: str) -> None:
    model = tinymnist.load_model("mlp")
    if name == "flat":
        model = classifier(L.Dense(10, activation="softmax"), shape=(784,))
    predict = run(render(model, "it.py"))["predict"]
    pictures = np.random.default_rng(0).integers(0, 256, (3, 28, 28)).astype(np.uint8)
    expected = model.predict((pictures / np.float32(255)).reshape(3, *model.input_shape))
    for form in (pictures, pictures.astype(float), pictures / 255, pictures.astype(np.int64)):
        for shaped in (form, form[..., None], form.reshape(3, 784)):
            assert np.allclose(predict(shaped), expected, rtol=0, atol=1e-6)
    assert np.allclose(predict(pictures[0].ravel()), expected[:1], rtol=0, atol=1e-6)
    for wrong in (pictures * 2.0, pictures - 128.0, pictures.astype(int) * 257):
        with pytest.raises(ValueError, match=r"0\.\.1 or 0\.\.255\. Received: "):
            predict(wrong)


def test_numbers_below_0_pass_if_the_scaling_is_unknown() -> None:
    """Its network may have been trained on them."""
    model = Sequential([Input((784,)), L.Dense(10)])
    x = np.random.default_rng(0).normal(size=(2, 784)).astype("float32")
    assert np.allclose(run(render(model, "it.py"))["predict"](x), model.predict(x), atol=1e-5)


def test_no_two_modules_define_the_same_name() -> None:
    names = Counter[str]()
    for module in (functions, *MODULES):
        defined = set()
        for node in ast.parse(inspect.getsource(module)).body:
            targets = node.targets if isinstance(node, ast.Assign) else [node]
            for target in targets:
                name = getattr(target, "name", None) or getattr(target, "id", None)
                defined.add(name or getattr(getattr(target, "target", None), "id", None))
        names.update(name for name in defined if name)
    assert {name for name, count in names.items() if count > 1} <= {"Array", "SIDE"}
    assert {m.SIDE for m in MODULES if hasattr(m, "SIDE")} == {28}


def test_the_text_is_the_same_in_every_run() -> None:
    """Sets of strings have another order in each interpreter."""
    program = (
        "import hashlib, tinymnist\n"
        "from tinymnist.interop.standalone import render\n"
        "from tinymnist import c99\n"
        "model = tinymnist.load_model('lenet5')\n"
        "text = render(model, 'x.py', with_recipe=True) + c99.render(model, 'x.c')\n"
        "print(hashlib.sha256(text.encode()).hexdigest())"
    )
    found = set()
    for seed in "12":
        env = {**os.environ, "PYTHONHASHSEED": seed}
        command = [sys.executable, "-c", program]
        found.add(subprocess.run(command, env=env, capture_output=True, check=True).stdout)
    assert len(found) == 1


def test_class_names_stay_text(capsys: pytest.CaptureFixture[str]) -> None:
    evil = ['"""\'\nraise SystemExit(1)\n', "\\", "$file", "{x}", "é\u2028", "'", '"', ""]
    evil += ["a", "b"]
    model = classifier(L.Flatten(), L.Dense(10, activation="softmax"), shape=(28, 28, 1))
    model.metadata["class_names"] = evil
    model.metadata["preprocessing"]["recipe"] = "mnist"
    for with_recipe in (False, True):
        names = run(render(model, "it.py", with_recipe=with_recipe))
        assert names["CLASS_NAMES"] == evil and names["main"]([]) == 0
    assert names["main"]([str(SAMPLES[0])]) == 0
    found = capsys.readouterr().out.splitlines()[-1]
    assert found.strip()


@pytest.mark.skipif(shutil.which("ruff") is None, reason="ruff is not installed")
def test_the_file_passes_our_own_linter(tmp_path: Path) -> None:
    file = tmp_path / "it.py"
    tinymnist.export("mnist-cnn", file, with_recipe=True)
    config = Path(__file__).parents[2] / "pyproject.toml"
    for command in (["check"], ["format", "--check"]):
        ruff = ["ruff", *command, "--no-cache", "--config", str(config), str(file)]
        done = subprocess.run(ruff, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout


@pytest.mark.skipif("TINYMNIST_TESTDATA" not in os.environ, reason="no data of other people")
@pytest.mark.parametrize("folder", ["own", "own2", "multi"])
def test_other_peoples_pictures_are_read_as_predict_reads_them(folder: str) -> None:
    reader, names = Reader("lenet5"), digits()
    files = sorted((Path(os.environ["TINYMNIST_TESTDATA"]) / "data" / folder).rglob("*.*"))
    pictures = [str(file) for file in files if file.suffix not in (".csv", ".md", ".txt")]
    assert pictures
    for picture in pictures:
        try:
            expected = reader.predict(picture).probabilities
        except InputError as error:
            with pytest.raises(names["InputError"]) as found:
                names["read"](picture)
            assert str(found.value) == str(error)
        else:
            # Other BLAS kernels add in another order: up to 3.4e-6 where two classes are as likely.
            assert np.abs(names["read"](picture) - expected).max() <= 1e-5
