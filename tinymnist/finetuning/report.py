"""What fine-tuning gained, as one HTML page: accuracy, confusion, and what is still misread."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tinymnist.finetuning.trial import Trial
from tinymnist.reporting import html
from tinymnist.reporting.figures import Card, contact_sheet
from tinymnist.reporting.text import count, percent

_MAX_CARDS = 100


def write_report(
    trial: Trial,
    images: NDArray[np.float32],
    names: Sequence[str],
    title: str,
    base_name: str,
    path: Path,
    unread: int = 0,
) -> None:
    """Write the report completely or not at all.

    Args:
        trial: what was measured.
        images: (n, 28, 28, 1) in 0..1, the pictures as the network sees them.
        names: of the pictures.
        title: the name of the set.
        base_name: the name of the model that was fine-tuned.
        path: the HTML file.
        unread: how many other pictures of the set could not be read.

    Raises:
        InputError: when the file cannot be written.
    """
    accuracies = ((trial.accuracy_before, "before"), (trial.accuracy, "after"))
    figures = [(percent(share, 1), f"right {when} fine-tuning", "") for share, when in accuracies]
    explained = (
        "Rows: the true class; columns: the class read after fine-tuning. Pictures: how many were "
        "held out and measured. Before, after: the share of them that was read correctly."
    )
    page = html.page(
        title=title,
        command="finetune",
        heading=f"{escape(base_name)}, fine-tuned on {escape(title)}",
        header=html.paragraph(how_measured(trial, unread)) + html.figures(figures),
        sections=[
            html.section("Class by class", html.paragraph(explained), _confusion(trial)),
            html.section("Still misread", _still_misread(trial, images, names)),
        ],
    )
    html.write_page(page, path)


def how_measured(trial: Trial, unread: int = 0) -> str:
    """A sentence on how it was measured, and one on pictures that could not be read."""
    lost = f" {unread:,} more could not be read." if unread else ""
    return _measured_on(trial) + lost


def _measured_on(trial: Trial) -> str:
    total = count(len(trial.labels), "picture")
    if not trial.folds:
        return f"{total}, one per class: nothing could be held out to measure on."
    if trial.folds == 1:
        return f"{total}, of which {trial.n:,} were held out and measured."
    return (
        f"{total}, of which {trial.n:,} were measured by models that had not seen them "
        f"({trial.folds} folds); the model that was saved has learnt from all."
    )


def _confusion(trial: Trial) -> str:
    confusion, names = trial.confusion, trial.class_names
    used = [i for i in range(len(names)) if (trial.labels == i).any()]
    columns = [i for i in range(len(names)) if i in used or confusion[:, i].any()]
    rows = []
    for number in used:
        own = trial.measured & (trial.labels == number)
        cells: list[html.Cell] = [escape(names[number])]
        for other in columns:
            found = int(confusion[number, other])
            kind = "none" if not found else "good" if other == number else "wrong"
            cells.append((str(found or "."), kind))
        shares = [
            float((taken[own] == number).mean()) if own.any() else None
            for taken in (trial.before, trial.after)
        ]
        before = shares[0] if trial.comparable else None
        cells += [str(int(own.sum())), percent(before, 1), percent(shares[1], 1)]
        rows.append(html.row(cells))
    heads = ["", *(escape(names[i]) for i in columns), "pictures", "before", "after"]
    return html.table(heads, rows, "numbers")


def _still_misread(trial: Trial, images: NDArray[np.float32], names: Sequence[str]) -> str:
    if not trial.n:
        return html.paragraph("Not measured.")
    wrong = trial.wrong
    if not wrong.size:
        return html.paragraph("None.")
    cards = [
        Card(
            images[i],
            f"{trial.class_names[trial.labels[i]]} > {trial.class_names[trial.after[i]]} "
            f"{trial.confidence[i]:.0%}",
            names[i],
        )
        for i in wrong[:_MAX_CARDS]
    ]
    text = "; ".join(f"{card.note}: {card.caption}" for card in cards)
    rest = wrong.size - len(cards)
    more = html.paragraph(f"and {rest:,} more") if rest else ""
    return html.image(contact_sheet(cards), text) + more
