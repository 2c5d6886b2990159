"""``tinymnist augment``: a contact sheet of random variants, before and after."""

from __future__ import annotations

import argparse
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tinymnist import commands
from tinymnist.reporting.text import count

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Chosen = tuple[list[str], NDArray[np.float32], dict[str, str]]
    """Names, pictures (n, 28, 28, 1), and what was wrong with those that could not be read."""

EXAMPLES = """\
examples:
  tinymnist augment photo.jpg --out sheet.png                  variants of one digit
  tinymnist augment my-digits/ --out sheet.png --rotation 25   of the pictures in a folder
  tinymnist augment mnist-test --out sheet.png --elastic --stroke --noise
  tinymnist augment photo.jpg --out sheet.png --shear 20 --fill-mode constant --seed 3

The first column is the picture as a network gets it; the others are what training with an
ImageDataGenerator of these settings would see.
exit codes: 0 drawn, 1 drawn but some pictures could not be read, 2 unusable input
"""

_SEEDS = range(2**32)
"""What numpy.random.RandomState takes."""
_SEED = partial(commands.number, int, f"a whole number in 0..{_SEEDS[-1]}", _SEEDS.__contains__)
_SPAN = partial(commands.number, float, "a number in -1e6..1e6", lambda value: abs(value) <= 1e6)

RANGES = {
    "rotation": (10.0, "degrees to either side"),
    "width-shift": (0.1, "share of the side; from 1 on, pixels"),
    "height-shift": (0.1, "share of the side; from 1 on, pixels"),
    "shear": (0.1, "degrees to either side"),
    "zoom": (0.1, "0.1 is 0.9 to 1.1 times"),
}
"""The generator's ranges, each ``NAME_range``, with its default and meaning."""
FLAGS = {
    "horizontal-flip": "mirror half of them left to right",
    "vertical-flip": "mirror half of them top to bottom",
}
EFFECTS = {
    "elastic": ("Elastic", "bend as handwriting varies (Simard, 2003)"),
    "perspective": ("Perspective", "as a camera sees paper held at an angle"),
    "stroke": ("StrokeWidth", "thicker and thinner pens"),
    "blur": ("Blur", "out of focus"),
    "contrast": ("Contrast", "more and less contrast"),
    "gamma": ("Gamma", "lighter and darker middle tones"),
    "noise": ("Noise", "noise from pixel to pixel"),
    "cutout": ("Cutout", "cover a rectangle"),
}
"""The transforms beyond the generator, by option, in the order in which they happen."""


def add_augment(parser: argparse.ArgumentParser) -> commands.Declared:
    """Declare the command's arguments."""
    add = parser.add_argument
    add("source", metavar="PICTURE|SET", help="a picture, a folder of them, or a labelled set")
    add("--out", required=True, type=Path, metavar="FILE.png", help="the sheet")
    add("--count", type=commands.COUNT, default=8, help="variants per picture; default: 8")
    add("--rows", type=commands.COUNT, default=10, help="how many pictures at most; default: 10")
    add("--seed", type=_SEED, default=0, help="same seed, same sheet; default: 0")
    for name, (default, what) in RANGES.items():
        kind = commands.BELOW_ONE if name == "zoom" else _SPAN
        add(f"--{name}", type=kind, default=default, help=f"{what}; default: {default}")
    add(
        "--fill-mode",
        default="nearest",
        choices=("nearest", "constant", "reflect", "wrap"),
        help="what fills the place outside of the picture; default: nearest",
    )
    what = "brightness of --fill-mode constant, 0 to 1; default: 0.0"
    add("--cval", type=commands.SHARE, default=0.0, help=what)
    for name, what in [*FLAGS.items(), *((name, what) for name, (_, what) in EFFECTS.items())]:
        add(f"--{name}", action="store_true", help=what)
    what = "how a picture becomes 28x28, as in predict; default: MNIST's own stay as they are"
    add("--recipe", choices=commands.RECIPES, help=what)
    commands.add_options(parser, "--json")
    return EXAMPLES, _run


def _run(arguments: argparse.Namespace) -> int:
    """Prepare, vary, draw."""
    import numpy as np

    from tinymnist import augmentation
    from tinymnist.reporting.figures import picture_format, save_figure, variant_sheet

    picture_format(arguments.out)
    prepared = _of_pictures if _is_picture(arguments.source) else _of_set
    names, images, failures = prepared(arguments)
    commands.report_failures(failures)
    repeated = np.repeat(images, arguments.count, axis=0)
    ranges = commands.chosen(arguments, " ".join(RANGES).replace("-", "_"))
    others = commands.chosen(arguments, " ".join([*FLAGS, "fill-mode cval"]).replace("-", "_"))
    generator = augmentation.ImageDataGenerator(
        **{f"{name}_range": value for name, value in ranges.items()}, **others
    )
    kinds = [kind for name, (kind, _) in EFFECTS.items() if getattr(arguments, name)]
    effects = augmentation.Compose([getattr(augmentation, kind)() for kind in kinds])
    varied = generator.vary(repeated, np.random.RandomState(arguments.seed))
    varied = effects(varied, np.random.default_rng(arguments.seed))
    rows = varied.reshape(len(images), arguments.count, *images.shape[1:])
    sheet = variant_sheet(np.concatenate([images[:, None], rows], axis=1)[..., 0], names)
    save_figure(sheet, arguments.out)
    record = {"file": str(arguments.out), "pictures": names, "variants": arguments.count}
    shown = f"{count(len(names), 'picture')}, {count(arguments.count, 'variant')} each"
    return commands.show(arguments, record, f"{shown}: drawn in {arguments.out}", failures)


def _is_picture(source: str) -> bool:
    """Whether this is a file or a folder of pictures without labels, or ``-``."""
    from tinymnist.files import class_folders, is_picture

    path = Path(source)
    if os.path.isdir(source):
        return not class_folders(path) and not (path / "labels.csv").is_file()
    return source == "-" or is_picture(path)


def _of_pictures(arguments: argparse.Namespace) -> Chosen:
    """The first pictures of a folder that can be read, or a single one."""
    from tinymnist.commands.outputs import Kind, check_outputs
    from tinymnist.imaging.digit.recipes import prepare_all
    from tinymnist.labelled import check_any_left, named_failures
    from tinymnist.sources import Inputs

    sources = list(Inputs([arguments.source]))
    names = [name for name, _ in sources]
    check_outputs({"--out": (Kind.PICTURE, arguments.out)}, names)
    recipe = arguments.recipe or "mnist"
    prepared = prepare_all((source for _, source in sources), recipe, most=arguments.rows)
    failures = named_failures(names.__getitem__, prepared.failures)
    check_any_left(arguments.source, failures, len(prepared.kept))
    return [Path(names[i]).name for i in prepared.kept], prepared.images, failures


def _of_set(arguments: argparse.Namespace) -> Chosen:
    """Pictures from all over a labelled set, named by their labels."""
    from tinymnist.commands.outputs import Kind, check_outputs
    from tinymnist.data import load_set
    from tinymnist.labelled import prepare_set, spread

    labelled = load_set(arguments.source)
    picture = {"--out": (Kind.PICTURE, arguments.out)}
    check_outputs(picture, [arguments.source, *labelled.files])
    chosen = spread(len(labelled.labels), arguments.rows)
    found = prepare_set(labelled, arguments.recipe, only=chosen)
    return [labelled.class_names[i] for i in found.labels], found.images, found.failures
