"""``tinymnist augment``: a contact sheet of random variants, before and after."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinymnist.commands.output import add_json_argument, print_json

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tinymnist.imaging.augmentation import Compose, ImageDataGenerator

EXAMPLES = """\
examples:
  tinymnist augment photo.jpg --out sheet.png                  variants of one digit
  tinymnist augment my-digits/ --out sheet.png --rotation 25   of the pictures in a folder
  tinymnist augment mnist-test --out sheet.png --elastic --stroke --noise
  tinymnist augment photo.jpg --out sheet.png --shear 20 --fill-mode constant --seed 3

The first column is the picture as a network gets it, the others are what a training would see.
exit codes: 0 drawn, 1 drawn but some pictures could not be read, 2 unusable input
"""

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
    "elastic": "bend as handwriting varies (Simard, 2003)",
    "perspective": "as a camera sees paper that is held askew",
    "stroke": "thicker and thinner pens",
    "blur": "out of focus",
    "contrast": "more and less contrast",
    "gamma": "lighter and darker middle tones",
    "noise": "noise from pixel to pixel",
    "cutout": "cover a rectangle",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument(
        "source", metavar="PICTURE|SET", help="a picture, a folder of them, or a labelled set"
    )
    parser.add_argument("--out", required=True, type=Path, metavar="FILE.png", help="the sheet")
    parser.add_argument("--count", type=_positive, default=8, help="variants a picture; default: 8")
    parser.add_argument("--rows", type=_positive, default=10, help="at most so many pictures; 10")
    parser.add_argument("--seed", type=int, default=0, help="same seed, same sheet")
    for name, (default, what) in RANGES.items():
        parser.add_argument(f"--{name}", type=float, default=default, help=f"{what}; {default}")
    parser.add_argument(
        "--fill-mode",
        default="nearest",
        choices=("nearest", "constant", "reflect", "wrap"),
        help="what comes in from outside; nearest",
    )
    parser.add_argument("--cval", type=float, default=0.0, help="for constant, 0 to 1; 0")
    for name, what in {**FLAGS, **EFFECTS}.items():
        parser.add_argument(f"--{name}", action="store_true", help=what)
    parser.add_argument(
        "--recipe",
        choices=("mnist", "resize", "none"),
        help="how a picture becomes 28x28, as in predict; MNIST's own stay as they are",
    )
    add_json_argument(parser)


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, not {value}")
    return value


def run(arguments: argparse.Namespace) -> int:
    """Prepare, vary, draw."""
    import numpy as np

    from tinymnist.figures import draw_sheet, save_figure

    names, images, code = _chosen(arguments)
    repeated = np.repeat(images, arguments.count, axis=0)
    varied = _generator(arguments).vary(repeated, np.random.RandomState(arguments.seed))
    varied = _effects(arguments)(varied, np.random.default_rng(arguments.seed))
    rows = varied.reshape(len(images), arguments.count, *images.shape[1:])
    sheet = draw_sheet(np.concatenate([images[:, None], rows], axis=1)[..., 0], names)
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
    from tinymnist.imaging.recipes import prepare

    if not _is_picture(arguments.source):
        return _from_set(arguments)
    images: list[Any] = []
    names: list[str] = []

    def work(name: str, source: Any) -> None:
        images.append(prepare(source, arguments.recipe or "mnist"))
        names.append(Path(name).name)

    code = for_each(sources_of([arguments.source])[: arguments.rows], work)
    return names, np.stack(images), code


def _is_picture(source: str) -> bool:
    """Whether this is a file or a folder of pictures without labels, or ``-``."""
    from tinymnist.files import PICTURE_SUFFIXES

    path = Path(source)
    if path.is_dir():
        classes = any(entry.is_dir() and entry.name[0] != "." for entry in path.iterdir())
        return not classes and not (path / "labels.csv").is_file()
    return source == "-" or path.suffix.lower() in PICTURE_SUFFIXES


def _from_set(arguments: argparse.Namespace) -> tuple[list[str], NDArray[np.float32], int]:
    """A few pictures from all over a set, with their labels for names."""
    import numpy as np

    from tinymnist.commands.output import warn
    from tinymnist.data import load_set
    from tinymnist.errors import InputError
    from tinymnist.reader import in_mnist_form, prepare_all

    labelled = load_set(arguments.source)
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
    from tinymnist.imaging.augmentation import ImageDataGenerator

    given = vars(arguments)
    ranges = {f"{name}_range".replace("-", "_"): given[name.replace("-", "_")] for name in RANGES}
    flags = {name.replace("-", "_"): given[name.replace("-", "_")] for name in FLAGS}
    return ImageDataGenerator(**ranges, **flags, fill_mode=arguments.fill_mode, cval=arguments.cval)


def _effects(arguments: argparse.Namespace) -> Compose:
    """What was asked for beyond the generator, in the order in which it happens to pictures."""
    from tinymnist.imaging import augmentation

    transforms = {
        "elastic": augmentation.Elastic,
        "perspective": augmentation.Perspective,
        "stroke": augmentation.StrokeWidth,
        "blur": augmentation.Blur,
        "contrast": augmentation.Contrast,
        "gamma": augmentation.Gamma,
        "noise": augmentation.Noise,
        "cutout": augmentation.Cutout,
    }
    chosen = [transforms[name]() for name in EFFECTS if getattr(arguments, name)]
    return augmentation.Compose(chosen)
