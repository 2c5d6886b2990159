from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinymnist import InputError
from tinymnist.interop import open_model
from tinymnist.interop.pytorch import read_tensors
from tinymnist.interop.sniffing import Format, sniff


@pytest.fixture
def saved(tmp_path: Path) -> Any:
    def save(data: Any, name: str = "weights.bin") -> Any:
        (tmp_path / name).write_bytes(data)
        return tmp_path / name

    return save


def perceptron(x: Any, state: Any) -> Any:
    hidden = np.maximum(x.reshape(len(x), -1) @ state["fc1.weight"].T + state["fc1.bias"], 0)
    return hidden @ state["fc2.weight"].T + state["fc2.bias"]


@pytest.mark.parametrize("kind", ["zipped", "legacy"])
def test_a_state_dict_computes_what_its_matrices_do(
    kind: Any, mlp: Any, saved: Any, request: pytest.FixtureRequest
) -> None:
    path = saved(request.getfixturevalue(kind)(mlp))
    assert sniff(path) is (Format.TORCH_ZIP if kind == "zipped" else Format.TORCH_LEGACY)
    model = open_model(path)
    x = np.random.default_rng(1).random((3, 28, 28, 1)).astype("f4")
    assert model.predict(x) == pytest.approx(perceptron(x, mlp), rel=1e-5, abs=1e-5)
    assert [layer.name for layer in model.layers if layer.weights] == ["fc1", "fc2"]
    assert "weights.bin" in model.metadata["source"]


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: {
            "epoch": 3,
            "model_state_dict": state,
            "optimizer_state_dict": {"state": {}},
        },
        lambda state: {"state_dict": {f"module.{k}": v for k, v in state.items()}, "best": 0.5},
        lambda state: {"anything": state, "loss": [1.0, 0.5], "args": None},
        lambda state: {"model": state, "ema": state},
    ],
)
def test_the_state_dict_is_found_in_a_checkpoint(
    wrap: Any, mlp: Any, zipped: Any, saved: Any
) -> None:
    tensors, _ = read_tensors(saved(zipped(wrap(mlp))))
    found = {name.removeprefix("module."): array for name, array in tensors.items()}
    assert found.keys() == mlp.keys()
    assert all(np.array_equal(found[name], mlp[name]) for name in mlp)


def test_several_state_dicts_are_not_chosen_from(mlp: Any, zipped: Any, saved: Any) -> None:
    with pytest.raises(InputError, match=r"several sets of tensors: \['generator', 'critic'\]"):
        open_model(saved(zipped({"generator": mlp, "critic": mlp})))


def test_numbers_of_other_widths(zipped: Any, saved: Any) -> None:
    values = np.array([0.5, -2.0, 1.0])
    bfloat = (values.astype("f4").view("u4") >> 16).astype("u2")
    state = {"double": values, "half": values.astype("f2"), "bfloat": bfloat}
    tensors, _ = read_tensors(saved(zipped(state)))
    assert all(np.array_equal(array, values) for array in tensors.values())


def test_a_big_endian_file(mlp: Any, zipped: Any, saved: Any) -> None:
    swapped = {name: array.astype(">f4") for name, array in mlp.items()}
    tensors, _ = read_tensors(saved(zipped(swapped, extra=[("archive/byteorder", "big")])))
    assert all(np.array_equal(tensors[name], mlp[name]) for name in mlp)


def test_windows_and_transposes_of_a_storage(opcodes: Any, saved: Any) -> None:
    writer, data = opcodes["Writer"](), np.arange(20, dtype="f4")
    code = writer.tensor(data, offset=2, shape=(3, 4), strides=(1, 4))
    value = {"a": opcodes["Raw"](code)}
    tensors, _ = read_tensors(saved(opcodes["zip_of"](writer.dump(value), writer.storages)))
    assert np.array_equal(tensors["a"], data[2:18].reshape(4, 4)[:, :3].T)


def test_a_pickled_module_gives_its_tensors(mlp: Any, opcodes: Any, saved: Any) -> None:
    Raw, writer, name = opcodes["Raw"], opcodes["Writer"](), opcodes["name"]

    def module(kind: Any, parameters: Any, modules: Any) -> Any:
        state = {"_parameters": parameters, "_buffers": {}, "_modules": modules, "training": False}
        return Raw(kind + b")\x81" + writer.code(state) + b"b")

    linear = name("torch.nn.modules.linear", "Linear")
    parts = {
        part: module(linear, {leaf: mlp[f"{part}.{leaf}"] for leaf in ("weight", "bias")}, {})
        for part in ("fc1", "fc2")
    }
    net = module(name("__main__", "Net"), {}, parts)
    tensors, _ = read_tensors(saved(opcodes["zip_of"](writer.dump(net), writer.storages)))
    assert all(np.array_equal(tensors[key], mlp[key]) for key in mlp)


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"rnn.weight_ih_l0": (4, 28), "fc.weight": (10, 4)}, "rnn is recurrent"),
        ({"fc.zero_point": (1,), "fc.weight": (10, 784)}, "fc is quantisation"),
        ({"a.in_proj_weight": (4, 4)}, "a is attention"),
        ({"conv.weight": (8, 1, 3), "fc.weight": (10, 8)}, "conv has a weight of shape"),
        ({"w": (784, 10)}, "not a known module"),
    ],
)
def test_what_cannot_be_mapped_is_refused_by_name(
    state: Any, message: str, zipped: Any, saved: Any
) -> None:
    arrays = {name: np.zeros(shape, "f4") for name, shape in state.items()}
    with pytest.raises(InputError, match=message):
        open_model(saved(zipped(arrays)))


def test_whole_numbers_are_no_weights(zipped: Any, saved: Any) -> None:
    with pytest.raises(InputError, match="fc holds int64 numbers"):
        open_model(saved(zipped({"fc.weight": np.zeros((10, 784), "i8")})))


def test_pruned_weights_are_masked(zipped: Any, saved: Any) -> None:
    rng = np.random.default_rng(0)
    weight, mask = rng.normal(size=(10, 784)).astype("f4"), (rng.random((10, 784)) < 0.5)
    path = saved(zipped({"fc.weight_orig": weight, "fc.weight_mask": mask.astype("f4")}))
    assert np.array_equal(open_model(path).weights["fc/kernel"], (weight * mask).T)


def test_several_architectures_are_listed_and_one_is_picked(zipped: Any, saved: Any) -> None:
    shapes = {"0.weight": (6, 1, 5, 5), "3.weight": (16, 6, 5, 5), "7.weight": (10, 400)}
    path = saved(zipped({k: np.ones(s, "f4") for k, s in shapes.items()}))
    with pytest.raises(InputError, match=r"2 architectures fit.*1\) input 28x28x1.*2\) input 32"):
        open_model(path)
    assert open_model(path, plan=1).input_shape == (28, 28, 1)
    assert open_model(path, plan=2).input_shape == (32, 32, 1)
    with pytest.raises(InputError, match="there is no plan 3; expected 1 to 2"):
        open_model(path, plan=3)


def test_networks_written_by_hand(zipped: Any, saved: Any) -> None:
    rng = np.random.default_rng(2)
    shapes = {"W1": (784, 20), "b1": (20,), "W2": (20, 10), "b2": (10,)}
    state = {name: rng.normal(size=shape).astype("f4") / 9 for name, shape in shapes.items()}
    x = rng.random((2, 28, 28, 1)).astype("f4")
    hidden = np.maximum(x.reshape(2, -1) @ state["W1"] + state["b1"], 0)
    found = open_model(saved(zipped(state))).predict(x)
    assert found == pytest.approx(hidden @ state["W2"] + state["b2"], rel=1e-4, abs=1e-4)


@pytest.mark.parametrize("protocol", [2, 4])
def test_pickled_arrays_are_weights(protocol: int, mlp: Any, saved: Any) -> None:
    """As a book and its readers keep them: matrices (in, out), in any order and of any float."""
    arrays: dict[str, Any] = {}
    for number, (kernel, bias) in enumerate(zip(*[iter(mlp.values())] * 2, strict=True), 1):
        arrays[f"b{number}"] = bias.astype("f8")
        arrays[f"W{number}"] = kernel.T if number == 1 else np.ascontiguousarray(kernel.T)
    found = open_model(saved(pickle.dumps(arrays, protocol))).get_weights()
    for array, expected in zip(found, mlp.values(), strict=True):
        assert np.array_equal(array, expected.T)
    with pytest.raises(InputError, match=r"in place of an array of floats; expected NumPy's"):
        open_model(saved(pickle.dumps({"W1": np.array(["a"])}, protocol)))
