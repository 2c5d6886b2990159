"""Files that are damaged or mean harm: one clear sentence, little memory, no code run."""

from __future__ import annotations

import contextlib
import io
import json
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinymnist.errors import InputError
from tinymnist.interop import keras

MEGABYTE = 1 << 20


@pytest.fixture
def whole(made: Any) -> Any:
    """A sound .h5 file."""
    told = {"keras_version": "2.4.0", "backend": "tensorflow"}
    stored = made.stored(made.weights_of(made.network()))
    return made.h5(made.sequential(made.layers(**made.BATCH)), stored, attributes=told)


@pytest.fixture
def zipped(made: Any) -> Any:
    """A sound .keras file."""
    arrays = made.weights_of(made.network())
    names = {"conv2d": "conv_a", "conv2d_1": "conv_b", "dense": "dense_a", "dense_1": "dense_b"}
    groups = {f"layers/{group}": arrays[layer] for group, layer in names.items()}
    return made.keras_zip(made.sequential(made.layers(**made.BATCH)), groups)


@pytest.mark.parametrize("kind", ["whole", "zipped"])
def test_cut_off_at_every_percent(
    kind: Any, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    content = request.getfixturevalue(kind)
    path = tmp_path / "cut"
    for percent in range(100):
        path.write_bytes(content[: len(content) * percent // 100])
        with pytest.raises(InputError) as refusal:
            keras.read(path)
        assert "\n" not in str(refusal.value)
        assert "cut" in str(refusal.value)
    assert [p.name for p in tmp_path.iterdir()] == ["cut"]


def test_bytes_changed_at_random_never_surprise(whole: Any, zipped: Any, tmp_path: Path) -> None:
    """Either refused, or read: no other exception leaves the reader."""
    rng = np.random.default_rng(0)
    path = tmp_path / "changed"
    for content in (whole, zipped):
        for _ in range(40):
            changed = bytearray(content)
            text = content.find(b"class_name")
            places = [*rng.integers(0, 4096, 2), text + int(rng.integers(0, 600))]
            for place in places:
                changed[place] = rng.integers(256)
            path.write_bytes(bytes(changed))
            with contextlib.suppress(InputError):
                keras.read(path)


def h5_with(made: Any, fill: Any) -> Any:
    """An .h5 file of the network in which ``fill(group)`` writes the first layer's kernel."""
    stored = made.stored(made.weights_of(made.network()))
    told = {"keras_version": "2.4.0", "backend": "tensorflow"}
    content = made.h5(made.sequential(made.layers(**made.BATCH)), stored, attributes=told)
    buffer = io.BytesIO(content)
    with made.h5py.File(buffer, "r+") as file:
        group = file["model_weights/conv_a/conv_a"]
        del group["kernel:0"]
        fill(group)
    return buffer.getvalue()


def test_an_absurd_shape_is_not_allocated(made: Any, read: Any) -> None:
    def fill(group: Any) -> None:
        group.create_dataset("kernel:0", (1 << 20, 1 << 20), np.float32, chunks=(1024, 1024))

    tracemalloc.start()
    with pytest.raises(InputError, match=r"the array .* 0 bytes in the file, would take"):
        read(h5_with(made, fill))
    assert tracemalloc.get_traced_memory()[1] < 20 * MEGABYTE
    tracemalloc.stop()


def test_an_array_that_unpacks_to_far_more_is_refused(
    made: Any, read: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tinymnist.limits.ARRAY_BYTES", 1 << 20)

    def fill(group: Any) -> None:
        zeros = np.zeros((3000, 1000), np.float32)
        group.create_dataset("kernel:0", data=zeros, compression="gzip")

    with pytest.raises(InputError, match="would take 12,000,000 bytes"):
        read(h5_with(made, fill))


@pytest.mark.parametrize("kind", ["SoftLink", "ExternalLink"])
def test_links_are_not_followed(kind: Any, made: Any, read: Any) -> None:
    def fill(group: Any) -> None:
        links = {"SoftLink": made.h5py.SoftLink("/model_weights/conv_b"),
                 "ExternalLink": made.h5py.ExternalLink("/etc/passwd", "/x")}  # fmt: skip
        group["kernel:0"] = links[kind]

    with pytest.raises(InputError, match="has a link to elsewhere"):
        read(h5_with(made, fill))


def test_arrays_in_other_files_are_refused(made: Any, read: Any, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(bytes(144))

    def outside(group: Any) -> None:
        group.create_dataset(
            "kernel:0", (3, 3, 1, 4), np.float32, external=[(str(tmp_path / "secret"), 0, 144)]
        )

    def virtual(group: Any) -> None:
        layout = made.h5py.VirtualLayout((3, 3, 1, 4), np.float32)
        layout[:] = made.h5py.VirtualSource(str(tmp_path / "other.h5"), "x", (3, 3, 1, 4))
        group.create_virtual_dataset("kernel:0", layout)

    for fill in (outside, virtual):
        with pytest.raises(InputError, match="in another file"):
            read(h5_with(made, fill))


def test_texts_in_place_of_numbers_are_refused(made: Any, read: Any) -> None:
    with pytest.raises(InputError, match="other than numbers"):
        read(h5_with(made, lambda group: group.create_dataset("kernel:0", data="os.system")))


def test_groups_that_hold_themselves_end(made: Any, read: Any) -> None:
    def fill(group: Any) -> None:
        group["again"] = group

    with pytest.raises(InputError, match="lacks the array"):
        read(h5_with(made, fill))


def bomb(**parts: Any) -> Any:
    """A .keras file whose parts are compressed."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name.replace("__", "."), content)
    return buffer.getvalue()


def test_a_zip_that_unpacks_to_far_more_is_refused(read: Any) -> None:
    content = bomb(config__json=b" " * (1 << 25), model__weights__h5=b"")
    tracemalloc.start()
    with pytest.raises(InputError, match=r"config\.json in .* expected at most"):
        read(content)
    assert tracemalloc.get_traced_memory()[1] < 40 * MEGABYTE
    tracemalloc.stop()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (b"{" * 100_000, "is not JSON, or is damaged"),
        (b"[" * 100_000, "is not JSON, or is damaged"),
        (b"[]", "not an object"),
        (b"\xff\xfe", "utf-8"),
        (b"{}", "of the class 'None'"),
    ],
)
def test_configurations_that_are_none(config: Any, message: str, read: Any) -> None:
    with pytest.raises(InputError, match=message):
        read(bomb(config__json=config, model__weights__h5=b""))


def test_models_nested_without_end_are_refused(read: Any) -> None:
    config = {"class_name": "ReLU", "config": {}}
    for _ in range(100):
        config = {"class_name": "Sequential", "config": {"layers": [config]}}
    with pytest.raises(InputError, match="nests models"):
        read(bomb(config__json=json.dumps(config), model__weights__h5=b""))


@pytest.mark.parametrize(
    "settings",
    [
        {"padding": 10**9},
        {"padding": [[10**9, 0], [0, 10**9]]},
        {"padding": -5},
        {"padding": "x"},
        {"padding": None},
        {"padding": {"top_pad": 1e300}},
    ],
)
def test_absurd_settings_are_refused(settings: Any, made: Any, read: Any) -> None:
    first = {"name": "z", "batch_input_shape": [None, 28, 28, 1], **settings}
    config = made.sequential([("ZeroPadding2D", first)])
    with pytest.raises(InputError):
        read(made.h5(config, [("z", [])]))


@pytest.mark.parametrize("shape", [[0, 28, 1], [10**9, 10**9, 1], [-1, 28, 1], ["a", 28, 1], [{}]])
def test_absurd_inputs_are_refused(shape: Any, made: Any, read: Any) -> None:
    config = made.sequential([("Flatten", {"name": "f", "batch_input_shape": [None, *shape]})])
    with pytest.raises(InputError):
        read(made.h5(config, [("f", [])]))


def test_a_lambda_is_named_and_not_unmarshalled(
    made: Any, read: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import marshal
    import pickle

    def alarm(*arguments: Any, **settings: Any) -> None:
        raise AssertionError("code of the file was touched")

    monkeypatch.setattr(marshal, "loads", alarm)
    monkeypatch.setattr(pickle, "loads", alarm)
    code = {"class_name": "__lambda__", "config": {"code": "4wEAAAAAAAAA", "defaults": None}}
    listed = [("Lambda", {"name": "evil", **made.BATCH, "function": code})]
    with pytest.raises(InputError, match="'evil' is a Lambda"):
        read(made.h5(made.sequential(listed), [("evil", [])]))


def test_hdf5_without_a_model_and_files_that_are_not_hdf5(
    made: Any, read: Any, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="without a Keras model or its weights"):
        read(made.h5(None, [], root=""))
    with pytest.raises(InputError, match="as an HDF5 file"):
        read(b"\x89HDF\r\n\x1a\n" + bytes(100))
    with pytest.raises(InputError, match="cannot read"):
        keras.read(tmp_path / "missing.h5")
    with pytest.raises(InputError, match=r"without config\.json"):
        read(bomb(other=b""))


def test_defined_layers_take_neither_architecture_nor_plan(
    whole: Any, zipped: Any, read: Any
) -> None:
    for content in (whole, zipped):
        with pytest.raises(InputError, match="drop --architecture"):
            read(content, architecture="mlp")
        with pytest.raises(InputError, match="drop --plan"):
            read(content, plan=1)


def test_without_h5py_the_hint_says_what_to_install(
    whole: Any, read: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(InputError, match="pip install h5py"):
        read(whole)
