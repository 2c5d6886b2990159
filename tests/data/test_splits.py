"""Stratified splits and folds: every class on both sides, as far as there are pictures."""

from __future__ import annotations

import numpy as np
import pytest

from tinymnist.data.splits import NEVER, stratified_folds, stratified_split

LABELS = np.repeat([0, 1, 2, 5], [40, 7, 2, 1])


def test_a_split_takes_its_share_of_every_class_but_never_all_of_it() -> None:
    aside = stratified_split(LABELS, 0.25, 0)
    taken = {label: int(aside[label == LABELS].sum()) for label in (0, 1, 2, 5)}
    assert taken == {0: 10, 1: 2, 2: 0, 5: 0}
    whole = stratified_split(LABELS, 1.0, 0)
    assert {int(n) for n in LABELS[~whole]} == {0, 1, 2, 5}


def test_it_is_drawn_by_seed() -> None:
    assert np.array_equal(stratified_split(LABELS, 0.25, 3), stratified_split(LABELS, 0.25, 3))
    assert not np.array_equal(stratified_split(LABELS, 0.25, 3), stratified_split(LABELS, 0.25, 4))


def test_folds_hold_everything_out_once_and_always_leave_some_of_a_class() -> None:
    folds = stratified_folds(LABELS, 5, 0)
    assert set(folds[LABELS == 5]) == {NEVER}  # the only one of its class is always learnt from
    assert set(folds[LABELS != 5]) == set(range(5))
    for fold in range(5):
        assert {0, 1, 2, 5} == set(LABELS[folds != fold])
    sizes = np.bincount(folds[folds != NEVER])
    assert sizes.max() - sizes.min() <= 1


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match=r"share must be in 0\.\.1"):
        stratified_split(LABELS, 1.5, 0)
    with pytest.raises(ValueError, match="folds must be at least 2"):
        stratified_folds(LABELS, 1, 0)
