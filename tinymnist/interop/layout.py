"""A plan written out: the layers of a :class:`~tinymnist.interop.plans.Plan`, ready to be built."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tinymnist.interop.assemble import TENSORS, Description
from tinymnist.interop.blocks import Block, Group
from tinymnist.interop.plans import ORDERS, Plan, Pool, Step

Config = Mapping[str, Any]
SLOPES = {"leaky_relu": 0.01}
"""PyTorch's LeakyReLU, unlike Keras's, has this slope."""


def describe(plan: Plan) -> Description:
    """The layers of a plan. The output stays what it is: no softmax is put behind it."""
    layers: list[Config] = []
    last = plan.groups[-1]
    steps = iter(plan.steps)
    headed = False
    for group in plan.groups:
        if group.main.kind == "conv":
            layers += _convolution(group, next(steps), plan, hidden=group is not last)
            continue
        if not headed:
            layers += _head(plan)
            headed = True
        layers += _dense(group, plan, hidden=group is not last)
    if not headed:
        layers += _head(plan)
    return Description(plan.input_shape, layers)


def _head(plan: Plan) -> list[Config]:
    if plan.head == "average":
        return [{"class": "GlobalAveragePooling2D"}]
    return [{"class": "Flatten"}] if len(plan.input_shape) > 1 else []


def _convolution(group: Group, step: Step, plan: Plan, hidden: bool) -> Iterator[Config]:
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
    activation = _activation(group, plan) if hidden else []
    pool = _pool(step.pool, plan.pooling)
    parts = {
        ORDERS[0]: (norms, activation, pool),
        ORDERS[1]: (activation, norms, pool),
        ORDERS[2]: (activation, pool, norms),
        ORDERS[3]: (pool, norms, activation),
    }[plan.order]
    for part in parts:
        yield from part


def _dense(group: Group, plan: Plan, hidden: bool) -> Iterator[Config]:
    yield {"class": "Dense", TENSORS: group.main.name, "units": group.main.outputs}
    norms = [_norm(norm) for norm in group.norms]
    activation = _activation(group, plan) if hidden else []
    first_active = plan.order in ORDERS[1:3]
    yield from (activation if first_active else norms)
    yield from (norms if first_active else activation)


def _norm(block: Block) -> Config:
    return {"class": "BatchNormalization", TENSORS: block.name, "epsilon": block.epsilon,
            "momentum": 0.9}  # fmt: skip


def _activation(group: Group, plan: Plan) -> list[Config]:
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
