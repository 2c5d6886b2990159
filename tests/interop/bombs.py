"""Small files that ask for gigabytes or hours, made by code: ``python -m tests.interop.bombs``.

Each must be refused in one line, quickly and in little memory. The program opens them one after
another below a limit of memory, and prints a line of JSON for each.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.mutations import graphs
from tests.bombs import open_all

MOST_BYTES = 1 << 30
"""Address space beyond what the imports take."""
Maker = Callable[[Path], Path]
BOMBS: dict[str, tuple[Maker, str]] = {}
"""Every bomb: the function that makes it in a folder, and what opens it."""


def bomb(opener: str = "model", needs: str = "") -> Callable[[Maker], Maker]:
    """Put a maker into the table, unless a package is missing."""

    def register(make: Maker) -> Maker:
        import importlib.util

        if not needs or importlib.util.find_spec(needs) is not None:
            BOMBS[make.__name__] = make, opener
        return make

    return register


# --- weights files of tinymnist -------------------------------------------------------------------


def packed(path: Path, parts: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return path


def npz(folder: Path, layers: list[dict[str, Any]], **changes: Any) -> Path:
    """A weights file without arrays whose hash is right."""
    from tinymnist.nn.weights import FORMAT, content_hash

    manifest = {
        "format": FORMAT, "name": "m", "dtype": "float32", "input_shape": [28, 28, 1],
        "layers": layers, "wiring": {}, "arrays": {},
    } | changes  # fmt: skip
    manifest["content_hash"] = content_hash(manifest, {})
    return packed(folder / "m.npz", {"manifest.json": json.dumps(manifest).encode()})


@bomb()
def npz_manifest_of_64_megabytes(folder: Path) -> Path:
    return packed(folder / "m.npz", {"manifest.json": b" " * (1 << 26)})


@bomb()
def npz_manifest_nested(folder: Path) -> Path:
    return packed(folder / "m.npz", {"manifest.json": b"[" * 1_000_000})


@bomb()
def npz_that_states_a_terabyte(folder: Path) -> Path:
    path = packed(folder / "m.npz", {"manifest.json": b"{}", "x.npy": bytes(1000)})
    data, size = bytearray(path.read_bytes()), struct.pack("<I", 0xFFFFFFF0)
    at = data.rfind(b"PK\1\2")
    data[at + 24 : at + 28] = size
    path.write_bytes(bytes(data))
    return path


@bomb()
def npz_header_of_a_huge_array(folder: Path) -> Path:
    text = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1152921504606846976,), }\n"
    array = b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text
    return packed(folder / "m.npz", {"manifest.json": b"{}", "x.npy": array})


@bomb()
def npz_header_of_parentheses(folder: Path) -> Path:
    text = b"(" * 60_000 + b"\n"
    array = b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text
    return packed(folder / "m.npz", {"manifest.json": b"{}", "x.npy": array})


@bomb()
def npz_of_60000_entries(folder: Path) -> Path:
    one = zipfile.ZipInfo("x.npy")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(one, b"")
    data = buffer.getvalue()
    at, end = data.rfind(b"PK\1\2"), data.rfind(b"PK\5\6")
    entry = data[at:end]
    tail = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 65535, 65535, len(entry) * 65535, at, 0)
    (folder / "m.npz").write_bytes(data[:at] + entry * 65535 + tail)
    return folder / "m.npz"


@bomb()
def npz_pads_then_pools(folder: Path) -> Path:
    layers: list[dict[str, Any]] = [
        {"class": "ZeroPadding2D", "name": "a", "padding": [[20000, 20000], [20000, 20000]]},
        {"class": "GlobalMaxPooling2D", "name": "b"},
    ]
    return npz(folder, layers)


@bomb()
def npz_enlarges(folder: Path) -> Path:
    return npz(folder, [{"class": "UpSampling2D", "name": "a", "size": [4000, 4000]}])


@bomb()
def npz_dense_of_a_trillion(folder: Path) -> Path:
    return npz(folder, [{"class": "Dense", "name": "a", "units": 1 << 40}])


@bomb()
def npz_input_of_a_trillion(folder: Path) -> Path:
    return npz(folder, [{"class": "Flatten", "name": "a"}], input_shape=[1 << 20, 1 << 20, 1])


@bomb()
def npz_in_a_circle(folder: Path) -> Path:
    layers = [{"class": "Add", "name": "a"}, {"class": "Add", "name": "b"}]
    return npz(folder, layers, wiring={"a": ["b", "b"], "b": ["a", "a"]})


@bomb("verify")
def npz_class_names_of_another_type(folder: Path) -> Path:
    return npz(folder, [{"class": "Flatten", "name": "a"}], class_names=5)


# --- what is no file ------------------------------------------------------------------------------


@bomb()
def a_pipe_as_model(folder: Path) -> Path:
    os.mkfifo(folder / "m.npz")
    return folder / "m.npz"


@bomb()
def zeros_without_end(folder: Path) -> Path:
    return Path("/dev/zero")


@bomb()
def a_link_to_itself(folder: Path) -> Path:
    (folder / "m.h5").symlink_to(folder / "m.h5")
    return folder / "m.h5"


@bomb()
def a_sparse_terabyte(folder: Path) -> Path:
    with open(folder / "m.h5", "wb") as file:
        file.write(b"\x89HDF\r\n\x1a\n")
        file.truncate(1 << 40)
    return folder / "m.h5"


# --- PyTorch --------------------------------------------------------------------------------------


def torch_zip(folder: Path, pickle: bytes, **storages: bytes) -> Path:
    parts = {"m/data.pkl": pickle} | {f"m/data/{key}": value for key, value in storages.items()}
    return packed(folder / "m.pt", parts)


def text(word: str) -> bytes:
    return b"X" + struct.pack("<I", len(word)) + word.encode()


@bomb()
def torch_shared_dicts(folder: Path) -> Path:
    """Each dict holds the next one ten times: 10**15 ways to the last."""
    code = b"\x80\x02}q\x00"
    for level in range(15):
        code += b"}q" + bytes([level + 1])
        code += b"(" + b"".join(text(str(i)) + b"h" + bytes([level]) for i in range(10)) + b"u"
    return torch_zip(folder, code + b".")


@bomb()
def torch_shared_lists_in_a_message(folder: Path) -> Path:
    code = b"\x80\x02]q\x00"
    for level in range(60):
        code += b"]q" + bytes([level + 1]) + b"(" + (b"h" + bytes([level])) * 10 + b"e"
    return torch_zip(folder, code + b"Q.")


@bomb()
def torch_number_of_a_million_digits(folder: Path) -> Path:
    return torch_zip(
        folder, b"\x80\x02\x8b" + struct.pack("<i", 1 << 22) + b"\x7f" * (1 << 22) + b"Q."
    )


@bomb()
def torch_copies_of_a_list(folder: Path) -> Path:
    code = b"\x80\x02](" + b"N" * 100_000 + b"eq\x00"
    call = b"ctorch\nSize\nh\x00\x85R"
    return torch_zip(folder, code + call * 5_000 + b".")


@bomb()
def torch_pickle_of_32_megabytes(folder: Path) -> Path:
    return torch_zip(folder, b"\x80\x02" + b"N0" * (1 << 24) + b".")


@bomb()
def torch_nested(folder: Path) -> Path:
    return torch_zip(folder, b"\x80\x02" + b"]" * 90_000 + b"a" * 89_999 + b".")


def tensor(kind: str, count: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> bytes:
    def numbers(values: tuple[int, ...]) -> bytes:
        return b"(" + b"".join(b"J" + struct.pack("<i", value) for value in values) + b"t"

    storage = b"(" + text("storage") + b"ctorch\n" + kind.encode() + b"\n" + text("0")
    storage += text("cpu") + b"\x8a\x08" + struct.pack("<q", count) + b"tQ"
    rebuild = b"ctorch._utils\n_rebuild_tensor_v2\n("
    return rebuild + storage + b"K\x00" + numbers(shape) + numbers(strides) + b"\x89N" + b"tR"


@bomb()
def torch_storage_of_a_terabyte(folder: Path) -> Path:
    one = tensor("FloatStorage", 1 << 38, (1 << 30,), (1,))
    return torch_zip(folder, b"\x80\x02}" + text("fc.weight") + one + b"s.", **{"0": bytes(4)})


@bomb()
def torch_many_views_of_one_storage(folder: Path) -> Path:
    count = 1 << 20
    one = tensor("BFloat16Storage", count, (1024, 1024), (1024, 1))
    code = b"".join(text(f"fc{i}.weight") + one + b"s" for i in range(2000))
    return torch_zip(folder, b"\x80\x02}" + code + b".", **{"0": bytes(2 * count)})


# --- safetensors ----------------------------------------------------------------------------------


@bomb()
def safetensors_header_of_12_megabytes(folder: Path) -> Path:
    header = b'{"_":[' + b"{}," * (1 << 22) + b"{}]}"
    (folder / "m.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)
    return folder / "m.safetensors"


@bomb()
def safetensors_nested(folder: Path) -> Path:
    header = b'{"_":' + b"[" * 1_000_000
    (folder / "m.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)
    return folder / "m.safetensors"


@bomb()
def safetensors_of_a_terabyte(folder: Path) -> Path:
    entry = {"dtype": "F32", "shape": [1 << 38], "data_offsets": [0, 1 << 40]}
    header = json.dumps({"fc.weight": entry}).encode()
    (folder / "m.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)
    return folder / "m.safetensors"


# --- Keras's descriptions -------------------------------------------------------------------------


def sequential(*layers: dict[str, Any]) -> dict[str, Any]:
    first = {"class_name": "InputLayer", "config": {"name": "x", "batch_shape": [None, 28, 28, 1]}}
    config = {"name": "m", "layers": [first, *layers]}
    return {"class_name": "Sequential", "config": config}


def described(folder: Path, content: Any) -> Path:
    (folder / "m.json").write_text(json.dumps(content))
    return folder / "m.json"


def layer(kind: str, **settings: Any) -> dict[str, Any]:
    return {"class_name": kind, "config": {"name": kind.lower(), **settings}}


@bomb("json")
def json_dense_of_a_trillion(folder: Path) -> Path:
    return described(folder, sequential(layer("Flatten"), layer("Dense", units=1 << 40)))


@bomb("json")
def json_kernels_of_gigabytes(folder: Path) -> Path:
    return described(folder, sequential(layer("Conv2D", filters=1 << 30, kernel_size=[28, 28])))


@bomb("json")
def json_pads_then_pools(folder: Path) -> Path:
    pads = layer("ZeroPadding2D", padding=[[30000, 30000], [30000, 30000]])
    return described(folder, sequential(pads, layer("GlobalMaxPooling2D")))


@bomb("json")
def json_dilated_beyond_its_picture(folder: Path) -> Path:
    """Few outputs, but their padding would take exabytes."""
    wide = layer("Conv2D", filters=1, kernel_size=3, padding="same", dilation_rate=1 << 32)
    return described(folder, sequential(wide, layer("Flatten")))


@bomb("json")
def json_numbers_without_end(folder: Path) -> Path:
    return described(folder, sequential(layer("Flatten"), layer("Dense", units=1e999)))


@bomb("json")
def json_models_in_models(folder: Path) -> Path:
    content = sequential()
    for _ in range(200):
        content = sequential(content)
    return described(folder, content)


@bomb("json")
def json_of_nine_megabytes(folder: Path) -> Path:
    (folder / "m.json").write_bytes(b"[" + b"[]," * 3_000_000 + b"[]]")
    return folder / "m.json"


@bomb()
def tfjs_array_of_a_terabyte(folder: Path) -> Path:
    weights = [{"name": "dense/kernel", "shape": [1 << 20, 1 << 20], "dtype": "float32"}]
    content = {
        "format": "layers-model",
        "modelTopology": {"model_config": sequential(layer("Flatten"), layer("Dense", units=10))},
        "weightsManifest": [{"paths": ["w.bin"], "weights": weights}],
    }
    (folder / "model.json").write_text(json.dumps(content))
    (folder / "w.bin").write_bytes(bytes(100))
    return folder


@bomb()
def tfjs_weights_in_a_pipe(folder: Path) -> Path:
    tfjs_array_of_a_terabyte(folder)
    (folder / "w.bin").unlink()
    os.mkfifo(folder / "w.bin")
    return folder


# --- HDF5 -----------------------------------------------------------------------------------------


def hdf5(folder: Path, fill: Callable[[Any], None]) -> Path:
    import h5py

    with h5py.File(folder / "m.h5", "w") as file:
        file.attrs["layer_names"] = [b"dense_1"]
        file.create_group("dense_1").attrs["weight_names"] = [b"dense_1/kernel:0"]
        fill(file)
    return folder / "m.h5"


@bomb(needs="h5py")
def hdf5_shape_of_terabytes(folder: Path) -> Path:
    name = "dense_1/dense_1/kernel:0"
    return hdf5(folder, lambda f: f.create_dataset(name, (1 << 20, 1 << 20), "f4", chunks=(9, 9)))


@bomb(needs="h5py")
def hdf5_chunk_of_a_gigabyte(folder: Path) -> Path:
    name, chunk = "dense_1/dense_1/kernel:0", (1 << 14, 1 << 14)
    return hdf5(
        folder,
        lambda f: f.create_dataset(
            name, (2, 2), "f4", chunks=chunk, maxshape=(None, None), compression="gzip"
        ),
    )


@bomb(needs="h5py")
def hdf5_names_without_end(folder: Path) -> Path:
    def fill(file: Any) -> None:
        file["dense_1"].attrs.create("weight_names", [b"x"] * 60_000, dtype="S1")
        for number in range(200):
            file["dense_1"].attrs.create(f"weight_names{number}", [b"x"] * 60_000, dtype="S1")
        del file["dense_1"].attrs["weight_names"]

    import h5py

    with h5py.File(folder / "m.h5", "w", libver="latest") as file:
        file.create_group("dense_1")
        file.attrs["layer_names"] = [b"dense_1"]
        fill(file)
    return folder / "m.h5"


@bomb(needs="h5py")
def hdf5_description_of_nine_megabytes(folder: Path) -> Path:
    def fill(file: Any) -> None:
        file.attrs["model_config"] = "[" + "[]," * 3_000_000 + "[]]"

    import h5py

    with h5py.File(folder / "m.h5", "w", libver="latest") as file:
        fill(file)
    return folder / "m.h5"


# --- ONNX -----------------------------------------------------------------------------------------


def onnx(folder: Path, *nodes: Any, functions: Any = (), constants: Any = None) -> Path:
    """A model of nodes from "x" to "y", with named arrays of integers."""
    from onnx import TensorProto, helper

    made = [
        helper.make_tensor(name, TensorProto.INT64, [len(values)], values)
        for name, values in (constants or {}).items()
    ]
    ends = [helper.make_tensor_value_info(name, 1, ["n", 1, 28, 28]) for name in "xy"]
    graph = helper.make_graph(list(nodes), "g", ends[:1], ends[1:], initializer=made)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    model = helper.make_model(graph, functions=list(functions), opset_imports=opsets)
    (folder / "m.onnx").write_bytes(model.SerializeToString())
    return folder / "m.onnx"


def node(*args: Any, **settings: Any) -> Any:
    from onnx import helper

    return helper.make_node(*args, **settings)


@bomb(needs="onnx")
def onnx_functions_in_functions(folder: Path) -> Path:
    """Thirty functions, each of which calls the next one twice."""
    from onnx import helper

    opsets, made = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)], []
    for level in range(30):
        kind = {"op_type": f"f{level + 1}", "domain": "own"} if level < 29 else {"op_type": "Relu"}
        body = [
            helper.make_node(inputs=[a], outputs=[b], **kind) for a, b in (("a", "b"), ("b", "c"))
        ]
        made.append(helper.make_function("own", f"f{level}", ["a"], ["c"], body, opsets))
    return onnx(folder, node("f0", ["x"], ["y"], domain="own"), functions=made)


@bomb(needs="onnx")
def onnx_functions_in_branches(folder: Path) -> Path:
    """The same, but each calls the next one inside the branches of an If."""
    from onnx import helper

    opsets, made = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)], []
    for level in range(30):
        kind = {"op_type": f"f{level + 1}", "domain": "own"} if level < 29 else {"op_type": "Relu"}
        branches = []
        for name in "bc":
            inner = helper.make_node(inputs=["a"], outputs=[name], **kind)
            out = helper.make_tensor_value_info(name, 1, None)
            branches.append(helper.make_graph([inner], name, [], [out]))
        one = helper.make_node("Constant", [], ["t"], value_int=1)
        yes = helper.make_node("Cast", ["t"], ["u"], to=9)
        choice = helper.make_node(
            "If", ["u"], ["d"], then_branch=branches[0], else_branch=branches[1]
        )
        made.append(
            helper.make_function("own", f"f{level}", ["a"], ["d"], [one, yes, choice], opsets)
        )
    return onnx(folder, node("f0", ["x"], ["y"], domain="own"), functions=made)


@bomb(needs="onnx")
def onnx_constant_of_a_huge_shape(folder: Path) -> Path:
    nodes = [node("ConstantOfShape", ["s"], ["c"]), node("Add", ["x", "c"], ["y"])]
    return onnx(folder, *nodes, constants={"s": [1, 1 << 20, 1 << 20]})


@bomb(needs="onnx")
def onnx_many_constants(folder: Path) -> Path:
    nodes = [node("ConstantOfShape", ["s"], [f"c{i}"]) for i in range(200)]
    nodes.append(node("Sum", [f"c{i}" for i in range(200)], ["sum"]))
    return onnx(folder, *nodes, node("Add", ["x", "sum"], ["y"]), constants={"s": [1, 1 << 25]})


@bomb(needs="onnx")
def onnx_range_without_end(folder: Path) -> Path:
    nodes = [
        *[node("Squeeze", [name], [f"{name}0"]) for name in "abc"],
        node("Range", ["a0", "b0", "c0"], ["r"]),
        node("ReduceSum", ["r"], ["s"]),
        node("Add", ["x", "s"], ["y"]),
    ]
    return onnx(folder, *nodes, constants={"a": [0], "b": [1 << 50], "c": [1]})


@bomb(needs="onnx")
def onnx_tiles(folder: Path) -> Path:
    return onnx(folder, node("Tile", ["x", "s"], ["y"]), constants={"s": [1, 1, 9999, 9999]})


@bomb(needs="onnx")
def onnx_expands(folder: Path) -> Path:
    return onnx(folder, node("Expand", ["x", "s"], ["y"]), constants={"s": [1 << 40, 1, 28, 28]})


@bomb(needs="onnx")
def onnx_pads_then_pools(folder: Path) -> Path:
    pads = {"s": [0, 0, 30000, 30000, 0, 0, 30000, 30000]}
    nodes = [node("Pad", ["x", "s"], ["p"]), node("GlobalMaxPool", ["p"], ["y"])]
    return onnx(folder, *nodes, constants=pads)


@bomb(needs="onnx")
def onnx_fields_of_nothing(folder: Path) -> Path:
    """Two million empty nodes: two bytes each, a hundred as objects."""
    inner = b"\x0a\x00" * 2_000_000
    size = len(inner)
    lengths = bytes([size & 127 | 128, size >> 7 & 127 | 128, size >> 14 & 127 | 128, size >> 21])
    (folder / "m.onnx").write_bytes(b"\x08\x08\x3a" + lengths + inner + b"\x42\x02\x10\x11")
    return folder / "m.onnx"


# --- sets -----------------------------------------------------------------------------------------


@bomb("idx")
def idx_gzip_of_200_megabytes(folder: Path) -> Path:
    header = bytes([0, 0, 8, 1]) + struct.pack(">I", 200 << 20)
    packer = zlib.compressobj(1, wbits=31)
    data = packer.compress(header) + b"".join(packer.compress(bytes(1 << 20)) for _ in range(300))
    (folder / "x.gz").write_bytes(data + packer.flush())
    return folder / "x.gz"


@bomb("idx")
def idx_of_a_terabyte(folder: Path) -> Path:
    header = bytes([0, 0, 8, 3]) + struct.pack(">3I", 1 << 20, 1 << 10, 1 << 10)
    (folder / "x.gz").write_bytes(gzip.compress(header))
    return folder / "x.gz"


@bomb("set")
def set_of_objects(folder: Path) -> Path:
    labels = np.array([{}, []], object)
    np.savez(folder / "s.npz", images=np.zeros((2, 28, 28)), labels=labels)
    return folder / "s.npz"


@bomb("set")
def set_of_half_a_gigabyte(folder: Path) -> Path:
    with zipfile.ZipFile(folder / "s.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        with archive.open("images.npy", "w") as file:
            text = b"{'descr': '|u1', 'fortran_order': False, 'shape': (%d, 28, 28), }\n" % 700_000
            file.write(b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text)
            for _ in range(700):
                file.write(bytes(784_000))
        archive.writestr("labels.npy", b"")
    return folder / "s.npz"


@bomb("set")
def table_of_many_columns(folder: Path) -> Path:
    rows = "\n".join(["x"] * 2000)
    (folder / "labels.csv").write_text("file,label" + ",c" * 100_000 + "\n" + rows)
    return folder / "labels.csv"


@bomb("set")
def table_with_a_huge_field(folder: Path) -> Path:
    (folder / "labels.csv").write_text("file,label\n" + "x" * 10_000_000 + ",1\n")
    return folder / "labels.csv"


@bomb("set")
def table_that_names_a_circle(folder: Path) -> Path:
    (folder / "a").symlink_to(folder / "b")
    (folder / "b").symlink_to(folder / "a")
    (folder / "labels.csv").write_text("file,label\na,1\n")
    return folder / "labels.csv"


# --- TensorFlow's graphs --------------------------------------------------------------------------


@bomb()
def graph_of_functions_in_functions(folder: Path) -> Path:
    """Each calls the next one twice, and their names grow."""
    functions = b""
    for i in range(20):
        calls = [graphs.node("c" * 90 + str(k), f"f{i + 1}", "x") for k in range(2)]
        signature = graphs.field(1, f"f{i}") + graphs.field(2, graphs.field(1, "x"))
        functions += graphs.field(
            1, graphs.field(1, signature) + b"".join(graphs.field(3, call) for call in calls)
        )
    nodes = [graphs.node("x", "Placeholder", dtype=1, shape=[-1, 784]), graphs.node("y", "f0", "x")]
    graph = b"".join(graphs.field(1, one) for one in nodes) + graphs.field(2, functions)
    (folder / "m.pb").write_bytes(graph)
    return folder / "m.pb"


@bomb()
def graph_of_a_huge_constant(folder: Path) -> Path:
    zeros = graphs.field(
        8,
        graphs.field(1, 1)
        + graphs.field(2, graphs.shape([1 << 36]))
        + graphs.field(5, b"\0\0\0\0"),
    )
    constant = graphs.node("k", "Const") + graphs.field(
        5, graphs.field(1, "value") + graphs.field(2, zeros)
    )
    nodes = [
        graphs.node("x", "Placeholder", dtype=1, shape=[-1, 784]),
        constant,
        graphs.node("y", "Mul", "x", "k"),
    ]
    (folder / "m.pb").write_bytes(b"".join(graphs.field(1, one) for one in nodes))
    return folder / "m.pb"


# --- running them ---------------------------------------------------------------------------------


def openers() -> dict[str, Callable[[Path], object]]:
    """What opens a bomb, by name."""
    import tinymnist
    from tinymnist.data.mnist import read_idx
    from tinymnist.interop.formats import read
    from tinymnist.models import model_from_json

    return {
        "model": read,
        "verify": tinymnist.verify,
        "json": lambda path: model_from_json(path.read_text()),
        "idx": read_idx,
        "set": tinymnist.load_set,
    }


def main() -> None:
    """Open all, or those named."""
    from tinymnist.errors import InputError

    found = openers()

    def open_one(name: str, made: Any) -> str:
        try:
            found[BOMBS[name][1]](made)
        except InputError as error:
            return f"refused: {error}"
        return "opened"

    open_all({name: make for name, (make, _) in BOMBS.items()}, open_one, MOST_BYTES)


if __name__ == "__main__":
    main()
