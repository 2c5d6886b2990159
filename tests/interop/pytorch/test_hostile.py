"""Files from strangers: no code is run, memory and time stay bounded, the refusal is clear."""

from __future__ import annotations

import resource
import struct
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinymnist import InputError
from tinymnist.interop import open_model

TRUTH = "weights.pt"


@pytest.fixture
def opened(tmp_path: Path) -> Any:
    def attempt(data: Any) -> Any:
        path = tmp_path / TRUTH
        path.write_bytes(data)
        return open_model(path)

    return attempt


def refused(opened: Any, data: Any) -> Any:
    with pytest.raises(InputError) as caught:
        opened(data)
    message = str(caught.value)
    assert "\n" not in message and len(message) < 1200
    return message


CALLS = [
    ("os", "system", b"(X\x04\x00\x00\x00exittR"),
    ("posix", "system", b"(X\x04\x00\x00\x00exittR"),
    ("builtins", "eval", b"(X\x01\x00\x00\x001tR"),
    ("builtins", "getattr", b"(NX\x01\x00\x00\x00atR"),
    ("subprocess", "Popen", b"(X\x01\x00\x00\x00atR"),
    ("torch", "load", b"(X\x01\x00\x00\x00atR"),
    ("subprocess", "Popen", b")\x81}b"),
    ("os", "system", b""),
]


@pytest.mark.parametrize(("module", "attribute", "use"), CALLS)
@pytest.mark.parametrize("kind", ["zipped", "legacy"])
def test_every_name_but_tensors_is_refused_by_name(
    kind: Any,
    module: Any,
    attribute: Any,
    use: Any,
    opened: Any,
    mlp: Any,
    opcodes: Any,
    request: pytest.FixtureRequest,
) -> None:
    trap = opcodes["Raw"](opcodes["name"](module, attribute) + use)
    data = request.getfixturevalue(kind)(mlp | {"trap": trap})
    assert f"{module}.{attribute}" in refused(opened, data)


def test_opcodes_that_weights_do_not_need(opened: Any, opcodes: Any) -> None:
    for code in (b"\x82\x01", b"i__builtin__\neval\n", b"Pnumber\n"):
        message = refused(opened, opcodes["zip_of"](b"\x80\x02" + code + b".", {}))
        assert "opcode" in message or "damaged" in message


def test_a_memo_index_costs_no_memory(opened: Any, opcodes: Any) -> None:
    code = b"\x80\x02}r" + struct.pack("<I", 0xFFFFFFFF) + b"."
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused(opened, opcodes["zip_of"](code, {}))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # kB


def test_a_pickle_of_too_many_steps(
    opened: Any, opcodes: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tinymnist.limits.STEPS", 20_000)
    many = b"\x80\x02" + b"N0" * 10_000 + b"."
    assert "limits.STEPS=20,000" in refused(opened, opcodes["zip_of"](many, {}))


def test_deep_nesting(opened: Any, opcodes: Any) -> None:
    refused(opened, opcodes["zip_of"](b"\x80\x02" + b"]" * 90_000 + b"a" * 89_999 + b".", {}))
    refused(opened, opcodes["zip_of"](b"\x80\x02}" + b")" + b"\x85" * 90_000 + b"Ns.", {}))


def test_a_zip_bomb(opened: Any, zipped: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tinymnist.limits.ARRAY_BYTES", 1 << 25)
    big = np.zeros((17 << 10, 1 << 10), "f4")  # 68 MiB
    bomb = zipped({"fc.weight": big}, compression=zipfile.ZIP_DEFLATED)
    del big
    assert len(bomb) < 1 << 20
    assert "would take" in refused(opened, bomb)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"count": 1 << 30}, "should have"),
        ({"shape": (1 << 20, 1 << 11)}, "tensor of size"),
        ({"shape": (784, 10), "strides": (1 << 20, 1)}, "on a storage of"),
        ({"offset": 1}, "on a storage of"),
        ({"offset": -1}, "tensor of size"),
        ({"shape": (0, 1 << 30, 1 << 30)}, "tensor of size"),
        ({"shape": (10,) * 9}, "tensor of size"),
    ],
)
def test_tensors_of_invalid_sizes(change: Any, message: str, opened: Any, opcodes: Any) -> None:
    writer = opcodes["Writer"]()
    code = writer.tensor(np.zeros((10, 784), "f4"), **change)
    value = {"fc.weight": opcodes["Raw"](code)}
    assert message in refused(opened, opcodes["zip_of"](writer.dump(value), writer.storages))


@pytest.mark.parametrize("kind", ["zipped", "legacy", "pickled"])
def test_truncated_at_every_hundredth(
    kind: Any, opened: Any, mlp: Any, request: pytest.FixtureRequest
) -> None:
    data = request.getfixturevalue(kind)(mlp)
    for percent in range(100):
        refused(opened, data[: len(data) * percent // 100])


@pytest.mark.parametrize("kind", ["zipped", "legacy", "pickled"])
def test_damaged_bytes_are_refused_or_do_no_harm(
    kind: Any, opened: Any, mlp: Any, request: pytest.FixtureRequest
) -> None:
    small = {"fc.weight": np.ones((3, 64), "f4"), "fc.bias": np.ones(3, "f4")}
    data = request.getfixturevalue(kind)(small)
    rng = np.random.default_rng(0)
    modules = set(sys.modules)
    outcomes = set()
    for _ in range(400):
        spoiled = bytearray(data)
        for place in rng.integers(0, len(data), rng.integers(1, 4)):
            spoiled[place] = rng.integers(256)
        try:
            opened(bytes(spoiled))
            outcomes.add("opened")
        except InputError:
            outcomes.add("refused")
    assert outcomes == {"opened", "refused"}
    assert not set(sys.modules) - modules
