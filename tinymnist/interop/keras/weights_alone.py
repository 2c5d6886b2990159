"""Weights without an architecture: what their names and shapes reveal.

Names reveal the backend: TensorFlow's variables end in ``:0``, Theano's do not. In the layouts of
Keras 1 and 2 they also list the layers between, including pooling, though without settings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from os import PathLike
from typing import Any

from tinymnist.errors import InputError
from tinymnist.interop.bare.architecture import read_json
from tinymnist.interop.bare.blocks import Block, Kind
from tinymnist.interop.bare.candidates import Candidates, from_blocks
from tinymnist.interop.bare.plans import Plan
from tinymnist.interop.keras.hdf5 import Hdf5
from tinymnist.interop.keras.weights import CONTAINERS, StoredLayer, numbered, variables
from tinymnist.nn.architectures import ARCHITECTURES

_KERAS_EPSILON = 1e-3
_POOL_NAMES = ("max_pool", "maxpool", "average_pool", "averagepool")
_DESCRIBE = "describe it with --architecture FILE.json, from model.to_json()"


def backend_by_names(stored: Sequence[StoredLayer]) -> str:
    """The backend of a file that does not name it, as in Keras 0 and 1."""
    names = [name for layer in stored for name, _ in layer.arrays]
    is_old = version_by_names(stored) in ("0", "1")
    return "theano" if is_old and not any(name.endswith(":0") for name in names) else "tensorflow"


def version_by_names(stored: Sequence[StoredLayer]) -> str:
    """The major version of a file that does not state it."""
    names = [name for layer in stored for name, _ in layer.arrays]
    if all(name.startswith("param_") for name in names):
        return "0"
    return "1" if any(name.partition(":")[0].endswith(("_W", "_b")) for name in names) else "2"


def is_counted(file: Hdf5) -> bool:
    """Whether the arrays are in Keras 3's layout."""
    return any(name in file.members for name in CONTAINERS[:2])


def counted_layers(file: Hdf5) -> list[StoredLayer]:
    """The arrays of Keras 3's layout, class by class; the order between classes is lost."""
    container = next(name for name in CONTAINERS if name in file.members)
    layers = []
    for name in sorted(file.members[container], key=numbered):
        place = f"{container}/{name}"
        arrays = variables(file, place)
        layers.append(StoredLayer(name, [(f"{name}/{i}", a) for i, a in enumerate(arrays)]))
        if "layers" in file.members.get(place, ()):
            raise InputError(f"{file.path} holds weights of a model inside a model; " + _DESCRIBE)
    return _norms_between(layers, file.path)


def _norms_between(layers: list[StoredLayer], path: str) -> list[StoredLayer]:
    """Put each normalization after the layer that it belongs to, if that is clear."""
    norms = [layer for layer in layers if _kind(layer) == "norm"]
    mains = [layer for kind in ("conv", "dense") for layer in layers if _kind(layer) == kind]
    if not norms:
        return layers
    convolutions = [layer for layer in mains if _kind(layer) == "conv"]
    owners = next((o for o in (mains, mains[:-1], convolutions) if len(o) == len(norms)), None)
    if owners is None:
        found = f"weights of {len(norms)} normalizations among {len(mains)} layers"
        raise InputError(f"{path} holds {found}, but not their order; {_DESCRIBE}")
    after = {owner.name: norm for owner, norm in zip(owners, norms, strict=True)}
    return [part for main in mains for part in (main, after.get(main.name)) if part is not None]


def keras_json(architecture: str | PathLike[str]) -> dict[str, Any] | None:
    """Keras's description of an architecture, or None if it has another form.

    Raises:
        InputError: when there is no such file.
    """
    config = {} if str(architecture) in ARCHITECTURES else read_json(architecture)
    if not isinstance(config, dict):
        return None
    is_keras = "class_name" in config or config.get("name") in ("Sequential", "Model", "Graph")
    return config if is_keras else None


def from_weights(
    stored: Sequence[StoredLayer],
    path: str,
    source: str,
    architecture: str | PathLike[str] | None,
    backend: str | None,
    *,
    named: bool,
) -> Candidates:
    """What bare weights may be, by their shapes or by a description.

    Args:
        stored: the arrays, layer by layer.
        path, source: for messages, and for the model's metadata.
        architecture: a description that is not Keras's, or a name.
        backend: the backend of Keras.
        named: whether all layers, even those without arrays, are listed in the order of the model.

    Raises:
        InputError: when nothing fits.
    """
    first = _are_old_kernels(stored)
    if backend == "theano" and not first and any(_kind(layer) == "conv" for layer in stored):
        raise InputError(f"{path}: on Theano, its channels may come first or last; {_DESCRIBE}")
    blocks = [_block(layer, backend == "theano", first, path) for layer in stored if layer.arrays]
    found = from_blocks(blocks, path, source, architecture=architecture, channels_first=first)
    if not named or found.model is not None:
        return found
    plans = _as_named(found.plans, stored, path)
    if not plans:
        reason = "no plain chain of layers fits both its shapes and its names"
        raise InputError(f"{path}: {reason}, {[layer.name for layer in stored]}; {_DESCRIBE}")
    return replace(found, plans=plans)


def _are_old_kernels(stored: Sequence[StoredLayer]) -> bool:
    """Whether kernels are (out, in, kh, kw), as in Keras 0 and 1 for channels first.

    The first kernel with different ends decides: one of them has the length of the bias.
    """
    for layer in stored:
        if _kind(layer) == "conv" and len(layer.arrays) > 1:
            kernel, bias = (array for _, array in layer.arrays)
            if kernel.shape[0] != kernel.shape[3]:
                return len(bias) == int(kernel.shape[0])
    return False


_KINDS: dict[tuple[int, ...], Kind] = {
    (4,): "conv", (4, 1): "conv", (2,): "dense", (2, 1): "dense", (1, 1, 1, 1): "norm",
}  # fmt: skip
"""The kind of a layer by the number of axes of each of its arrays."""


def _kind(layer: StoredLayer) -> Kind | None:
    return _KINDS.get(tuple(array.ndim for _, array in layer.arrays))


def _block(layer: StoredLayer, theano: bool, first: bool, path: str) -> Block:
    kind, arrays = _kind(layer), [array for _, array in layer.arrays]
    if kind is None or "depthwise" in layer.name:
        shapes = [array.shape for array in arrays]
        raise InputError(f"{path}: {layer.name!r} has arrays of unknown use, {shapes}; {_DESCRIBE}")
    if kind == "norm":
        names = ("gamma", "beta", "moving_mean", "moving_variance")
        return Block(layer.name, "norm", dict(zip(names, arrays, strict=True)), _KERAS_EPSILON)
    kernel = arrays[0]
    if kind == "conv":
        kernel = kernel.transpose(2, 3, 1, 0) if first else kernel
        kernel = kernel[::-1, ::-1] if theano else kernel
    bias = {"bias": arrays[1]} if len(arrays) > 1 else {}
    return Block(layer.name, kind, {"kernel": kernel, **bias})


def _as_named(plans: Sequence[Plan], stored: Sequence[StoredLayer], path: str) -> list[Plan]:
    """The plans whose pools are those that the file names."""
    names = [layer.name for layer in stored]
    for name in names:
        if name.startswith(("leaky", "elu", "prelu", "p_re_lu", "thresholded", "zero", "zeropad")):
            raise InputError(f"{path} names a layer {name!r} without its settings; {_DESCRIBE}")
    if len(names) == sum(bool(layer.arrays) for layer in stored):
        return list(plans)  # only layers with arrays are named
    pools: list[bool] = []
    for layer in stored:
        if _kind(layer) == "conv":
            pools.append(False)
        elif pools and layer.name.startswith(_POOL_NAMES):
            pools[-1] = True
    pooling = "average" if any(name.startswith("average") for name in names) else "max"
    kept = [p for p in plans if [step.pool.size > 1 for step in p.steps] == pools]
    return [replace(plan, pooling=pooling) for plan in kept]
