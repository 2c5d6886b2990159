"""What a file may hold: one model if its layers are known, else every plan that fits its weights.

If several architectures fit, the user chooses one, or labelled pictures do
(:mod:`tinymnist.interop.conversion`); the code never guesses silently.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path

from tinymnist.errors import InputError
from tinymnist.interop.bare.architecture import Description, read_description
from tinymnist.interop.bare.assemble import assemble
from tinymnist.interop.bare.blocks import Block, convolutions_first
from tinymnist.interop.bare.match_shapes import NoPlan, fitting
from tinymnist.interop.bare.plans import Plan
from tinymnist.nn.sequential import Sequential

_MOST_LISTED_PLANS = 12


@dataclass(frozen=True)
class Candidates:
    """The models that a file may hold.

    Attributes:
        path: the file.
        model: if the file or a description defines the layers.
        plans: else the architectures that fit the weights, most likely first.
        blocks: the weights that plans are built with.
        source: the format and the file, for the metadata of a model built from a plan.
        channels_first: whether the weights were trained with channels first.
    """

    path: Path
    model: Sequential | None = None
    plans: Sequence[Plan] = ()
    blocks: Sequence[Block] = ()
    source: str = ""
    channels_first: bool = False

    @property
    def listed(self) -> list[str]:
        """The plans in words, numbered."""
        return [f"{i}) {plan}" for i, plan in enumerate(self.plans, 1)]

    def choose(self, plan: int | None = None) -> Sequential:
        """The only model, or the one of plan number ``plan``, counted from 1.

        Raises:
            InputError: as :meth:`plan`, or for a number although the layers are known.
        """
        if self.model is None:
            return self.build(self.plan(plan))
        if plan is not None:
            raise defines_layers(self.path, "plan")
        return self.model

    def plan(self, number: int | None = None) -> Plan:
        """The only plan, or number ``number``, counted from 1.

        Raises:
            InputError: when there are several and none was chosen, or the number is out of range.
        """
        if number is None and len(self.plans) > 1:
            more = " ..." if len(self.plans) > _MOST_LISTED_PLANS else ""
            raise InputError(
                f"{self.path}: {len(self.plans)} architectures fit its weights; choose one with "
                "plan=N (--plan N), or let labelled pictures decide (--score mnist-test): "
                f"{'; '.join(self.listed[:_MOST_LISTED_PLANS])}{more}"
            )
        if number is not None and not 1 <= number <= len(self.plans):
            expected = f"expected 1 to {len(self.plans)}"
            raise InputError(f"{self.path}: there is no plan {number}; {expected}")
        return self.plans[(number or 1) - 1]

    def build(self, plan: Plan) -> Sequential:
        """The model of a plan.

        Raises:
            InputError: when the weights do not fit after all.
        """
        source = f"{self.source}; inferred from its shapes: {plan}"
        return self._assemble(plan.describe(), source, f"{self.path}")

    def _assemble(self, description: Description, source: str, refusal: str) -> Sequential:
        try:
            model = assemble(
                description, self.blocks, channels_first=self.channels_first, name=self.path.stem
            )
        except (ValueError, TypeError, AttributeError, ArithmeticError) as error:
            raise InputError(f"{refusal}: {error}") from None
        model.metadata = {"preprocessing": {"recipe": "mnist"}, "source": source}
        return model


def defines_layers(path: str | PathLike[str], option: str) -> InputError:
    """The error for an option that only weights without an architecture take."""
    return InputError(f"{path}: the layers are already defined; drop --{option} ({option}=)")


def from_blocks(
    blocks: Sequence[Block],
    path: str | PathLike[str],
    source: str,
    *,
    architecture: Description | str | PathLike[str] | None = None,
    channels_first: bool = False,
) -> Candidates:
    """The models that blocks of weights may be, by a description or else by their shapes.

    Args:
        blocks: in the order of the file.
        path, source: for messages, and for the model's metadata.
        architecture: a description, or where :func:`read_description` finds one.
        channels_first: whether the weights were trained with channels first.

    Raises:
        InputError: when nothing fits, or the description does not.
    """
    found = Candidates(Path(path), None, (), blocks, source, channels_first)
    if architecture is None:
        try:
            return replace(found, plans=fitting(convolutions_first(blocks)))
        except NoPlan as error:
            advice = "describe the layers with --architecture FILE.json"
            raise InputError(f"{path}: {error}; {advice}") from None
    if not isinstance(architecture, Description):
        source = f"{source}; layers from {Path(architecture).name}"
        architecture = read_description(architecture)
    refusal = f"{path} does not fit the layers described"
    return Candidates(found.path, found._assemble(architecture, source, refusal))
