"""A diagnosis as text and as a record: the output of ``tinymnist diagnose``."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinymnist.diagnosis.advice import Advice
from tinymnist.diagnosis.costs import Change, Cost
from tinymnist.diagnosis.mnist_statistics import mnist_reference
from tinymnist.diagnosis.properties import ALL
from tinymnist.diagnosis.results import Diagnosis
from tinymnist.reporting.text import percent, signed, table


def as_text(diagnosis: Diagnosis, advice: list[Advice]) -> str:
    """Tables and advice, for a terminal."""
    numbered = [f"{i}. [{one.topic}] {one.text}" for i, one in enumerate(advice, start=1)]
    head = f"{diagnosis.model} on {diagnosis.pictures.name}: {diagnosis.n} pictures"
    if not diagnosis.is_labelled:
        head += ", not labelled (agreement with what the full recipe reads)"
    parts = [head, _sequence_table(diagnosis), _cost_table(diagnosis), _drift_table(diagnosis)]
    return "\n\n".join([*parts, "Advice\n" + "\n".join(numbered)])


def _sequence_table(diagnosis: Diagnosis) -> str:
    rows = [
        (name, percent(share), percent(confidence))
        for name, share, confidence in diagnosis.sequence()
    ]
    kind = "accuracy" if diagnosis.is_labelled else "agreement"
    return table([("repaired one after the other", kind, "confidence"), *rows])


def _cost_table(diagnosis: Diagnosis) -> str:
    rows = [
        (
            cost.repair,
            signed(cost.points),
            f"{100 * cost.error:.1f}" + (" " if cost.is_certain else "?"),
            _gain(cost.alone),
            _gain(cost.step),
            _gain(cost.left_out),
        )
        for cost in diagnosis.costs
    ]
    head = (
        "what it costs, in points",
        "cost",
        "+- ",
        "repaired alone",
        "in sequence",
        "last of all",
    )
    note = (
        "cost: Shapley value, the mean gain over all orders of repair; they add up to the whole "
        "gain.\n?: no more than chance. (+fixed -broken) pictures."
    )
    return table([head, *rows]) + "\n" + note


def _gain(gain: Change) -> str:
    return f"{signed(gain.gain)} (+{gain.fixed} -{gain.broken})"


def _drift_table(diagnosis: Diagnosis) -> str:
    reference = mnist_reference()
    rows: list[tuple[str, ...]] = []
    for name, prop in ALL.items():
        drift = diagnosis.drifts[name]
        known = drift.values[~np.isnan(drift.values)]
        rows.append(
            (
                prop.title + (" *" if drift.is_notable else ""),
                _spread(known),
                _spread(reference.quantiles[name]),
                "-" if math.isnan(drift.distance) else f"{drift.distance:.2f}",
                f"{drift.chance:.2f}",
                prop.repair or "-",
            )
        )
    rows.append(_class_row(diagnosis))
    head = ("property", "yours: median (10-90 %)", "MNIST", "drift", "by chance", "repair")
    note = (
        "drift: Wasserstein-1 distance in units of MNIST's standard deviation, or of a tolerance "
        "where MNIST hardly varies;\nclass balance: total variation distance. *: notable, 0.5 or "
        "more and beyond chance."
    )
    return table([head, *rows]) + "\n" + note


def _spread(values: Any) -> str:
    if not values.size:
        return "-"
    low, middle, high = np.percentile(values, (10, 50, 90))
    digits = 1 if max(abs(low), abs(high)) >= 10 else 3
    return f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def _class_row(diagnosis: Diagnosis) -> tuple[str, ...]:
    shares, drift = diagnosis.class_shares, diagnosis.class_drift
    spread = f"{100 * shares.min():.0f} % to {100 * shares.max():.0f} %"
    title = "class balance" if diagnosis.is_labelled else "class balance, as read"
    return (title, spread, "9 % to 11 %", "-" if math.isnan(drift) else f"{drift:.2f}", "-", "-")


def as_record(diagnosis: Diagnosis, advice: list[Advice]) -> dict[str, Any]:
    """All figures and the advice, ready for JSON."""
    reference = mnist_reference()
    return {
        "set": diagnosis.pictures.name,
        "model": diagnosis.model,
        "n": diagnosis.n,
        "measure": "accuracy" if diagnosis.is_labelled else "agreement",
        "unread": len(diagnosis.failures),
        "sequence": [
            {"repaired": name, "share": share, "confidence": confidence}
            for name, share, confidence in diagnosis.sequence()
        ],
        "costs": [_cost_record(cost) for cost in diagnosis.costs],
        "properties": {
            name: {
                "unit": prop.unit,
                "repair": prop.repair or None,
                "yours": _quantiles(diagnosis.drifts[name].values),
                "mnist": _quantiles(reference.quantiles[name]),
                "drift": _number(diagnosis.drifts[name].distance),
                "drift_unit": reference.unit(name),
                "drift_by_chance": diagnosis.drifts[name].chance,
                "notable": diagnosis.drifts[name].is_notable,
            }
            for name, prop in ALL.items()
        },
        "class_balance": {
            "yours": dict(zip(diagnosis.class_names, diagnosis.class_shares.tolist(), strict=True)),
            "total_variation": _number(diagnosis.class_drift),
        },
        "advice": [{"topic": one.topic, "text": one.text} for one in advice],
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
