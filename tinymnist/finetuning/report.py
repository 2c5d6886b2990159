"""What fine-tuning gained, as one HTML page: accuracy, confusion, and what is still misread."""

from __future__ import annotations

import shlex
from html import escape
from pathlib import Path

import numpy as np

from tinymnist.finetuning.trial import SHARES, Labels, Trial
from tinymnist.labelled import LabelledPictures
from tinymnist.reporting import html
from tinymnist.reporting.charts import bars
from tinymnist.reporting.figures import Card, contact_sheet
from tinymnist.reporting.text import count, percent

_MAX_CARDS = 100
_CONFUSION = (
    "Rows: the true class; columns: the class read after fine-tuning. Pictures: how many were held "
    "out and measured. Before, after: the share of them that was read correctly."
)


def write_report(
    trial: Trial, pictures: LabelledPictures, base_name: str, saved_as: Path, path: Path
) -> None:
    """Write the report completely or not at all.

    Args:
        trial, pictures: what was measured, and on what.
        base_name: the name of the model that was fine-tuned.
        saved_as: the file of the new model.
        path: the HTML file.

    Raises:
        InputError: when the file cannot be written.
    """
    title, explained = pictures.source.name, how_measured(trial, len(pictures.failures))
    accuracies = {"before": trial.accuracy_before, "after": trial.accuracy}
    figures = [(percent(a, 1), f"right {when} fine-tuning", "") for when, a in accuracies.items()]
    brought = [*how_much(trial), on_mnist(trial)]
    still = np.setdiff1d(trial.wrong, trial.lost)
    use = f"tinymnist predict --model {shlex.quote(saved_as.name)} photo.jpg"
    page = html.page(
        title=title,
        command="finetune",
        heading=f"{escape(base_name)}, fine-tuned on {escape(title)}",
        header=html.paragraph(explained) + html.figures(figures),
        sections=[
            html.section("What it brought", *map(html.paragraph, brought), _curve(trial)),
            html.section("Class by class", html.paragraph(_CONFUSION), _confusion(trial)),
            _pictures("Repaired", trial, pictures, trial.repaired),
            _pictures("Lost", trial, pictures, trial.lost),
            _pictures("Still misread", trial, pictures, still),
            html.section("Use it", f"<pre>{escape(use)}</pre>"),
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


def how_much(trial: Trial) -> list[str]:
    """Sentences on what fine-tuning brought, and how much of its change was kept."""
    before, after = trial.accuracy_before, trial.accuracy
    if trial.kept == 0:
        if before == 1.0:
            return ["The base already reads all of these right, so it stays as it is."]
        return [
            "The base stays as it is: fine-tuning gained nothing on the held-out pictures.",
            "More pictures may help.",
        ]
    said = []
    if trial.curve is not None:
        share = percent(trial.kept, 0)
        said.append(f"{share} of the change is kept: how much is chosen on the held-out pictures.")
    if before is not None and after is not None and after <= before:
        said.append("Fewer of them are doubtful, but no more are right.")
    return said


def on_mnist(trial: Trial) -> str:
    """A sentence on what the new model has forgotten; "" if it reads other classes."""
    found = trial.model.metadata.get("metrics", {}).get("mnist-sample")
    if not found:
        return ""
    before, after = (percent(found[key], 1) for key in ("accuracy_before", "accuracy"))
    return f"On {found['n']:,} of MNIST's training pictures: {before} right before, {after} after."


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


def _curve(trial: Trial) -> str:
    """The expected error by the share of the change, if the share was chosen by it."""
    if trial.curve is None:
        return ""
    most = max(trial.curve.max(), 1e-9)
    rows = [
        (
            f"{share:.0%}{' (the base)' if share == 0 else ''}",
            error / most,
            percent(error, 1),
            "yours" if share == trial.kept else "theirs",
        )
        for share, error in zip(SHARES, trial.curve, strict=True)
    ]
    title = "Expected error of held-out pictures, by the share of the change that is kept"
    return html.paragraph(title + ".") + html.scroll(bars(title, rows))


def _pictures(title: str, trial: Trial, pictures: LabelledPictures, chosen: Labels) -> str:
    """A contact sheet: the true class, and what the picture was read as before or after."""
    cards = []
    for i in chosen[:_MAX_CARDS]:
        names = [
            trial.class_names[number] if number >= 0 else "-"
            for number in (trial.labels[i], trial.before[i], trial.after[i])
        ]
        caption = f"{names[0]}: {names[1]} > {names[2]} {trial.confidence[i]:.0%}"
        cards.append(Card(pictures.images[i], caption, Path(pictures.names[i]).name))
    if not cards:
        return ""
    text = "; ".join(f"{card.note}: {card.caption}" for card in cards)
    rest = chosen.size - len(cards)
    more = html.paragraph(f"and {rest:,} more") if rest else ""
    explained = html.paragraph("The true class: what was read before > and after.")
    return html.section(title, explained, html.image(contact_sheet(cards), text), more)
