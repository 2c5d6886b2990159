"""What fine-tuning gained, as one HTML page: accuracy, confusion, and what is still misread."""

from __future__ import annotations

from html import escape
from pathlib import Path

from tinymnist.finetuning.trial import Trial
from tinymnist.labelled import LabelledPictures
from tinymnist.reporting import html
from tinymnist.reporting.figures import Card, contact_sheet
from tinymnist.reporting.text import count, percent

_MAX_CARDS = 100
_CONFUSION = (
    "Rows: the true class; columns: the class read after fine-tuning. Pictures: how many were held "
    "out and measured. Before, after: the share of them that was read correctly."
)


def write_report(trial: Trial, pictures: LabelledPictures, base_name: str, path: Path) -> None:
    """Write the report completely or not at all.

    Args:
        trial, pictures: what was measured, and on what.
        base_name: the name of the model that was fine-tuned.
        path: the HTML file.

    Raises:
        InputError: when the file cannot be written.
    """
    title, explained = pictures.source.name, how_measured(trial, len(pictures.failures))
    accuracies = {"before": trial.accuracy_before, "after": trial.accuracy}
    figures = [(percent(a, 1), f"right {when} fine-tuning", "") for when, a in accuracies.items()]
    page = html.page(
        title=title,
        command="finetune",
        heading=f"{escape(base_name)}, fine-tuned on {escape(title)}",
        header=html.paragraph(explained) + html.figures(figures),
        sections=[
            html.section("Class by class", html.paragraph(_CONFUSION), _confusion(trial)),
            html.section("Still misread", _still_misread(trial, pictures)),
        ],
    )
    html.write_page(page, path)


def how_measured(trial: Trial, unread: int = 0) -> str:
    """A sentence on how it was measured, and one on pictures that could not be read."""
    if not trial.folds:
        rest = "one per class: nothing could be held out to measure on."
    elif trial.folds == 1:
        rest = f"of which {trial.n:,} were held out and measured."
    else:
        rest = (
            f"of which {trial.n:,} were measured by models that had not seen them ({trial.folds} "
            "folds); the model that was saved has learnt from all."
        )
    lost = f" {unread:,} more could not be read." if unread else ""
    return f"{count(len(trial.labels), 'picture')}, {rest}{lost}"


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
        n = int(own.sum())
        before, after = (
            percent((taken[own] == number).sum() / n if n else None, 1)
            for taken in (trial.before, trial.after)
        )
        rows.append(html.row([*cells, str(n), before if trial.comparable else "-", after]))
    heads = ["", *(escape(names[i]) for i in columns), "pictures", "before", "after"]
    return html.table(heads, rows, "numbers")


def _still_misread(trial: Trial, pictures: LabelledPictures) -> str:
    wrong, images, names = trial.wrong, pictures.images, pictures.names
    if not wrong.size:
        return html.paragraph("None." if trial.n else "Not measured.")
    cards = []
    for i in wrong[:_MAX_CARDS]:
        truth, taken = (trial.class_names[number] for number in (trial.labels[i], trial.after[i]))
        caption = f"{truth} > {taken} {trial.confidence[i]:.0%}"
        cards.append(Card(images[i], caption, Path(names[i]).name))
    text = "; ".join(f"{card.note}: {card.caption}" for card in cards)
    rest = wrong.size - len(cards)
    more = html.paragraph(f"and {rest:,} more") if rest else ""
    return html.image(contact_sheet(cards), text) + more
