"""Schedules where Keras users look for them, and ours: ``WarmUp``, ``OneCycle``."""

from tinymnist.nn.schedules import (
    Constant,
    CosineDecay,
    ExponentialDecay,
    InverseTimeDecay,
    OneCycle,
    PiecewiseConstantDecay,
    PolynomialDecay,
    WarmUp,
)

__all__ = ["Constant", "CosineDecay", "ExponentialDecay", "InverseTimeDecay", "OneCycle"]
__all__ += ["PiecewiseConstantDecay", "PolynomialDecay", "WarmUp"]
