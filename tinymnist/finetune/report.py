"""What fine-tuning brought, as one HTML file: figures, confusion, and what is still misread."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from string import Template

import numpy as np
from numpy.typing import NDArray

from tinymnist.files import whole_file
from tinymnist.finetune.trial import Trial
from tinymnist.reporting import html
from tinymnist.reporting.figures import Card, contact_sheet

_PAGE = Path(__file__).with_name("report.html")
_MOST_CARDS = 100


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
        images: (n, 28, 28, 1), the pictures as the network sees them.
        names: what the pictures are called.
        title: what the set is called.
        base_name: the model that was fine-tuned.
        path: the HTML file.
        unread: how many other pictures of the set could not be read.

    Raises:
        InputError: when the file cannot be written.
    """
    page = Template(_PAGE.read_text(encoding="utf-8")).substitute(
        name=escape(title),
        model=escape(base_name),
        how=escape(how(trial, unread)),
        figures=_figures(trial),
        confusion=_confusion(trial),
        wrong=_wrong(trial, images, names),
    )
    with whole_file(path) as temporary:
        temporary.write_text(page, encoding="utf-8", errors="xmlcharrefreplace")


def how(trial: Trial, unread: int = 0) -> str:
    """One sentence on how it was measured, and one on what could not be read."""
    lost = f" {unread} more could not be read." if unread else ""
    return _measured_on(trial, len(trial.labels)) + lost


def _measured_on(trial: Trial, total: int) -> str:
    if not trial.folds:
        return f"{total} pictures, one a class: nothing could be held out to measure on."
    if trial.folds == 1:
        return f"{total} pictures, of which {trial.n} were held out and measured."
    return (
        f"{total} pictures, of which {trial.n} were measured by models that had not seen them "
        f"({trial.folds} folds); the model that was saved has learnt from all."
    )


def _figures(trial: Trial) -> str:
    chosen = {"before": trial.accuracy_before, "after": trial.accuracy}
    return "".join(
        f'<div class="figure"><b>{_percent(share)}</b>right {when} fine-tuning</div>'
        for when, share in chosen.items()
    )


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f} %"


def _confusion(trial: Trial) -> str:
    used = [i for i in range(len(trial.class_names)) if (trial.labels == i).any()]
    taken = [i for i in range(len(trial.class_names)) if i in used or trial.confusion[:, i].any()]
    heads = [trial.class_names[i] for i in taken] + ["pictures", "before", "after"]
    head = "".join(f"<th>{escape(name)}</th>" for name in heads)
    return f"<thead><tr><th></th>{head}</tr></thead><tbody>" + "".join(
        _row(trial, number, taken) for number in used
    )


def _row(trial: Trial, number: int, taken: Sequence[int]) -> str:
    own = trial.measured & (trial.labels == number)
    cells = ""
    for other in taken:
        count = int(trial.confusion[number, other])
        kind = "none" if not count else "good" if other == number else "wrong"
        cells += f'<td class="{kind}">{count or "."}</td>'
    before = float((trial.before[own] == number).mean()) if own.any() else None
    after = float((trial.after[own] == number).mean()) if own.any() else None
    shown = _percent(before if trial.comparable else None)
    return (
        f"<tr><th>{escape(trial.class_names[number])}</th>{cells}<td>{int(own.sum())}</td>"
        f"<td>{shown}</td><td>{_percent(after)}</td></tr>"
    )


def _wrong(trial: Trial, images: NDArray[np.float32], names: Sequence[str]) -> str:
    if not trial.n:
        return "<p>Not measured.</p>"
    wrong = trial.wrong
    if not wrong.size:
        return "<p>None.</p>"
    more = f"<p>and {wrong.size - _MOST_CARDS} more</p>" if wrong.size > _MOST_CARDS else ""
    cards = still_wrong(trial, images, names)
    text = "; ".join(f"{card.note}: {card.caption}" for card in cards)
    return html.image(contact_sheet(cards), text) + more


def still_wrong(trial: Trial, images: NDArray[np.float32], names: Sequence[str]) -> list[Card]:
    """A card for each picture that is misread, the surest errors first."""
    return [
        Card(
            images[i],
            f"{trial.class_names[trial.labels[i]]} > {trial.class_names[trial.after[i]]} "
            f"{trial.confidence[i]:.0%}",
            names[i],
        )
        for i in trial.wrong[:_MOST_CARDS]
    ]
