"""Where two models part: layer by layer, with the first layer that differs and why."""

from tinymnist.interop.compare.activations import activations
from tinymnist.interop.compare.comparison import Comparison, compare
from tinymnist.interop.compare.defaults import ATOL, RTOL
from tinymnist.interop.compare.matches import assert_model_matches
from tinymnist.interop.compare.side import Side

__all__ = [
    "ATOL",
    "RTOL",
    "Comparison",
    "Side",
    "activations",
    "assert_model_matches",
    "compare",
]
