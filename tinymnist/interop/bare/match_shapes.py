"""The search for every architecture whose sizes fit a list of blocks, most likely first.

Weights fix kernels and widths, not activations, pooling, padding or strides. But the first Dense
layer after the convolutions takes a fixed number of features, and most combinations do not give
that number. The rule: ReLU after every hidden layer; after a convolution a 2x2 max-pool or none;
padding 0 or "same"; plans with the least padding first. It was exact for 39 of 55 state_dicts from
public repositories; if several plans fit, only labelled pictures can decide.

If nothing fits, the search is widened: strides of 2, other paddings and pools.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

from tinymnist.interop.bare.blocks import Block, Group, grouped, modules_between
from tinymnist.interop.bare.plans import (
    NO_POOL,
    NORM_ORDERS,
    PICTURE_SIDES,
    POOL_2,
    Plan,
    Pool,
    Step,
)
from tinymnist.nn.arrays import fit_windows

MOST_PLANS = 64
_MOST_SEARCH_STEPS = 200_000


class NoPlan(ValueError):
    """No architecture fits; the message names two blocks that cannot follow each other."""


def fitting(blocks: Sequence[Block], *, wide: bool = False) -> list[Plan]:
    """Every plan that fits, most likely first, at most :data:`MOST_PLANS`.

    Args:
        blocks: in the order in which they run.
        wide: search with strides and further paddings and pools even if the rule finds a plan.

    Raises:
        NoPlan: when none fits, with the reason.
    """
    try:
        groups = tuple(grouped(blocks))
    except ValueError as error:
        raise NoPlan(str(error)) from None
    convolutions = tuple(itertools.takewhile(lambda g: g.main.kind == "conv", groups))
    _check_chain(groups, convolutions)
    if not convolutions:
        features = groups[0].main.inputs
        side = math.isqrt(features)
        is_picture = side * side == features and side >= 8
        shape = (side, side, 1) if is_picture else (features,)
        return [Plan(shape, groups, (), norm_order=order) for order in _norm_orders(groups)]
    for wider in (True,) if wide else (False, True):
        plans = list(_search(groups, convolutions, wider))
        if plans:
            return sorted(plans, key=lambda plan: plan.cost)[:MOST_PLANS]
    wanted = groups[len(convolutions)].main if len(convolutions) < len(groups) else "the output"
    raise NoPlan(f"no pooling, padding and strides lead from {convolutions[0].main} to {wanted}")


def strided(plan: Plan) -> Plan | None:
    """The same plan with strides of 2 instead of its 2x2 pools, if that gives the same sizes.

    Weights do not distinguish the two, and pools are more likely. None if there is nothing to
    replace, or it does not fit.
    """
    side: tuple[int, int] = (plan.input_shape[0], plan.input_shape[1])
    steps = []
    for group, step in zip(plan.groups, plan.steps, strict=False):
        end, taken = _size_after(side, group.main.side, step), step
        if end is None:
            return None
        if step.pool == POOL_2:
            taken = replace(step, strides=2 * step.strides, pool=NO_POOL)
            if min(group.main.side) < 2 or _size_after(side, group.main.side, taken) != end:
                return None
        steps.append(taken)
        side = end
    return None if tuple(steps) == plan.steps else replace(plan, steps=tuple(steps))


def _check_chain(groups: Sequence[Group], convolutions: Sequence[Group]) -> None:
    if not groups:
        raise NoPlan("there are no convolution or dense layers")
    if any(group.main.kind == "conv" for group in groups[len(convolutions) :]):
        raise NoPlan("convolutions follow a dense layer, so the layers are not a plain chain")
    for before, after in itertools.pairwise(groups):
        a, b = before.main, after.main
        if a.kind == b.kind == "conv":
            fits = a.outputs % b.inputs == 0 and b.outputs % (a.outputs // b.inputs) == 0
        elif a.kind == "conv":
            fits = b.inputs % a.outputs == 0
        else:
            fits = a.outputs == b.inputs
        if not fits:
            reason = "the layers are not a plain chain (branches, sums, or another order)"
            raise NoPlan(f"{b} cannot follow {a}: {reason}")
    if convolutions and convolutions[0].main.inputs not in (1, 3):
        raise NoPlan(f"{convolutions[0].main} does not take pictures of 1 or 3 channels")


def _search(
    groups: tuple[Group, ...], convolutions: tuple[Group, ...], wide: bool
) -> Iterator[Plan]:
    dense = groups[len(convolutions)] if len(convolutions) < len(groups) else None
    area = 1 if dense is None else dense.main.inputs // convolutions[-1].main.outputs
    budget = itertools.count()
    for side, order in itertools.product(PICTURE_SIDES, _norm_orders(groups)):
        input_shape = (side, side, convolutions[0].main.inputs)
        choices = [
            (group.main.side, list(_steps(group, after, order, wide)))
            for group, after in zip(convolutions, (*convolutions[1:], dense), strict=True)
        ]
        for steps, size in _walk(choices, (side, side), budget):
            plan = Plan(input_shape, groups, steps, "flatten", order)
            if _is_redundant(plan):
                continue
            if math.prod(size) == area:
                yield plan
            if area == 1 and math.prod(size) > 1:
                yield replace(plan, head="average")


def _walk(
    choices: Sequence[tuple[tuple[int, int], Sequence[Step]]],
    size: tuple[int, int],
    budget: Iterator[int],
) -> Iterator[tuple[tuple[Step, ...], tuple[int, int]]]:
    """Every choice of a step per convolution, given their kernels' sides, with the final size."""
    if not choices:
        yield (), size
        return
    side, options = choices[0]
    for step in options:
        if next(budget) > _MOST_SEARCH_STEPS:
            return
        end = _size_after(size, side, step)
        if end is None:
            continue
        for steps, last in _walk(choices[1:], end, budget):
            yield (step, *steps), last


@functools.lru_cache(4096)  # the search asks for the same few sizes many thousand times
def _size_after(size: tuple[int, int], side: tuple[int, int], step: Step) -> tuple[int, int] | None:
    """None if a window does not fit."""
    vertical, horizontal = (step.padding if kernel > 1 else 0 for kernel in side)
    try:
        convolved = fit_windows(size, side, step.strides, (vertical, horizontal)).output
        return fit_windows(convolved, step.pool.size, step.pool.strides).output
    except ValueError:
        return None


def _steps(group: Group, after: Group | None, order: str, wide: bool) -> Iterator[Step]:
    side = max(group.main.side)
    same = (side - 1) // 2 if side % 2 else 0
    paddings = {0, same} | ({1, 2, side // 2} if wide and side > 1 else set())
    pools = [POOL_2, NO_POOL] + ([Pool(3, 3), Pool(3, 2)] if wide else [])
    all_strides = (1, 2) if wide else (1,)
    for pool, strides, padding in itertools.product(pools, all_strides, sorted(paddings)):
        if pool.size == 1 or _has_room(group, after, order):
            yield Step(padding, strides, pool)


def _has_room(group: Group, after: Group | None, order: str) -> bool:
    """Whether the numbers in an ``nn.Sequential``'s names leave room for a pool."""
    if group.norms and order in NORM_ORDERS[2:]:
        between = modules_between(group.main, group.norms[0])
        return between is None or between >= 1
    if after is None:
        return True
    between = modules_between(group.last, after.main)
    if between is None:
        return True
    activated = group.prelu is not None or (bool(group.norms) and order == NORM_ORDERS[1])
    flattens = group.main.kind == "conv" and after.main.kind == "dense"
    return between >= 1 + (not activated) + flattens


def _norm_orders(groups: Sequence[Group]) -> tuple[str, ...]:
    """Possible places of the norms; a single one if names show it."""
    normed = [group for group in groups[:-1] if group.norms]
    if not normed:
        return NORM_ORDERS[:1]
    between = modules_between(normed[0].main, normed[0].norms[0])
    if between is not None:
        return (NORM_ORDERS[min(between, 2)],)
    gammas = [norm.arrays["gamma"] for group in normed for norm in group.norms]
    if all(g.main.kind == "dense" for g in normed) or all((gamma > 0).all() for gamma in gammas):
        return NORM_ORDERS[:2]  # a pool then takes the same maximum before and after the norm
    return NORM_ORDERS


def _is_redundant(plan: Plan) -> bool:
    """Whether a more likely plan does the same, or the plan is implausible."""
    if plan.input_shape[0] != PICTURE_SIDES[0] and not plan.is_even:
        return True
    if plan.norm_order not in NORM_ORDERS[2:] or len(_norm_orders(plan.groups)) == 1:
        return False
    pairs = zip(plan.groups, plan.steps, strict=False)
    return not any(group.norms and step.pool.size > 1 for group, step in pairs)
