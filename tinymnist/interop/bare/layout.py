"""A plan written out: the layers of a :class:`~tinymnist.interop.bare.plans.Plan`, ready to be built."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tinymnist.interop.bare.assemble import TENSORS, Description
from tinymnist.interop.bare.blocks import Block, Group, modules_between
from tinymnist.interop.bare.plans import ORDERS, Plan, Pool, Step

Config = Mapping[str, Any]
SLOPES = {"leaky_relu": 0.01}
"""PyTorch's LeakyReLU, unlike Keras's, has this slope."""


def describe(plan: Plan) -> Description:
    """The layers of a plan. The output stays what it is: no softmax is put behind it."""
    layers: list[Config] = []
    steps = iter(plan.steps)
    headed = False
    for group, after in zip(plan.groups, (*plan.groups[1:], None), strict=True):
        active = _is_active(group, after)
        if group.main.kind == "conv":
            layers += _convolution(group, next(steps), plan, active)
            continue
        if not headed:
            layers += _head(plan)
            headed = True
        layers += _dense(group, plan, active)
    if not headed:
        layers += _head(plan)
    return Description(plan.input_shape, layers)


def _is_active(group: Group, after: Group | None) -> bool:
    """Whether an activation follows: not after the last layer, nor where there is no room."""
    if after is None:
        return False
    rooms = [modules_between(group.last, after.main)]
    if group.norms:
        rooms.append(modules_between(group.main, group.norms[0]))
    return any(room is None or room > 0 for room in rooms)


def _head(plan: Plan) -> list[Config]:
    if plan.head == "average":
        return [{"class": "GlobalAveragePooling2D"}]
    return [{"class": "Flatten"}] if len(plan.input_shape) > 1 else []


def _convolution(group: Group, step: Step, plan: Plan, active: bool) -> Iterator[Config]:
    block = group.main
    padding = [step.padding if side > 1 else 0 for side in block.side]
    channels = plan.input_shape[-1]
    position = [g.main for g in plan.groups].index(block)
    if position:
        channels = plan.groups[position - 1].main.outputs
    yield {
        "class": "Conv2D",
        TENSORS: block.name,
        "filters": block.outputs,
        "kernel_size": list(block.side),
        "strides": step.strides,
        "padding": padding,
        "groups": channels // block.inputs,
    }
    norms = [_norm(norm) for norm in group.norms]
    activation = _activation(group, plan) if active else []
    pool = _pool(step.pool, plan.pooling)
    parts = {
        ORDERS[0]: (norms, activation, pool),
        ORDERS[1]: (activation, norms, pool),
        ORDERS[2]: (activation, pool, norms),
        ORDERS[3]: (pool, norms, activation),
    }[plan.order]
    for part in parts:
        yield from part


def _dense(group: Group, plan: Plan, active: bool) -> Iterator[Config]:
    yield {"class": "Dense", TENSORS: group.main.name, "units": group.main.outputs}
    norms = [_norm(norm) for norm in group.norms]
    activation = _activation(group, plan) if active else []
    first_active = plan.order in ORDERS[1:3]
    yield from (activation if first_active else norms)
    yield from (norms if first_active else activation)


def _norm(block: Block) -> Config:
    kind = "BatchNormalization" if block.kind == "norm" else "LayerNormalization"
    own = {"momentum": 0.9} if block.kind == "norm" else {}
    return {"class": kind, TENSORS: block.name, "epsilon": block.epsilon, **own}  # fmt: skip


def _activation(group: Group, plan: Plan) -> list[Config]:
    if group.prelu is not None and group.prelu.outputs > 1:
        shared = [1, 2] if group.main.kind == "conv" else []
        return [{"class": "PReLU", TENSORS: group.prelu.name, "shared_axes": shared}]
    if group.prelu is not None:
        return [{"class": "LeakyReLU", TENSORS: group.prelu.name}]
    if plan.activation in SLOPES:
        return [{"class": "LeakyReLU", "negative_slope": SLOPES[plan.activation]}]
    if plan.activation == "linear":
        return []
    return [{"class": "Activation", "activation": plan.activation}]


def _pool(pool: Pool, kind: str) -> list[Config]:
    if pool.size == 1:
        return []
    name = "MaxPooling2D" if kind == "max" else "AveragePooling2D"
    return [{"class": name, "pool_size": pool.size, "strides": pool.strides}]
