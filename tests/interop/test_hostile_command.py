"""``tinymnist convert`` on damaged and hostile files of every format: one line, code 2, no file."""

from __future__ import annotations

import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinymnist.cli import main
from tinymnist.interop import export
from tinymnist.interop.formats import ADVICE
from tinymnist.nn.layers import Dense, Flatten, ReLU
from tinymnist.nn.sequential import Input, Sequential

NEEDS = {"keras": "h5py", "h5": "h5py", "onnx": "onnx", "safetensors": "", "npz": "", "pt": ""}
MEGABYTE = 1 << 20


@pytest.fixture
def convert(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """Convert bytes, expect the refusal, and give its line."""

    def run(content: Any) -> Any:
        (tmp_path / "source").write_bytes(content)
        assert main(["convert", str(tmp_path / "source"), str(tmp_path / "new.npz")]) == 2
        printed = capsys.readouterr()
        assert not printed.out and printed.err.count("\n") == 1
        assert [place.name for place in tmp_path.iterdir()] == ["source"]
        return printed.err

    return run


@pytest.fixture
def small() -> Any:
    return Sequential([Input((6, 6, 1)), Flatten(), Dense(8), ReLU(), Dense(10)], rng=0)


def written(model: Any, suffix: str, folder: Any) -> Any:
    """A sound file of a format, as its writer makes it."""
    if NEEDS[suffix]:
        pytest.importorskip(NEEDS[suffix])
    path = folder / f"sound.{suffix}"
    if suffix == "npz":
        model.save(path)
    elif suffix == "pt":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("m/data.pkl", b"\x80\x02}X\x01\x00\x00\x00aK\x01s.")
            archive.writestr("m/data/0", bytes(400))
    else:
        export(model, path)
    return path.read_bytes()


@pytest.mark.parametrize("suffix", NEEDS)
def test_cut_off_anywhere(
    suffix: str, small: Any, convert: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The tests of each reader cut its files at every percent."""
    content = written(small, suffix, tmp_path_factory.mktemp("sound"))
    for percent in range(0, 100, 1 if suffix in ("npz", "onnx") else 5):
        convert(content[: len(content) * percent // 100])


def test_a_pickle_that_calls_the_system(convert: Any, tmp_path: Path) -> None:
    trap = b"cos\nsystem\n(S'touch " + str(tmp_path / "owned").encode() + b"'\ntR."
    assert "it calls os.system" in convert(b"\x80\x02" + trap)
    with zipfile.ZipFile(tmp_path / "source", "w") as archive:
        archive.writestr("m/data.pkl", b"\x80\x02" + trap)
    assert "os.system" in convert((tmp_path / "source").read_bytes())


@pytest.mark.parametrize("entry", ["m/data.pkl", "config.json", "manifest.json"])
def test_zip_bombs(entry: Any, convert: Any, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "source", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("metadata.json", "{}")
        archive.writestr(entry, b" " * (64 * MEGABYTE))
    content = (tmp_path / "source").read_bytes()
    assert len(content) < MEGABYTE
    tracemalloc.start()
    convert(content)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40 * MEGABYTE


def test_hdf5_with_an_absurd_shape(convert: Any, tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "source", "w") as file:
        shape = (1 << 20, 1 << 20)
        file.create_dataset("dense_1/dense_1/kernel:0", shape, np.float32, chunks=(1024, 1024))
        file.attrs["layer_names"] = [b"dense_1"]
        file["dense_1"].attrs["weight_names"] = [b"dense_1/kernel:0"]
    assert "0 bytes in the file" in convert((tmp_path / "source").read_bytes())


def test_an_onnx_graph_in_a_circle(convert: Any) -> None:
    onnx = pytest.importorskip("onnx")
    helper = onnx.helper
    nodes = [helper.make_node("Add", ["x", "b"], ["a"]), helper.make_node("Relu", ["a"], ["b"])]
    ports = [helper.make_tensor_value_info(name, 1, ["n", 1, 28, 28]) for name in "xb"]
    graph = helper.make_graph(nodes, "g", ports[:1], ports[1:])
    assert "in a circle" in convert(helper.make_model(graph).SerializeToString())


def test_what_is_refused_says_what_to_do() -> None:
    assert all(len(advice) > 10 and "\n" not in advice for advice in ADVICE.values())
