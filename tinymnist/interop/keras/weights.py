"""The arrays in HDF5, in the four layouts that Keras has used.

- Keras 1 and 2, and still today's .h5: a group per layer of the outermost model, with the names of
  its arrays as an attribute: ``dense_1/dense_1/kernel:0``, ``dense_1/dense_1_W``.
- Keras 0: ``layer_6/param_0``, layers and arrays numbered.
- Keras 3, and ``.keras`` since 2.13: ``layers/dense_1/vars/0``, where ``dense_1`` is not the
  layer's name but the second layer of its class. Keras 2.13 said
  ``_layer_checkpoint_dependencies`` and skipped numbers.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from tinymnist.errors import InputError
from tinymnist.interop.keras.config import LayerConfig, ModelConfig
from tinymnist.interop.keras.hdf5 import Hdf5
from tinymnist.nn.arrays import Array

CONTAINERS = ("layers", "_layer_checkpoint_dependencies", "_self_tracked_trackables")
CELLS = ("cell", "forward_layer", "backward_layer")
"""Where recurrent layers keep their arrays."""
_OWN_ARRAYS = {
    *("Conv2D", "Conv2DTranspose", "Dense", "DepthwiseConv2D", "SeparableConv2D"),
    *("Bidirectional", "CuDNNGRU", "CuDNNLSTM", "GRU", "LSTM", "SimpleRNN"),
    *("BatchNormalization", "LayerNormalization", "Normalization", "PReLU"),
}


@dataclass(frozen=True)
class StoredLayer:
    """The arrays of one group, in order, with their names as Keras wrote them."""

    name: str
    arrays: list[tuple[str, Array]]


def snake_case(name: str) -> str:
    """``Conv2D`` -> ``conv2d``, ``PReLU`` -> ``p_re_lu``: Keras's own two substitutions."""
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", name))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def numbered(name: str) -> tuple[str, int]:
    """``dense_12`` -> ``("dense", 12)``, and ``dense`` -> ``("dense", 0)``."""
    stem, _, number = name.rpartition("_")
    return (stem, int(number)) if stem and number.isdecimal() else (name, 0)


def has_arrays(layer: LayerConfig) -> bool:
    """Whether Keras stores arrays for a layer, or for one inside it."""
    if layer.model is not None:
        return any(map(has_arrays, layer.model.layers))
    if layer.kind == "LayerNormalization":
        return bool(layer.settings.get("center", True) or layer.settings.get("scale", True))
    if layer.kind == "Normalization":
        return layer.settings.get("mean") is None
    return layer.kind in _OWN_ARRAYS


def stored_layers(file: Hdf5, root: str) -> list[StoredLayer]:
    """All arrays of a file in one of the two layouts that list their layers in order.

    Raises:
        InputError: when a listed array is missing.
    """
    if (names := file.texts(root, "layer_names")) is None:
        count = file.number(root, "nb_layers")
        names = [f"layer_{number}" for number in range(min(count or 0, 10_000))]
    base = f"{root}/" if root else ""
    return [StoredLayer(name, _listed(file, f"{base}{name}")) for name in names]


def _listed(file: Hdf5, group: str) -> list[tuple[str, Array]]:
    group = group.replace("\\", "/")
    if group not in file.groups:
        raise InputError(f"{file.path} lacks the group {group!r}, which it lists")
    names = file.texts(group, "weight_names")
    if names is None:
        names = [f"param_{number}" for number in range(file.number(group, "nb_params") or 0)]
    return [(name, file.array(f"{group}/{name}".replace("\\", "/"))) for name in names]


def give_listed(model: ModelConfig, stored: Sequence[StoredLayer], path: str) -> None:
    """Assign arrays that were stored layer by layer: by name, else in order, as Keras does.

    Raises:
        InputError: when the file has arrays for more or fewer layers than the model.
    """
    by_name = {group.name: group for group in stored}
    wanting = list(filter(has_arrays, model.layers))
    filled = [group for group in stored if group.arrays]
    numbered_only = all(group.name.startswith("layer_") for group in stored)
    pairs = [(layer, by_name.get(layer.name, StoredLayer("", []))) for layer in wanting]
    if not all(group.arrays for _, group in pairs):
        is_ordered = len(filled) == len(wanting) or numbered_only
        pairs = list(zip(wanting, filled, strict=False)) if is_ordered else []
    if len(pairs) != len(wanting) or len(filled) > len(wanting):
        found = [group.name for group in filled]
        wanted = [layer.name for layer in wanting]
        raise InputError(f"{path} holds arrays for {found}; the model has {wanted}")
    for layer, group in pairs:
        if layer.model is None:
            layer.arrays = [array for _, array in group.arrays]
        else:
            _give_inner(layer.model, group, path)


def _give_inner(model: ModelConfig, group: StoredLayer, path: str) -> None:
    """Assign an inner model's list of arrays by the layer in their names: ``dense_1/kernel:0``."""
    owners: dict[str, list[Array]] = defaultdict(list)
    for name, array in group.arrays:
        parts = name.split("/")
        owners[parts[-2] if len(parts) > 1 else parts[-1].rpartition("_")[0]].append(array)
    for leaf in filter(has_arrays, model.leaves()):
        if (owner := _owner(leaf.name, owners)) is None:
            found = f"arrays for {sorted(owners)} in {group.name!r}"
            raise InputError(f"{path} holds {found}, and none for {leaf.name!r}")
        leaf.arrays = owners.pop(owner)
    if owners:
        raise InputError(f"{path} holds arrays for layers that do not exist: {sorted(owners)}")


def _owner(name: str, owners: Iterable[str]) -> str | None:
    """The name itself, or with a number, which TensorFlow added to names in use."""
    known = [owner for owner in owners if owner == name or numbered(owner)[0] == name]
    return name if name in known else known[0] if len(known) == 1 else None


def give_counted(model: ModelConfig, file: Hdf5, root: str = "") -> None:
    """Assign the arrays of Keras 3's layout: the second Dense layer's are in ``dense_1``.

    The layers of a class that have arrays are matched in order with the groups that do. The
    numbers are not used, because Keras 2.13 skipped some.

    Raises:
        InputError: when the file has arrays for more or fewer layers of a class than the model.
    """
    base, filled = f"{root}/" if root else "", _filled(file)
    container = base + next((c for c in CONTAINERS if base + c in filled), CONTAINERS[0])
    groups: dict[str, list[str]] = defaultdict(list)
    for name in sorted(file.members.get(container, ()), key=numbered):
        if (place := f"{container}/{name}") in filled:
            groups[numbered(name)[0]].append(place)
    wanting: dict[str, list[LayerConfig]] = defaultdict(list)
    for layer in filter(has_arrays, model.layers):
        wanting[snake_case(layer.kind)].append(layer)
    for stem, layers in wanting.items():
        if len(groups[stem]) != len(layers):
            raise InputError(
                f"{file.path} holds arrays for {len(groups[stem])} layers of the kind {stem!r}; "
                f"the model has {[layer.name for layer in layers]}"
            )
        for layer, place in zip(layers, groups[stem], strict=True):
            if layer.model is None:
                layer.arrays = variables(file, place)
            else:
                give_counted(layer.model, file, place)


def _filled(file: Hdf5) -> set[str]:
    """Every place with arrays at any depth, except the states of random generators."""
    arrays = [PurePosixPath(place) for place in file.datasets if "seed_generator" not in place]
    return {str(parent) for array in arrays for parent in array.parents}


def variables(file: Hdf5, place: str) -> list[Array]:
    """The arrays below ``PLACE/vars``, by their numbers, then those of the cells inside."""
    numbers = sorted(int(n) for n in file.members.get(f"{place}/vars", ()) if n.isdecimal())
    arrays = [file.array(f"{place}/vars/{number}") for number in numbers]
    inside = [name for name in CELLS if name in file.members.get(place, ())]
    return arrays + [array for name in inside for array in variables(file, f"{place}/{name}")]
