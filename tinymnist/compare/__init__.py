"""Where two models part: layer by layer, with the first layer that differs and why."""

from tinymnist.compare.assert_matches import assert_model_matches
from tinymnist.compare.comparison import Comparison, compare
from tinymnist.compare.defaults import ATOL, RTOL
from tinymnist.compare.layer_outputs import layer_outputs
from tinymnist.compare.side import Side

__all__ = [
    "ATOL",
    "RTOL",
    "Comparison",
    "Side",
    "layer_outputs",
    "assert_model_matches",
    "compare",
]
