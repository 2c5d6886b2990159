"""Ink against paper: whether anything stands out, and which of the two is ink."""

from __future__ import annotations

import numpy as np

from tinymnist.imaging.digit.paper import (
    denoise,
    ink_is_dark,
    noise_exceeds,
    noise_level,
)
from tinymnist.imaging.picture.otsu import split_at_otsu


def test_noise_does_not_stand_out_and_ink_does() -> None:
    noise = np.random.default_rng(1).normal(0.3, 0.05, (90, 90)).astype(np.float32)
    assert not split_at_otsu(np.clip(noise, 0, 1)).stands_out
    noise[30:60, 40:50] += 0.5
    assert split_at_otsu(np.clip(noise, 0, 1)).stands_out
    for grey in (0.0, 0.4, 1.0):
        assert not split_at_otsu(np.full((9, 9), grey, np.float32)).stands_out


def test_light_that_falls_off_evenly_does_not_decide_which_is_ink() -> None:
    fall = np.linspace(0, 0.3, 90, dtype=np.float32)[None, :].repeat(80, 0)
    for light in (1 - fall, 0.7 + fall, 1 - fall[:, ::-1], fall):
        assert ink_is_dark(light)


def test_whether_there_is_more_noise_is_judged_by_its_level() -> None:
    rng = np.random.default_rng(3)
    for shape in ((3, 3), (40, 61), (181, 203)):  # of the last only a sample counts
        grey = np.clip(rng.normal(0.5, 0.05, shape), 0, 1).astype(np.float32)
        level = noise_level(grey)
        assert noise_exceeds(grey, 0.98 * level) and not noise_exceeds(grey, 1.02 * level)
        rows = grey[2:] - 2 * grey[1:-1] + grey[:-2]
        both = np.abs(rows[:, 2:] - 2 * rows[:, 1:-1] + rows[:, :-2]).ravel()
        step = max(1, both.size // 8192)
        assert abs(level - np.median(both[::step]) / (6 * 0.6745)) < 1e-7


def test_denoising_returns_the_split_of_what_it_made() -> None:
    rng = np.random.default_rng(0)
    for side in (20, 30, 90):  # as it is, without specks, smoothed
        ink = np.zeros((side, side), np.float32)
        ink[side // 4 : side // 2, side // 4 : side // 2] = 0.6
        noisy = np.clip(ink + 0.15 * rng.standard_normal(ink.shape, np.float32), 0, 1)
        split = denoise(noisy)
        again = split_at_otsu(split.picture)
        np.testing.assert_array_equal(split.is_above, again.is_above)
        assert split.contrast == again.contrast and split.medians == again.medians
