"""The recipe's main steps in plain NumPy and Pillow, for scripts that do without tinymnist.

``tinymnist diagnose`` prints the lines below, and measures them.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter, ImageOps


def prepare(file: str) -> NDArray[np.float64]:
    """Bring a picture of one digit to MNIST's form: (28, 28) in 0..1, white on black."""
    picture = ImageOps.exif_transpose(Image.open(file)).convert("RGBA")
    grey = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("L")
    grey.thumbnail((256, 256))
    if np.median(np.asarray(grey)) > np.mean(np.asarray(grey.getextrema(), float)):
        grey = ImageOps.invert(grey)  # polarity: white ink on black
    paper = grey.resize((32, 32)).filter(ImageFilter.MedianFilter(13)).resize(grey.size)
    x = np.maximum(np.asarray(grey, float) - np.asarray(paper), 0)  # paper: black, evenly lit
    levels = np.linspace(0, x.max(), 64)[:-1]  # the best one separates ink from paper (Otsu)
    gaps = np.array([x[x > level].mean() - x[x <= level].mean() for level in levels])
    level = levels[(gaps**2 * [np.var(x > level) for level in levels]).argmax()]
    x = np.clip((x - level / 2) / (np.median(x[x > level]) - level / 2), 0, 1)  # no noise
    rows, columns = (np.flatnonzero((x > 0.5).sum(axis) > max(x.shape) // 150) for axis in (1, 0))
    x = np.pad(x[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], 9)
    ink, length = x > 0.5, max(x.shape) - 18
    edges = sum(int((ink ^ np.roll(ink, 1, axis)).sum()) for axis in (0, 1))
    grow = np.clip(round(0.06 * length - ink.sum() / edges), 0, 9)  # stroke: as wide as MNIST's
    digit = Image.fromarray(np.uint8(255 * x)).filter(ImageFilter.MaxFilter(2 * int(grow) + 1))
    digit = digit.crop(digit.point(lambda value: 255 * (value > 127)).getbbox())
    width, height = (max(1, round(side * 20 / max(digit.size))) for side in digit.size)
    x = np.asarray(digit.resize((width, height), Image.Resampling.BOX)) / 255  # size: 20 pixels
    top = 28 - round(float(np.arange(height) @ x.sum(1) / x.sum()))  # position: by the
    left = 28 - round(float(np.arange(width) @ x.sum(0) / x.sum()))  # centre of mass
    canvas = np.zeros((56, 56))
    canvas[top : top + height, left : left + width] = x
    return canvas[14:42, 14:42]
