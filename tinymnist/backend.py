"""The few functions of Keras's backend that MNIST scripts call."""

from __future__ import annotations

from typing import Any


def image_data_format() -> str:
    """Always "channels_last"."""
    return "channels_last"


image_dim_ordering = image_data_format


def set_image_data_format(data_format: str) -> None:
    """Accept "channels_last".

    Raises:
        ValueError: for "channels_first".
    """
    if data_format not in ("channels_last", "tf"):
        raise ValueError(
            "pictures are (n, h, w, c) here: reshape to (n, 28, 28, 1), and leave the data format "
            f"at channels_last. Received: {data_format=}"
        )


set_image_dim_ordering = set_image_data_format


def clear_session() -> None:
    """Do nothing: a model that is not used any more takes no memory."""


def floatx() -> str:
    """The dtype of models unless they are given one: "float32"."""
    return "float32"


def epsilon() -> float:
    """The smallest probability that a loss takes the logarithm of: 1e-7."""
    return 1e-7


def get_value(x: Any) -> Any:
    """A number or array as it is; a learning rate that follows a schedule, as it is now."""
    return x


def set_value(x: Any, value: Any) -> None:
    """Refuse: a number here cannot be changed in place.

    Raises:
        ValueError: always; it says what to write.
    """
    raise ValueError(
        f"write model.optimizer.learning_rate = {value!r} instead. Received: {type(x).__name__}"
    )


__all__ = ["clear_session", "epsilon", "floatx", "get_value", "image_data_format"]
__all__ += ["image_dim_ordering", "set_image_data_format", "set_image_dim_ordering", "set_value"]
