"""The account of axes, against NumPy moving the numbers themselves."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tinymnist.interop.onnx.nodes import Unmappable
from tinymnist.interop.onnx.views import Atom, Uncut, View, fresh, in_order
from tinymnist.nn.arrays import Array

BATCH = 5


def picture() -> tuple[View, Array, Array]:
    """A view (n, c, h, w) of memory (h, w, c), and the tensor that it stands for."""
    high, wide, channels = fresh((4, 6, 3))
    memory = np.arange(BATCH * 72).reshape(BATCH, 4, 6, 3)
    view = View("x", (*high, *wide, *channels), (channels, high, wide), BATCH)
    return view, memory, memory.transpose(0, 3, 1, 2)


def test_a_view_is_what_it_says() -> None:
    view, memory, tensor = picture()
    assert view.shape == tensor.shape
    assert np.array_equal(view.tensor_of(memory), tensor)


@pytest.mark.parametrize("seed", range(40))
def test_random_moves(seed: int) -> None:
    """Reshapes and transposes in any order; where one cannot be followed, it says so."""
    rng = np.random.default_rng(seed)
    view, memory, tensor = picture()
    for _ in range(8):
        if rng.random() < 0.5:
            perm = (0, *(1 + rng.permutation(tensor.ndim - 1)))
            view, tensor = view.transposed(perm), tensor.transpose(perm)
        else:
            shape = (BATCH, *random_split(72, rng))
            try:
                view = view.reshaped(shape)
            except Uncut:
                continue
            tensor = tensor.reshape(shape)
        assert view.shape == tensor.shape
        assert np.array_equal(view.tensor_of(memory), tensor)
        assert np.array_equal(view.memory_of(tensor).reshape(memory.shape), memory)


def random_split(number: int, rng: np.random.Generator) -> tuple[int, ...]:
    """Sides whose product is ``number``."""
    sides = []
    while number > 1:
        sides.append(int(rng.choice([d for d in range(2, number + 1) if number % d == 0])))
        number //= sides[-1]
    return (*sides, 1) if rng.random() < 0.3 else tuple(sides)


def test_a_kernel_is_taken_into_the_order_of_memory() -> None:
    view, memory, tensor = picture()
    flat = view.reshaped((BATCH, 72))
    kernel = np.random.default_rng(0).integers(0, 9, (72, 2))
    rows = in_order(np.arange(72), flat.axes[0], flat.order)
    assert np.array_equal(
        memory.reshape(BATCH, 72) @ kernel[rows], tensor.reshape(BATCH, 72) @ kernel
    )


@pytest.mark.parametrize("shape", [(BATCH * 3, 24), (1, BATCH * 72), (72, BATCH)])
def test_examples_do_not_mix(shape: tuple[int, ...]) -> None:
    with pytest.raises(Unmappable, match="mixes the examples"):
        picture()[0].reshaped(shape)


def test_an_axis_without_a_joint_is_not_cut() -> None:
    view, _, _ = picture()
    with pytest.raises(Uncut, match="would need to cut an axis of 4 into pieces of 3"):
        view.reshaped((BATCH, 9, 8))


def test_the_batch_stays_in_front() -> None:
    with pytest.raises(Unmappable, match="batch axis in another place"):
        picture()[0].transposed((1, 0, 2, 3))


def test_a_batch_of_one_may_vanish() -> None:
    atom = Atom(12)
    view = View("x", (atom,), ((atom,),), 1)
    assert view.reshaped((3, 4)).batch is None
    assert view.reshaped((1, 3, 4)).batch == 1
    assert math.prod(view.reshaped((12,)).shape) == 12
