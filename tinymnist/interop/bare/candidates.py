"""The models that bare weights may be: one where a description or the shapes settle it, or several.

Nothing is chosen in silence. Where several architectures fit, somebody says which, or labelled
pictures do (:mod:`tinymnist.interop.conversion`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from tinymnist.errors import InputError
from tinymnist.interop.bare.architecture import read_description
from tinymnist.interop.bare.assemble import Description, assemble
from tinymnist.interop.bare.blocks import Block
from tinymnist.interop.bare.layout import describe
from tinymnist.interop.bare.match_shapes import NoPlan, fitting
from tinymnist.interop.bare.plans import Plan
from tinymnist.nn.sequential import Sequential

_MOST_LISTED = 12
_DAMAGE = (ValueError, TypeError, AttributeError, ArithmeticError)


@dataclass(frozen=True)
class Candidates:
    """What the weights of a file may be.

    Attributes:
        path: the file.
        source: what it is, for the model's metadata.
        blocks: its weights.
        plans: the architectures that fit, likeliest first; none where one was described.
        described: the model of a description that was handed in.
        channels_first: the layout that the weights were trained in.
    """

    path: Path
    source: str
    blocks: Sequence[Block]
    plans: Sequence[Plan] = ()
    described: Sequential | None = None
    channels_first: bool = False

    @property
    def listed(self) -> list[str]:
        """The plans in words, numbered."""
        return [f"{i}) {plan}" for i, plan in enumerate(self.plans, 1)]

    def choose(self, number: int | None = None) -> Sequential:
        """The model, if there is one alone, or number ``number`` of several, from 1.

        Raises:
            InputError: when there are several and none was chosen, or there is no such number.
        """
        if self.described is not None:
            if number is not None:
                raise InputError(f"{self.path}: an architecture was given, so there is no plan")
            return self.described
        if number is None and len(self.plans) > 1:
            raise InputError(
                f"{self.path}: {len(self.plans)} architectures fit its weights; choose one with "
                "plan=N (--plan N), or let labelled pictures decide (--score mnist-test): "
                + "; ".join(self.listed[:_MOST_LISTED])
                + (" ..." if len(self.plans) > _MOST_LISTED else "")
            )
        if number is not None and not 1 <= number <= len(self.plans):
            raise InputError(
                f"{self.path}: there is no plan {number}; expected 1 to {len(self.plans)}"
            )
        return self.build(self.plans[(number or 1) - 1])

    def build(self, plan: Plan) -> Sequential:
        """The model of a plan.

        Raises:
            InputError: when the weights do not fit after all.
        """
        try:
            model = assemble(
                describe(plan), self.blocks, channels_first=self.channels_first, name=self.path.stem
            )
        except _DAMAGE as error:
            raise InputError(f"{self.path}: {error}") from None
        model.metadata = {
            "preprocessing": {"recipe": "mnist"},
            "source": f"{self.source}; inferred from its shapes: {plan}",
        }
        return model


def from_blocks(
    blocks: Sequence[Block],
    path: str | PathLike[str],
    source: str,
    *,
    architecture: str | PathLike[str] | None = None,
    channels_first: bool = False,
) -> Candidates:
    """Find out what blocks of weights may be.

    Args:
        blocks: in the order of the file.
        path, source: for messages, and for the model's metadata.
        architecture: a description, see :mod:`tinymnist.interop.bare.architecture`.
        channels_first: whether the features behind a Flatten are listed by channel.

    Raises:
        InputError: when nothing fits, or the description does not.
    """
    path = Path(path)
    if architecture is None:
        try:
            plans = fitting(in_order(blocks))
        except NoPlan as error:
            raise InputError(
                f"{path}: {error}; describe the layers with --architecture FILE.json"
            ) from None
        return Candidates(path, source, blocks, plans, channels_first=channels_first)
    described = read_description(architecture)
    source = f"{source}; layers from {Path(architecture).name}"
    return from_description(described, blocks, path, source, channels_first=channels_first)


def from_description(
    description: Description,
    blocks: Sequence[Block],
    path: str | PathLike[str],
    source: str,
    *,
    channels_first: bool = False,
) -> Candidates:
    """The one model that blocks of weights are, since somebody says its layers.

    Raises:
        InputError: when blocks and layers do not fit each other.
    """
    path = Path(path)
    try:
        model = assemble(description, blocks, channels_first=channels_first, name=path.stem)
    except _DAMAGE as error:
        raise InputError(f"{path} does not fit the layers described: {error}") from None
    model.metadata = {"preprocessing": {"recipe": "mnist"}, "source": source}
    return Candidates(path, source, blocks, described=model, channels_first=channels_first)


def in_order(blocks: Sequence[Block]) -> list[Block]:
    """Convolutions before dense layers, as they are applied, whatever was defined first."""
    kinds = [block.kind for block in blocks if block.kind in ("conv", "dense")]
    if "conv" not in kinds or kinds == sorted(kinds):
        return list(blocks)
    parts: dict[str, list[Block]] = {"conv": [], "dense": []}
    place = "conv"
    for block in blocks:
        place = block.kind if block.kind in parts else place
        parts[place].append(block)
    return parts["conv"] + parts["dense"]
