"""Weights files: what is saved comes back, what was tampered with does not come in."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinymnist.errors import InputError
from tinymnist.nn.architectures import ARCHITECTURES
from tinymnist.nn.layers import Add, BatchNormalization, Conv2D, Dense, Flatten, Rescaling
from tinymnist.nn.sequential import Input, Sequential, load_model
from tinymnist.nn.weights import VERIFY_TOLERANCE, shipped, verify


def branched(dtype: str = "float32") -> Any:
    model = Sequential(
        [Input((6, 6, 1)), Rescaling(2.0), Conv2D(3, 3, padding="same", name="a"),
         Conv2D(3, 3, padding="same", name="b"), BatchNormalization(), Add(name="sum"),
         Flatten(), Dense(4, activation="softmax")],
        wiring={"b": ["rescaling"], "sum": ["a", "batch_normalization"]},
        dtype=dtype,
        rng=0,
        name="branched",
    )  # fmt: skip
    norm: Any = model.get_layer("batch_normalization")
    norm.moving_mean[:] = [1, 2, 3]
    model.metadata = {
        "class_names": ["a", "b", "c", "d"],
        "preprocessing": {"recipe": "none"},
        "source": "a test",
        "metrics": {"set": {"n": 3, "accuracy": 0.5}},
    }
    return model


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Any:
    path = tmp_path_factory.mktemp("weights") / "model.npz"
    branched().save(path)
    return path


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_is_saved_comes_back(tmp_path: Path, dtype: str) -> None:
    model, path = branched(dtype), tmp_path / "model.npz"
    model.save(path)
    again = load_model(path)
    x = np.random.default_rng(0).random((3, 6, 6, 1))
    assert np.array_equal(again.predict(x), model.predict(x))
    assert again.dtype == model.dtype
    assert again.wiring == model.wiring
    assert again.metadata == model.metadata
    assert again.name == "branched"
    again.compile()
    again.fit(x, np.array([0, 1, 2]), verbose=0)  # and it can learn on


def test_the_same_model_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in "ab":
        branched().save(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert sorted(os.listdir(tmp_path)) == ["a", "b"]  # no temporary file is left


def test_a_file_that_numpy_opens(saved: Any) -> None:
    with np.load(saved) as archive:
        assert archive["weights/a/kernel"].shape == (3, 3, 1, 3)
        assert archive["sample/input"].shape == (1, 6, 6, 1)


def test_verify_replays_every_layer(saved: Any) -> None:
    deviations = verify(saved)
    assert list(deviations) == ["input", *(layer.name for layer in branched())]
    assert max(deviations.values()) <= VERIFY_TOLERANCE


def test_shipped_files_are_sound_and_what_they_are_said_to_be() -> None:
    files = shipped()
    assert files.keys() == ARCHITECTURES.keys()
    for name, path in files.items():
        assert max(verify(path).values()) <= VERIFY_TOLERANCE
        model = load_model(name)
        assert model.name == name
        assert model.metadata["class_names"] == list("0123456789")
        assert model.metadata["metrics"]["mnist-test"]["n"] == 10_000
        own = ARCHITECTURES[name]()
        assert [layer.config() for layer in model] == [layer.config() for layer in own]


def test_the_floors_of_the_shipped_models() -> None:
    """The figures in the files; test_accuracy measures them where MNIST is at hand."""
    figures = {
        name: load_model(name).metadata["metrics"]["mnist-test"]["accuracy"] for name in shipped()
    }
    assert figures["mnist-cnn"] >= 0.996
    assert figures["lenet5"] >= 0.989
    assert figures["mlp"] >= 0.98
    assert sum(array.size for array in load_model("mnist-cnn").weights.values()) <= 150_000


def content_hash(manifest: Any, arrays: Any) -> Any:
    """What the format says, written a second time."""
    content = json.dumps(manifest, sort_keys=True).encode()
    for name in sorted(arrays):
        content += name.encode() + arrays[name].tobytes()
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def rewritten(
    saved: Any, path: Any, change: Any = lambda manifest, arrays: None, *, honest: bool = True
) -> Any:
    """A copy of the file after ``change(manifest, arrays)``; honest ones carry a new hash."""
    with zipfile.ZipFile(saved) as archive:
        manifest = json.loads(archive.read("manifest.json"))
        arrays = {
            name.removesuffix(".npy"): np.load(io.BytesIO(archive.read(name)))
            for name in archive.namelist()
            if name.endswith(".npy")
        }
    change(manifest, arrays)
    if honest:
        manifest["arrays"] = {n: [str(a.dtype), list(a.shape)] for n, a in arrays.items()}
        manifest.pop("content_hash")
        manifest["content_hash"] = content_hash(manifest, arrays)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("manifest.json", json.dumps(manifest))
        for name, array in arrays.items():
            buffer = io.BytesIO()
            np.save(buffer, array, allow_pickle=True)
            archive.writestr(f"{name}.npy", buffer.getvalue())
    return path


def test_a_faithful_copy_is_accepted(saved: Any, tmp_path: Path) -> None:
    verify(rewritten(saved, tmp_path / "copy.npz"))
    verify(rewritten(saved, tmp_path / "copy.npz", honest=False))


DISHONEST = {
    "one bit of a weight": (
        lambda m, a: a["weights/a/bias"].view(np.uint32).__ixor__(1),
        "was changed after it was written",
    ),
    "a class name": (lambda m, a: m["class_names"].reverse(), "was changed after"),
    "an array too few": (lambda m, a: a.pop("weights/b/bias"), "holds other arrays"),
    "an array too many": (lambda m, a: a.update(x=np.zeros(1)), r"holds other arrays.*\['x'\]"),
    "another dtype": (
        lambda m, a: a.update({"weights/a/bias": a["weights/a/bias"].astype(float)}),
        "holds other arrays",
    ),
}

HONEST = {
    "another format": (lambda m, a: m.update(format="weights 9"), "expected format 'tinymnist"),
    "an unknown key": (lambda m, a: m.update(code="x"), r"\['code'\]"),
    "a missing key": (lambda m, a: m.pop("layers"), r"lacks \['layers'\]"),
    "an unknown layer": (
        lambda m, a: m["layers"][0].update({"class": "Eval"}),
        "class must be one",
    ),
    "an unknown setting": (lambda m, a: m["layers"][1].update(x=1), "Conv2D cannot be made"),
    "a layer's name that is a number": (
        lambda m, a: m["layers"][1].update(name=1e308),
        "name must be a text",
    ),
    "a layer that is no object": (lambda m, a: m.update(layers=[3]), "a list of objects"),
    "another shape": (
        lambda m, a: a.update({"weights/a/kernel": np.zeros((3, 3, 2, 3), np.float32)}),
        "a must hold .* here",
    ),
    "a missing array": (lambda m, a: a.pop("weights/b/kernel"), "b has no"),
    "an array for nobody": (
        lambda m, a: a.update({"weights/zzz/kernel": np.zeros(1, np.float32)}),
        r"no layer takes: \['weights/zzz/kernel'\]",
    ),
    "a circle": (lambda m, a: m["wiring"].update(a=["sum"]), "must take outputs that come before"),
    "an input of terabytes": (
        lambda m, a: m.update(input_shape=[6, 6, 10**12]),
        "must hold .* here|more than",
    ),
    "a sample too few": (lambda m, a: a.pop("sample/sum"), r"no sample output of \['sum'\]"),
}


@pytest.mark.parametrize("attack", DISHONEST)
def test_what_was_changed_is_noticed(saved: Any, tmp_path: Path, attack: Any) -> None:
    change, message = DISHONEST[attack]
    path = rewritten(saved, tmp_path / "bad.npz", change, honest=False)
    with pytest.raises(InputError, match=message) as refusal:
        load_model(path)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("attack", HONEST)
def test_what_does_not_fit_is_refused_although_the_hash_is_right(
    saved: Any, tmp_path: Path, attack: Any
) -> None:
    change, message = HONEST[attack]
    path = rewritten(saved, tmp_path / "bad.npz", change)
    with pytest.raises(InputError, match=message) as refusal:
        verify(path)
    assert "\n" not in str(refusal.value)


def test_pickles_are_never_loaded(saved: Any, tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(tmp_path / "owned"),)

    def plant(manifest: Any, arrays: Any) -> None:
        arrays["weights/a/bias"] = np.array([Evil()], dtype=object)

    path = rewritten(saved, tmp_path / "evil.npz", plant, honest=False)
    with pytest.raises(InputError, match=r"weights/a/bias in .* cannot be read as an array"):
        load_model(path)
    (tmp_path / "pickle.npz").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(InputError, match="as a weights file"):
        load_model(tmp_path / "pickle.npz")
    assert not (tmp_path / "owned").exists()


def test_a_zip_bomb_is_refused_before_it_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tinymnist.limits.ARRAY_BYTES", 1 << 24)
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.json", "{}")
        archive.writestr("big.npy", bytes(1 << 25))
    assert path.stat().st_size < 1e5
    with pytest.raises(InputError, match=r"would take .* bytes.*limits\.ARRAY_BYTES"):
        load_model(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "as a weights file"), (b"PK\x03\x04", "as a weights file"),
     (b"hello", "as a weights file")],
)  # fmt: skip
def test_other_files_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "bad.npz"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        load_model(path)


def test_an_npz_of_another_program_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", kernel=np.zeros(3))
    with pytest.raises(InputError, match=r"without manifest\.json"):
        load_model(tmp_path / "other.npz")


def test_what_is_not_there_is_refused_with_the_known_names(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"one of \['keras-cnn', 'lenet5', 'mlp', 'mnist-cnn'\]"):
        load_model("mnist-cmm")
    with pytest.raises(InputError, match="Is a directory"):
        load_model(tmp_path)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_damaged_file_is_refused_or_still_right(saved: Any, data: Any) -> None:
    """Any byte changed, any cut: an InputError, or the very same model (a byte nobody reads)."""
    content = bytearray(saved.read_bytes())
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(0, len(content) - 1))]
    else:
        position = data.draw(st.integers(0, len(content) - 1))
        content[position] ^= data.draw(st.integers(1, 255))
    damaged = saved.with_name("damaged.npz")
    damaged.write_bytes(content)
    try:
        model = load_model(damaged)
    except InputError as error:
        assert "\n" not in str(error)
    else:
        expected = branched().weights
        assert all(np.array_equal(a, expected[n]) for n, a in model.weights.items())


def test_saving_to_nowhere_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot write .*No such file"):
        branched().save(tmp_path / "nowhere" / "model.npz")
    assert os.listdir(tmp_path) == []


def test_a_save_that_fails_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model.npz"
    path.write_bytes(b"precious")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(zipfile.ZipFile, "writestr", full)
    with pytest.raises(InputError, match=r"cannot write .*No space left on device"):
        branched().save(path)
    assert path.read_bytes() == b"precious"
    assert os.listdir(tmp_path) == ["model.npz"]


def test_metadata_of_unknown_kinds_are_refused(tmp_path: Path) -> None:
    model = branched()
    model.metadata["licence"] = "MIT"
    with pytest.raises(ValueError, match=r"Received: \['licence'\]"):
        model.save(tmp_path / "model.npz")
