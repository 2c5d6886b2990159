from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tinymnist.interop.bare.blocks import Block, associated, modules_between, natural
from tinymnist.interop.bare.match_shapes import MOST_PLANS, NoPlan, fitting, strided


def conv(name: str, filters: Any, inputs: Any, side: Any) -> Any:
    return Block(name, "conv", {"kernel": np.zeros((side, side, inputs, filters), "f4")})


def dense(name: str, inputs: Any, units: Any) -> Any:
    return Block(name, "dense", {"kernel": np.zeros((inputs, units), "f4")})


def norm(name: str, width: Any, gamma: Any = 1.0) -> Any:
    return Block(name, "norm", {"gamma": np.full(width, gamma, "f4")})


def steps(plan: Any) -> Any:
    return [(step.padding, step.pool.size) for step in plan.steps]


OLD_EXAMPLE = [
    conv("c1", 10, 1, 5),
    conv("c2", 20, 10, 5),
    dense("f1", 320, 50),
    dense("f2", 50, 10),
]
NEW_EXAMPLE = [conv("c1", 32, 1, 3), conv("c2", 64, 32, 3), dense("f1", 9216, 128),
               dense("f2", 128, 10)]  # fmt: skip
LENET = [conv("c1", 6, 1, 5), conv("c2", 16, 6, 5), dense("f1", 400, 120), dense("f2", 120, 10)]
PADDED = [conv("c1", 32, 1, 3), conv("c2", 64, 32, 3), dense("f1", 64 * 49, 10)]
FLAT = [conv("c", 16, 1, 3), dense("f", 16 * 26 * 26, 10)]


@pytest.mark.parametrize(
    ("blocks", "expected"),
    [
        (OLD_EXAMPLE, [(0, 2), (0, 2)]),
        (NEW_EXAMPLE, [(0, 1), (0, 2)]),
        (LENET, [(2, 2), (0, 2)]),
        (PADDED, [(1, 2), (1, 2)]),
        (FLAT, [(0, 1)]),
    ],
)
def test_the_likeliest_plan_of_well_known_networks(blocks: Any, expected: Any) -> None:
    assert steps(fitting(blocks)[0]) == expected


def test_what_fits_in_several_ways_is_listed() -> None:
    assert len(fitting(OLD_EXAMPLE)) == 1
    assert [plan.input_shape for plan in fitting(LENET)] == [(28, 28, 1), (32, 32, 1)]
    assert [steps(plan) for plan in fitting(NEW_EXAMPLE)][:2] == [
        [(0, 1), (0, 2)],
        [(1, 2), (0, 1)],
    ]


def test_strides_stand_in_for_pools_where_the_sizes_allow() -> None:
    padded = strided(fitting(PADDED)[0])
    assert padded is not None
    assert [(s.padding, s.strides, s.pool.size) for s in padded.steps] == [(1, 2, 1)] * 2
    assert strided(fitting(FLAT)[0]) is None  # no pool
    odd = [conv("c1", 8, 1, 3), conv("c2", 8, 8, 3), dense("f", 8 * 25, 10)]
    assert steps(fitting(odd)[0]) == [(0, 2), (0, 2)]
    assert strided(fitting(odd)[0]) is None  # 13 -> 11 -> 5 by pools, 13 -> 6 by a stride


@pytest.mark.parametrize(
    ("features", "shape"),
    [(784, (28, 28, 1)), (1024, (32, 32, 1)), (196, (14, 14, 1)), (50, (50,))],
)
def test_pictures_of_a_perceptron(features: Any, shape: Any) -> None:
    (plan,) = fitting([dense("a", features, 16), dense("b", 16, 10)])
    assert plan.input_shape == shape


def test_the_numbers_in_a_sequential_tell_pools_and_the_place_of_norms() -> None:
    net = [
        conv("0", 8, 1, 3),
        norm("2", 8),
        conv("4", 8, 8, 3),
        norm("6", 8),
        dense("9", 8 * 12**2, 10),
    ]
    plans = fitting(net)
    assert {plan.norm_order for plan in plans} == {"activation, norm, pool"}
    assert [steps(plan) for plan in plans] == [[(0, 1), (0, 2)], [(1, 2), (0, 1)]]
    tight = [conv("0", 8, 1, 3), conv("1", 8, 8, 3), dense("5", 8 * 12**2, 10)]
    assert [steps(plan) for plan in fitting(tight)] == [[(0, 1), (0, 2)]]  # no room for the other
    assert modules_between(tight[1], tight[2]) == 3
    assert modules_between(conv("a.0", 8, 1, 3), conv("b.1", 8, 1, 3)) is None


def test_norms_may_stand_in_two_places_or_in_four() -> None:
    net = [conv("c", 8, 1, 3), norm("n", 8), dense("f", 8 * 13 * 13, 10)]
    assert [plan.norm_order for plan in fitting(net)] == [
        "norm, activation, pool",
        "activation, norm, pool",
    ]
    falling = [net[0], norm("n", 8, gamma=-1.0), net[2]]
    assert len(fitting(falling)) == 4


def test_global_pooling_is_never_hidden_by_a_plan_that_happens_to_fit() -> None:
    net = [conv("c1", 8, 1, 3), conv("c2", 16, 8, 3), dense("f", 16, 10)]
    assert {plan.head for plan in fitting(net)} == {"average"}
    assert len(fitting(net)) > 1


def test_strides_are_found_where_the_rule_finds_nothing() -> None:
    net = [conv("c", 8, 1, 4), dense("f", 8 * 13 * 13, 10)]
    plans = fitting(net)
    assert any(plan.steps[0].strides == 2 or plan.steps[0].padding == 1 for plan in plans)


def test_grouped_convolutions() -> None:
    net = [conv("c", 8, 1, 3), conv("depthwise", 8, 1, 3), dense("f", 8 * 24 * 24, 10)]
    assert steps(fitting(net)[0]) == [(0, 1), (0, 1)]


@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        ([conv("a", 8, 1, 3), conv("b", 8, 16, 3)], "b conv .* cannot follow a conv"),
        ([dense("a", 784, 8), dense("b", 9, 10)], "b dense .* cannot follow a dense"),
        ([conv("a", 8, 5, 3), dense("b", 8, 10)], "does not take pictures"),
        ([conv("a", 8, 1, 3), dense("b", 8 * 31**2, 10)], "no pooling, padding and strides lead"),
        ([norm("n", 8), dense("b", 784, 10)], "n norm .* comes first"),
        ([dense("b", 784, 10), norm("n", 8)], "has another width"),
        ([], "no convolution or dense layers"),
    ],
)
def test_what_is_no_chain_is_refused(blocks: Any, message: str) -> None:
    with pytest.raises(NoPlan, match=message):
        fitting(blocks)


def test_deep_networks_take_bounded_time() -> None:
    deep = [
        conv("c0", 8, 1, 3),
        *(conv(f"c{i}", 8, 8, 3) for i in range(1, 12)),
        dense("f", 8 * 49, 10),
    ]
    assert len(fitting(deep)) == MOST_PLANS


def test_names_are_sorted_as_people_count() -> None:
    assert sorted(["layers.10.w", "layers.2.w", "a"], key=natural) == [
        "a",
        "layers.2.w",
        "layers.10.w",
    ]


def test_norms_find_their_layers_again_after_sorting() -> None:
    blocks = [norm("bn1", 8), norm("bn2", 16), conv("conv1", 8, 1, 3), conv("conv2", 16, 8, 3),
              dense("fc", 16 * 25, 10)]  # fmt: skip
    names = [block.name for block in associated(blocks)]
    assert names == ["conv1", "bn1", "conv2", "bn2", "fc"]
