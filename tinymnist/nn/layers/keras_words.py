"""Keras's words for a layer's settings, of every version, in its order: here in ours.

Layers are made by people as in Keras, ``Dense(10, "softmax", input_dim=784)``, and by files in the
words of their fields. Only the former pass through here.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping
from typing import Any

from tinymnist.errors import did_you_mean

ORDER = {
    "Dense": "units activation use_bias kernel_initializer bias_initializer kernel_regularizer",
    "Conv2D": "filters kernel_size strides padding data_format dilation_rate groups activation "
    "use_bias kernel_initializer",
    "DepthwiseConv2D": "kernel_size strides padding depth_multiplier data_format dilation_rate "
    "activation use_bias",
    "MaxPooling2D": "pool_size strides padding data_format",
    "AveragePooling2D": "pool_size strides padding data_format",
    "BatchNormalization": "axis momentum epsilon center scale",
    "LayerNormalization": "axis epsilon center scale",
    "Concatenate": "axis",
    "Softmax": "axis",
    "Flatten": "data_format",
    "Dropout": "rate noise_shape seed",
}
"""What Keras's arguments mean by their position; of other layers, the order of the fields."""
RENAMED = {
    "bias": "use_bias",
    "border_mode": "padding",
    "init": "kernel_initializer",
    "depthwise_initializer": "kernel_initializer",
    "nb_filter": "filters",
    "output_dim": "units",
    "p": "rate",
    "subsample": "strides",
    "W_constraint": "kernel_constraint",
    "W_regularizer": "kernel_regularizer",
    "b_regularizer": "bias_regularizer",
}
"""Keras 1's words."""
_LAST_AXIS: tuple[Any, ...] = (-1, 3, [-1], [3], (-1,), (3,))
ONLY: dict[str, tuple[Any, ...]] = {
    "axis": _LAST_AXIS,
    "center": (True,),
    "scale": (True,),
    "data_format": (None, "channels_last"),
    "dim_ordering": (None, "tf", "channels_last"),
    "dtype": (None, "float32"),
    "autocast": (True, None),
    "keepdims": (False,),
    "activity_regularizer": (None,),
    "gamma_initializer": ("ones", "one", None),
    "beta_initializer": ("zeros", "zero", None),
    "moving_mean_initializer": ("zeros", None),
    "moving_variance_initializer": ("ones", None),
    "alpha_initializer": ("zeros", None),
    **dict.fromkeys(
        (
            *("gamma_regularizer", "beta_regularizer", "gamma_constraint", "beta_constraint"),
            *("alpha_regularizer", "alpha_constraint", "noise_shape", "synchronized"),
            *("depthwise_regularizer", "depthwise_constraint"),
        ),
        (None, False),
    ),
}
"""Keras's settings that have one meaning here, and the values that mean it."""
IGNORED = {"seed", "batch_size", "virtual_batch_size", "renorm", "fused", "ragged", "sparse"}
"""Keras's settings that need not be followed: ``fit`` has one seed for all layers."""
_PARTS = re.compile("(kernel|bias)_(initializer|regularizer|constraint)")


def in_our_words(kind: type, args: tuple[Any, ...], settings: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a layer, from arguments as Keras takes them.

    Raises:
        TypeError: for a setting that the layer does not have, or one that is given twice.
        ValueError: for a value that is not supported.
    """
    name = kind.__name__
    fields = {f.name: f for f in dataclasses.fields(kind) if f.init}
    order = ORDER[name].split() if name in ORDER else [f for f in fields if not fields[f].kw_only]
    if len(args) > len(order):
        raise TypeError(f"{name} takes at most {len(order)} settings by position: {order}")
    given = dict(zip(order, args, strict=False))
    if twice := sorted(given.keys() & settings.keys()):
        raise TypeError(f"{name} was given {twice} by position and by name")
    found: dict[str, Any] = {}
    for word, value in {**given, **settings}.items():
        key = _renamed(word, name, fields)
        if key in fields:
            found[key] = _value(key, value)
        elif word == "input_dim":
            found["input_shape"] = (value,)
        elif word in ("batch_input_shape", "batch_shape"):
            found["input_shape"] = tuple(value)[1:]
        elif word in ONLY:
            _check_only(name, word, value)
        elif word not in IGNORED:
            known = sorted({*order, *fields})
            rule = f"{name} has the settings {known}. Received: {word}={value!r}"
            raise TypeError(f"{rule}{did_you_mean(word, known)}")
    return found


def known_words(kind: type) -> set[str]:
    """Every word that a layer understands, of any version of Keras."""
    fields = {f.name for f in dataclasses.fields(kind) if f.init}
    renamed = {word for word in RENAMED if RENAMED[word] in fields}
    special = {"alpha"} if kind.__name__ == "LeakyReLU" else set()
    shapes = {"input_dim", "batch_input_shape", "batch_shape"}
    return fields | renamed | special | shapes | ONLY.keys() | IGNORED


def _renamed(word: str, kind: str, fields: Iterable[str]) -> str:
    if word == "alpha" and kind == "LeakyReLU":
        return "negative_slope"
    if word == "theta" and kind == "ReLU":
        return "threshold"
    return word if word in fields else RENAMED.get(word, word)


def _check_only(kind: str, word: str, value: Any) -> None:
    if isinstance(value, dict):  # as Keras's JSON says "float32" or "zeros"
        inside = value.get("config")
        value = (inside or {}).get("name", _snake_case(str(value.get("class_name"))))
    if value not in ONLY[word]:
        allowed = " or ".join(dict.fromkeys(map(repr, ONLY[word])))
        raise ValueError(f"{word} of {kind} must be {allowed} here. Received: {word}={value!r}")


def _value(key: str, value: Any) -> Any:
    """A field's value: names in lower case, functions by their names, parts as dicts."""
    if key == "padding" and isinstance(value, str):
        return value.lower()
    if key == "activation" and not isinstance(value, str) and value is not None:
        return getattr(value, "__name__", value)
    if match := _PARTS.fullmatch(key):
        return part_of(value, match[2])
    if key == "input_shape" and value is not None:
        return tuple(value) if isinstance(value, Iterable) else value
    return value


def part_of(value: Any, what: str) -> Any:
    """An initializer, regularizer or constraint as a name or a dict, ready for JSON.

    Args:
        value: Keras's name, its JSON, a dict of ours, a class of these, or None.
        what: "initializer", "regularizer" or "constraint".

    Raises:
        ValueError: for anything else.
    """
    from tinymnist.nn.layers.initializers import ALIASES, DRAWS

    value = value() if isinstance(value, type) or callable(value) else value
    if value is None:
        return "zeros" if what == "initializer" else None
    settings = {"name": value} if isinstance(value, str) else value
    if isinstance(settings, dict) and "class_name" in settings:  # Keras's JSON
        settings = {"name": _snake_case(settings["class_name"]), **(settings.get("config") or {})}
    name = settings.get("name") if isinstance(settings, dict) else None
    name = ALIASES.get(_snake_case(str(name)), _snake_case(str(name)))
    if what == "initializer" and name in DRAWS:
        rest = {k: v for k, v in settings.items() if k != "name" and v is not None}
        return {"name": name, **rest} if rest else name
    if what == "regularizer" and name in ("l1", "l2", "l1_l2", "l1l2"):
        default = {"l1": 0.01 * (name != "l2"), "l2": 0.01 * (name != "l1")}
        asked = {k: float(settings[k]) for k in ("l1", "l2") if k in settings}
        return {"name": "l1_l2", **(default if not asked else {"l1": 0.0, "l2": 0.0}), **asked}
    bounds: dict[str, dict[str, Any]] = {
        "max_norm": {"max_value": 2.0, "axis": 0},
        "unit_norm": {"axis": 0},
        "non_neg": {},
    }
    name = {"maxnorm": "max_norm", "unitnorm": "unit_norm", "nonneg": "non_neg"}.get(name, name)
    if what == "constraint" and name in bounds:
        return {"name": name, **bounds[name], **{k: v for k, v in settings.items() if k != "name"}}
    by_kind = {"initializer": list(DRAWS), "regularizer": ["l1", "l2", "l1_l2"]}
    known = by_kind.get(what, list(bounds))
    rule = f"{what} must be one of {known}, or of tinymnist.{what}s"
    raise ValueError(f"{rule}. Received: {value!r}{did_you_mean(name, known)}")


def _snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
