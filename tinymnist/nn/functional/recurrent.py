"""Recurrent layers: the same step for each row of a sequence, with a state handed on.

``recurrent(x, kernel, recurrent_kernel, bias, step)`` is the loop; ``step`` is what a cell does at
one time t, from z_t = x_t @ kernel + bias and the state before. Going back, the gradient of a state
comes from the output at its own time and from the state after it ("backpropagation through time",
Werbos 1990), so the loop runs backwards and adds both.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from tinymnist.nn.arrays import Array

State: TypeAlias = tuple[Array, ...]
"""What is handed on: (h,) or (h, c), each (n, units); the output is h."""
Function: TypeAlias = tuple[Callable[[Array], tuple[Array, Any]], Callable[[Array, Any], Array]]
"""An activation and its gradient."""
Step: TypeAlias = Callable[[Array, State, Array, "Array | None"], tuple[State, Any]]
"""``step(z, state, recurrent_kernel, recurrent_bias) -> state, cache``."""
StepBack: TypeAlias = Callable[[State, Any, Array], tuple[Array, State, Array, "Array | None"]]
"""``back(dstate, cache, recurrent_kernel) -> dz, dstate before, drecurrent_kernel, dbias``."""


def recurrent(
    x: Array,
    kernel: Array,
    recurrent_kernel: Array,
    bias: Array | None,
    step: Step,
    states: int = 1,
) -> tuple[Array, Any]:
    """Run a cell over a sequence, from a state of zeros.

    Args:
        x: (n, t, features).
        kernel: (features, gates * units).
        recurrent_kernel: (units, gates * units).
        bias: (gates * units,), or (2, gates * units) with the recurrent product's own, or None.
        step: of the cell.
        states: how many arrays the cell hands on.

    Returns:
        y (n, t, units), the output at every time.
    """
    own = None if bias is None or bias.ndim == 1 else bias[1]
    z = x @ kernel  # (n, t, f) @ (f, g*u) -> (n, t, g*u)
    if bias is not None:
        z = z + (bias if own is None else bias[0])
    units = recurrent_kernel.shape[0]
    state: State = (np.zeros((len(x), units), z.dtype),) * states
    y = np.empty((*x.shape[:2], units), z.dtype)
    caches = []
    for t in range(x.shape[1]):
        state, cache = step(z[:, t], state, recurrent_kernel, own)
        y[:, t] = state[0]
        caches.append(cache)
    return y, (x, kernel, recurrent_kernel, bias, caches, states)


def recurrent_backward(
    dy: Array, cache: Any, back: StepBack
) -> tuple[Array, Array, Array, Array | None]:
    """Run the loop backwards.

    At time t, the gradient of the state is dy_t plus what the step after it handed back.

    Returns:
        dx, dkernel, drecurrent_kernel and dbias, in the shapes of what they belong to.
    """
    x, kernel, recurrent_kernel, bias, caches, states = cache
    dz = np.empty((*x.shape[:2], kernel.shape[1]), dy.dtype)
    drecurrent = np.zeros_like(recurrent_kernel)
    down = np.zeros(kernel.shape[1], dy.dtype)
    dstate: State = (np.zeros((len(x), recurrent_kernel.shape[0]), dy.dtype),) * states
    for t in reversed(range(x.shape[1])):
        dstate = (dstate[0] + dy[:, t], *dstate[1:])
        dz[:, t], dstate, drecurrent_t, dbias_t = back(dstate, caches[t], recurrent_kernel)
        drecurrent += drecurrent_t
        if dbias_t is not None:
            down += dbias_t
    flat = dz.reshape(-1, dz.shape[2])  # (n, t, g*u) -> (n*t, g*u)
    dkernel = x.reshape(-1, x.shape[2]).T @ flat
    dbias = flat.sum(axis=0)
    if bias is not None and bias.ndim == 2:
        dbias = np.stack([dbias, down])
    return dz @ kernel.T, dkernel, drecurrent, None if bias is None else dbias


def simple_cell(f: Function) -> tuple[Step, StepBack]:
    """H = f(z + h' R), where h' is the state before and R the recurrent kernel (Elman, 1990)."""

    def step(z: Array, state: State, r: Array, _: Array | None) -> tuple[State, Any]:
        h, cache = f[0](z + state[0] @ r)
        return (h,), (state[0], cache)

    def back(dstate: State, cache: Any, r: Array) -> tuple[Array, State, Array, Array | None]:
        before, inner = cache
        dz = f[1](dstate[0], inner)
        return dz, (dz @ r.T,), before.T @ dz, None

    return step, back


def lstm_cell(f: Function, gate: Function) -> tuple[Step, StepBack]:
    """The long short-term memory (Hochreiter and Schmidhuber, 1997), gates in Keras's order.

    With a = z + h' R cut into a_i, a_f, a_c, a_o (input, forget, candidate, output):
    i, f, o = gate(a_i), gate(a_f), gate(a_o), g = f(a_c), then c = f c' + i g and h = o f(c).
    Backwards: do = dh f(c), dc += dh o f'(c), di = dc g, dg = dc i, df = dc c', dc' = dc f.
    """

    def step(z: Array, state: State, r: Array, _: Array | None) -> tuple[State, Any]:
        h, c = state
        ai, af, ac, ao = np.split(z + h @ r, 4, axis=1)
        (i, ki), (forget, kf), (g, kg), (o, ko) = gate[0](ai), gate[0](af), f[0](ac), gate[0](ao)
        new = forget * c + i * g
        out, kc = f[0](new)
        return (o * out, new), (h, c, i, forget, g, o, out, (ki, kf, kg, ko, kc))

    def back(dstate: State, cache: Any, r: Array) -> tuple[Array, State, Array, Array | None]:
        h, c, i, forget, g, o, out, (ki, kf, kg, ko, kc) = cache
        dh, dc = dstate
        dc = dc + f[1](dh * o, kc)
        parts = (gate[1](dc * g, ki), gate[1](dc * c, kf), f[1](dc * i, kg), gate[1](dh * out, ko))
        dz = np.concatenate(parts, axis=1)
        return dz, (dz @ r.T, dc * forget), h.T @ dz, None

    return step, back


def gru_cell(f: Function, gate: Function, reset_after: bool) -> tuple[Step, StepBack]:
    """The gated recurrent unit (Cho et al., 2014), gates in Keras's order: z, r, then candidate.

    With ``reset_after`` (as in cuDNN) the reset gate multiplies the product: with s = h' R + b,
    u = gate(z_z + s_z), r = gate(z_r + s_r), g = f(z_g + r s_g). Without, it multiplies the state:
    g = f(z_g + (r h') R_g). Then h = u h' + (1 - u) g.
    Backwards: du = dh (h' - g), dg = dh (1 - u), dh' = dh u, and what goes through the gates.
    """

    def step(z: Array, state: State, r: Array, b: Array | None) -> tuple[State, Any]:
        (h,), units = state, r.shape[0]
        s = h @ (r if reset_after else r[:, : 2 * units])
        if b is not None:
            s = s + b
        u, ku = gate[0](z[:, :units] + s[:, :units])
        reset, kr = gate[0](z[:, units : 2 * units] + s[:, units : 2 * units])
        inner = reset * s[:, 2 * units :] if reset_after else (reset * h) @ r[:, 2 * units :]
        g, kg = f[0](z[:, 2 * units :] + inner)
        return (u * h + (1 - u) * g,), (h, s, u, reset, g, (ku, kr, kg))

    def back(dstate: State, cache: Any, r: Array) -> tuple[Array, State, Array, Array | None]:
        h, s, u, reset, g, (ku, kr, kg) = cache
        (dh,), units = dstate, r.shape[0]
        du, dg = gate[1](dh * (h - g), ku), f[1](dh * (1 - u), kg)
        if reset_after:
            dr = gate[1](dg * s[:, 2 * units :], kr)
            ds = np.concatenate([du, dr, dg * reset], axis=1)
            dz = np.concatenate([du, dr, dg], axis=1)
            return dz, (dh * u + ds @ r.T,), h.T @ ds, ds.sum(axis=0)
        through = dg @ r[:, 2 * units :].T  # the gradient of reset * h
        dr = gate[1](through * h, kr)
        dz = np.concatenate([du, dr, dg], axis=1)
        gates = dz[:, : 2 * units]
        drecurrent = np.concatenate([h.T @ gates, (reset * h).T @ dg], axis=1)
        return dz, (dh * u + through * reset + gates @ r[:, : 2 * units].T,), drecurrent, None

    return step, back
