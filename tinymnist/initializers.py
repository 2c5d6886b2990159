"""Initializers where Keras users look for them: ``Dense(10, kernel_initializer=HeNormal())``.

Each is a name or a dict, see :mod:`tinymnist.nn.layers.initializers`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tinymnist.nn.layers.initializers import Initializer


def _named(name: str, *words: str) -> Callable[..., Initializer]:
    """A function of Keras's arguments, in order, that gives the dict."""

    def make(*args: Any, **settings: Any) -> Initializer:
        given = dict(zip(words, args, strict=False)) | settings
        return {"name": name, **{key: value for key, value in given.items() if value is not None}}

    make.__name__ = make.__qualname__ = name
    make.__doc__ = f"Start as ``{name}`` of nn.layers.initializers does."
    return make


GlorotUniform = glorot_uniform = _named("glorot_uniform", "seed")
GlorotNormal = glorot_normal = _named("glorot_normal", "seed")
HeUniform = he_uniform = _named("he_uniform", "seed")
HeNormal = he_normal = _named("he_normal", "seed")
LecunUniform = lecun_uniform = _named("lecun_uniform", "seed")
LecunNormal = lecun_normal = _named("lecun_normal", "seed")
RandomNormal = random_normal = _named("random_normal", "mean", "stddev", "seed")
RandomUniform = random_uniform = _named("random_uniform", "minval", "maxval", "seed")
TruncatedNormal = truncated_normal = _named("truncated_normal", "mean", "stddev", "seed")
VarianceScaling = _named("variance_scaling", "scale", "mode", "distribution", "seed")
Orthogonal = orthogonal = _named("orthogonal", "gain", "seed")
Constant = constant = _named("constant", "value")
Zeros = zeros = _named("zeros")
Ones = ones = _named("ones")
