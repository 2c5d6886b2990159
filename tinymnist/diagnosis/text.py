"""A diagnosis as text and as a record: the output of ``tinymnist diagnose``."""

from __future__ import annotations

import math
import textwrap
from typing import Any

import numpy as np

from tinymnist.diagnosis.advice import Advice
from tinymnist.diagnosis.costs import Change, Cost
from tinymnist.diagnosis.properties import ALL, mnist_reference
from tinymnist.diagnosis.results import Diagnosis
from tinymnist.diagnosis.script import WITH_TINYMNIST, without_tinymnist
from tinymnist.reporting.text import count, percent, signed, table

_COSTS = """\
cost: Shapley value, the mean gain over all orders of repair; they add up to the whole gain.
?: no more than chance. (+fixed -broken) pictures."""
_DRIFTS = """\
drift: Wasserstein-1 distance in units of MNIST's standard deviation, or of a tolerance where \
MNIST hardly varies;
class balance: total variation distance. *: notable, 0.5 or more and beyond chance."""


def as_text(diagnosis: Diagnosis, advice: list[Advice]) -> str:
    """Tables and advice, for a terminal."""
    head = f"{diagnosis.model} on {diagnosis.pictures.name}: {count(diagnosis.n, 'picture')}"
    if not diagnosis.is_labelled:
        head += ", not labelled (agreement with what the full recipe reads)"
    kind = "accuracy" if diagnosis.is_labelled else "agreement"
    stages = [(name, percent(right), percent(sure)) for name, right, sure in diagnosis.sequence()]
    sequence = table([("repaired one after the other", kind, "confidence"), *stages])
    items = "\n".join(f"{i}. [{topic}] {text}" for i, (topic, text) in enumerate(advice, start=1))
    tables = (sequence, _cost_table(diagnosis), _drift_table(diagnosis))
    return "\n\n".join([head, *tables, f"Advice\n{items}", *_script(diagnosis)])


def _script(diagnosis: Diagnosis) -> list[str]:
    """What to change in a script of one's own, if that is any use."""
    return [
        f"{title}\n\n{textwrap.indent(code.rstrip(), '    ')}"
        for title, code in scripts(diagnosis).items()
    ]


def scripts(diagnosis: Diagnosis) -> dict[str, str]:
    """Lines of Python for the user's own script, by what they do; none if they bring nothing."""
    stages = [share for _, share, _ in diagnosis.sequence()]
    if stages[-1] <= stages[0]:
        return {}
    read = "right" if diagnosis.is_labelled else "as by the full recipe"
    right, n = diagnosis.by_hand
    found = {
        f"In your own script, {percent(stages[-1], 1)} are read {read} with": WITH_TINYMNIST,
    }
    if n and right / n > stages[0]:
        with_few = f"Without tinymnist, {right} of {n} are read {read} with"
        found[with_few] = without_tinymnist()
    return found


def _cost_table(diagnosis: Diagnosis) -> str:
    rows = [
        ("what it costs, in points", "cost", "+- ", "repaired alone", "in sequence", "last of all")
    ]
    for cost in diagnosis.costs:
        error = f"{100 * cost.error:.1f}" + (" " if cost.is_certain else "?")
        gains = (_gain(cost.alone), _gain(cost.step), _gain(cost.left_out))
        rows.append((cost.repair, signed(cost.points), error, *gains))
    return f"{table(rows)}\n{_COSTS}"


def _gain(gain: Change) -> str:
    return f"{signed(gain.gain)} (+{gain.fixed} -{gain.broken})"


def _drift_table(diagnosis: Diagnosis) -> str:
    reference = mnist_reference()
    rows = [("property", "yours: median (10-90 %)", "MNIST", "drift", "by chance", "repair")]
    for name, prop in ALL.items():
        drift = diagnosis.drifts[name]
        title = prop.title + (" *" if drift.is_notable else "")
        yours, mnist = _spread(drift.values), _spread(reference.quantiles[name])
        distance, chance = _two_digits(drift.distance), f"{drift.chance:.2f}"
        rows.append((title, yours, mnist, distance, chance, prop.repair or "-"))
    shares, balance = diagnosis.class_shares, _two_digits(diagnosis.class_drift)
    title = "class balance" if diagnosis.is_labelled else "class balance, as read"
    spread = f"{100 * shares.min():.0f} % to {100 * shares.max():.0f} %"
    rows.append((title, spread, "9 % to 11 %", balance, "-", "-"))
    return f"{table(rows)}\n{_DRIFTS}"


def _two_digits(number: float) -> str:
    return "-" if math.isnan(number) else f"{number:.2f}"


def _spread(values: Any) -> str:
    values = values[~np.isnan(values)]
    if not values.size:
        return "-"
    low, middle, high = np.percentile(values, (10, 50, 90))
    digits = 1 if max(abs(low), abs(high)) >= 10 else 3
    return f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def as_record(diagnosis: Diagnosis, advice: list[Advice]) -> dict[str, Any]:
    """All figures and the advice, ready for JSON."""
    reference = mnist_reference()
    properties = {}
    for name, prop in ALL.items():
        drift = diagnosis.drifts[name]
        properties[name] = {
            "unit": prop.unit,
            "repair": prop.repair or None,
            "yours": _quantiles(drift.values),
            "mnist": _quantiles(reference.quantiles[name]),
            "drift": _number(drift.distance),
            "drift_unit": reference.unit(name),
            "drift_by_chance": drift.chance,
            "notable": drift.is_notable,
        }
    keys = ("repaired", "share", "confidence")
    shares = dict(zip(diagnosis.class_names, diagnosis.class_shares.tolist(), strict=True))
    return {
        "set": diagnosis.pictures.name,
        "model": diagnosis.model,
        "n": diagnosis.n,
        "measure": "accuracy" if diagnosis.is_labelled else "agreement",
        "unread": len(diagnosis.failures),
        "sequence": [dict(zip(keys, stage, strict=True)) for stage in diagnosis.sequence()],
        "costs": [_cost_record(cost) for cost in diagnosis.costs],
        "properties": properties,
        "class_balance": {"yours": shares, "total_variation": _number(diagnosis.class_drift)},
        "advice": [one._asdict() for one in advice],
        "scripts": scripts(diagnosis),
        "by_hand": diagnosis.by_hand._asdict(),
    }


def _cost_record(cost: Cost) -> dict[str, Any]:
    changes = {"alone": cost.alone, "in_sequence": cost.step, "left_out": cost.left_out}
    return {
        "repair": cost.repair,
        "cost": cost.points,
        "error": cost.error,
        "certain": cost.is_certain,
        **{name: vars(change) | {"gain": change.gain} for name, change in changes.items()},
    }


def _quantiles(values: Any) -> dict[str, float] | None:
    known = values[~np.isnan(values)]
    if not known.size:
        return None
    names, levels = ("p10", "p25", "median", "p75", "p90"), (10, 25, 50, 75, 90)
    return dict(zip(names, np.percentile(known, levels).tolist(), strict=True))


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
