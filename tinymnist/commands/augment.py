"""``tinymnist augment``: a contact sheet of random variants, before and after."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinymnist.commands.output import add_json_argument, check_outputs, print_json
from tinymnist.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tinymnist.augmentation import Compose, ImageDataGenerator

EXAMPLES = """\
examples:
  tinymnist augment photo.jpg --out sheet.png                  variants of one digit
  tinymnist augment my-digits/ --out sheet.png --rotation 25   of the pictures in a folder
  tinymnist augment mnist-test --out sheet.png --elastic --stroke --noise
  tinymnist augment photo.jpg --out sheet.png --shear 20 --fill-mode constant --seed 3

The first column is the picture as a network gets it, the others are what a training with
ImageDataGenerator of these settings would see.
exit codes: 0 drawn, 1 drawn but some pictures could not be read, 2 unusable input
"""

_MOST_SEED = 2**32 - 1  # what numpy.random.RandomState takes

RANGES = {
    "rotation": (10.0, "degrees to either side"),
    "width-shift": (0.1, "share of the side; from 1 on, pixels"),
    "height-shift": (0.1, "share of the side; from 1 on, pixels"),
    "shear": (0.1, "degrees to either side"),
    "zoom": (0.1, "0.1 is 0.9 to 1.1 times"),
}
"""The generator's ranges, each ``NAME_range``, with what it is without the option."""
FLAGS = {
    "horizontal-flip": "mirror half of them left to right",
    "vertical-flip": "mirror half of them top to bottom",
}
EFFECTS = {
    "elastic": ("Elastic", "bend as handwriting varies (Simard, 2003)"),
    "perspective": ("Perspective", "as a camera sees paper that is held askew"),
    "stroke": ("StrokeWidth", "thicker and thinner pens"),
    "blur": ("Blur", "out of focus"),
    "contrast": ("Contrast", "more and less contrast"),
    "gamma": ("Gamma", "lighter and darker middle tones"),
    "noise": ("Noise", "noise from pixel to pixel"),
    "cutout": ("Cutout", "cover a rectangle"),
}
"""The transforms beyond the generator, by option, in the order in which they happen."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument(
        "source", metavar="PICTURE|SET", help="a picture, a folder of them, or a labelled set"
    )
    parser.add_argument("--out", required=True, type=Path, metavar="FILE.png", help="the sheet")
    count = _number(int, "a whole number from 1 on", lambda value: value >= 1)
    share = _number(float, "a number in 0..1", lambda value: 0 <= value <= 1)
    zoom = _number(float, "a number from 0 to below 1", lambda value: 0 <= value < 1)
    span = _number(float, "a number in -1e6..1e6", lambda value: abs(value) <= 1e6)
    seed = _number(
        int, f"a whole number in 0..{_MOST_SEED}", lambda value: 0 <= value <= _MOST_SEED
    )
    parser.add_argument("--count", type=count, default=8, help="variants a picture; default: 8")
    parser.add_argument(
        "--rows", type=count, default=10, help="at most so many pictures; default: 10"
    )
    parser.add_argument("--seed", type=seed, default=0, help="same seed, same sheet; default: 0")
    for name, (default, what) in RANGES.items():
        parser.add_argument(
            f"--{name}",
            type=zoom if name == "zoom" else span,
            default=default,
            help=f"{what}; default: {default}",
        )
    parser.add_argument(
        "--fill-mode",
        default="nearest",
        choices=("nearest", "constant", "reflect", "wrap"),
        help="what comes in from outside; default: nearest",
    )
    parser.add_argument(
        "--cval", type=share, default=0.0, help="for constant, 0 to 1; default: 0.0"
    )
    effects = {name: what for name, (_, what) in EFFECTS.items()}
    for name, what in {**FLAGS, **effects}.items():
        parser.add_argument(f"--{name}", action="store_true", help=what)
    parser.add_argument(
        "--recipe",
        choices=("mnist", "resize", "none"),
        help="how a picture becomes 28x28, as in predict; MNIST's own stay as they are",
    )
    add_json_argument(parser)


def _number(kind: Callable[[str], Any], expected: str, fits: Callable[[Any], bool]) -> Any:
    """A type for argparse: numbers that fit, and a line that says what was expected."""

    def parse(text: str) -> Any:
        with suppress(ValueError):
            if fits(value := kind(text)):
                return value
        raise argparse.ArgumentTypeError(f"must be {expected}, not {text!r}")

    return parse


def run(arguments: argparse.Namespace) -> int:
    """Prepare, vary, draw."""
    import numpy as np

    from tinymnist.reporting.figures import save_figure, variant_sheet

    names, images, code = _chosen(arguments)
    repeated = np.repeat(images, arguments.count, axis=0)
    varied = _generator(arguments).vary(repeated, np.random.RandomState(arguments.seed))
    varied = _effects(arguments)(varied, np.random.default_rng(arguments.seed))
    rows = varied.reshape(len(images), arguments.count, *images.shape[1:])
    sheet = variant_sheet(np.concatenate([images[:, None], rows], axis=1)[..., 0], names)
    save_figure(sheet, arguments.out)
    if arguments.json:
        print_json({"file": str(arguments.out), "pictures": names, "variants": arguments.count})
    else:
        shown = "1 picture" if len(names) == 1 else f"{len(names)} pictures"
        print(f"{shown}, {arguments.count} variants each: drawn in {arguments.out}")
    return code


def _chosen(arguments: argparse.Namespace) -> tuple[list[str], NDArray[np.float32], int]:
    """Names, pictures (n, 28, 28, 1) and the exit code so far."""
    import numpy as np

    from tinymnist.commands.sources import for_each, sources_of
    from tinymnist.imaging.digit.recipes import prepare_image

    if not _is_picture(arguments.source):
        return _from_set(arguments)
    images: list[Any] = []
    names: list[str] = []

    def work(name: str, source: Any) -> None:
        if len(images) < arguments.rows:  # those that cannot be read take up no row
            images.append(prepare_image(source, arguments.recipe or "mnist"))
            names.append(Path(name).name)

    sources = sources_of([arguments.source])
    check_outputs({"--out": arguments.out}, [Path(name) for name, _ in sources])
    code = for_each(sources, work)
    return names, np.stack(images), code


def _is_picture(source: str) -> bool:
    """Whether this is a file or a folder of pictures without labels, or ``-``."""
    from tinymnist.files import is_hidden, is_picture

    path = Path(source)
    if os.path.isdir(source):
        classes = any(entry.is_dir() and not is_hidden(entry.name) for entry in path.iterdir())
        return not classes and not (path / "labels.csv").is_file()
    return source == "-" or is_picture(path)


def _from_set(arguments: argparse.Namespace) -> tuple[list[str], NDArray[np.float32], int]:
    """A few pictures from all over a set, with their labels for names."""
    import numpy as np

    from tinymnist.commands.output import warn
    from tinymnist.data import load_set
    from tinymnist.reader import in_mnist_form, prepare_all

    labelled = load_set(arguments.source)
    check_outputs({"--out": arguments.out}, [Path(arguments.source), *labelled.files])
    count = min(arguments.rows, len(labelled.labels))
    some = np.linspace(0, len(labelled.labels) - 1, count).round().astype(int)
    images = [labelled.images[i] for i in some]
    labels = [labelled.class_names[label] for label in labelled.labels[some]]
    if labelled.is_mnist and arguments.recipe in (None, "none"):
        return labels, in_mnist_form(images), 0
    prepared = prepare_all(images, arguments.recipe or "mnist")
    for error in prepared.failures.values():
        warn(f"left out: {error}")
    if not len(prepared.kept):
        raise InputError("no picture of the set could be read")
    kept = [labels[i] for i in prepared.kept]
    return kept, prepared.images, 1 if prepared.failures else 0


def _generator(arguments: argparse.Namespace) -> ImageDataGenerator:
    from tinymnist.augmentation import ImageDataGenerator

    given = vars(arguments)
    ranges = {f"{name}_range".replace("-", "_"): given[name.replace("-", "_")] for name in RANGES}
    flags = {name.replace("-", "_"): given[name.replace("-", "_")] for name in FLAGS}
    return ImageDataGenerator(**ranges, **flags, fill_mode=arguments.fill_mode, cval=arguments.cval)


def _effects(arguments: argparse.Namespace) -> Compose:
    """What was asked for beyond the generator."""
    from tinymnist import augmentation

    chosen = [kind for name, (kind, _) in EFFECTS.items() if getattr(arguments, name)]
    return augmentation.Compose([getattr(augmentation, kind)() for kind in chosen])
