"""The parts of a standalone file that read photos: copies of the package's own functions."""

from __future__ import annotations

from pathlib import Path
from string import Template

import numpy as np

from tinymnist import adapter, errors, memory
from tinymnist.adapter import SIDE, check_classifier, final_activation, picture_side
from tinymnist.errors import InputError
from tinymnist.imaging.digit import (
    components,
    filters,
    frame,
    isolate,
    normalize,
    paper,
    recipes,
    rules,
)
from tinymnist.imaging.picture import decode, formats, otsu, pixels
from tinymnist.interop.standalone import source
from tinymnist.nn.sequential import Sequential

MODULES = (
    *(errors, memory, otsu, pixels, formats, decode, components, filters, paper, isolate, rules),
    *(frame, normalize, recipes, adapter),
)
"""What reads pictures, each module before those that import it."""
_FOLDER = Path(__file__).parent


def recipe_fields(model: Sequential) -> dict[str, str]:
    """The fields of ``page.txt`` for a file that reads photos as ``tinymnist predict`` does.

    Raises:
        InputError: if the model does not take square pictures, or is not a classifier.
    """
    check_classifier(model)
    preprocessing = model.metadata.get("preprocessing", {})
    recipe = preprocessing.get("recipe", "mnist")
    if recipe not in recipes.RECIPES:
        raise InputError(f"{model.name}: recipe {recipe!r} is not one of {[*recipes.RECIPES]}")
    fit, probabilities = _fit(model, str(preprocessing.get("fit", "resize"))), _probabilities(model)
    read = Template((_FOLDER / "read.txt").read_text(encoding="utf-8")).substitute(
        recipe_name=source.quoted(recipe), fit=fit, probabilities=probabilities
    )
    names = source.used_names(read)
    copied = [text for text in source.needed(names, MODULES) if not text.startswith("Array")]
    code, test = source.joined(copied), ""
    if recipe == "mnist":
        page = recipes.specification().replace("\n", "\n# ").replace("\n# \n", "\n#\n")
        pairs = recipes.recipe_vectors().values()
        numbers = np.concatenate([part.ravel() for pair in pairs for part in pair])
        test = Template((_FOLDER / "recipe_test.txt").read_text(encoding="utf-8")).substitute(
            pictures=source.packed({"": numbers}),
            shapes="\n".join(f"    {grey.shape}," for grey, _ in pairs),
        )
        code = f"# {page}\n\n\n{code}"
    is_tested = " and recipe_test()" if test else ""
    return {"read": read, "recipe": f"{code}\n\n\n{test}", "is_recipe_tested": is_tested}


def _fit(model: Sequential, fit: str) -> str:
    """The line that brings 28x28 to another size."""
    side = picture_side(model.input_shape)
    return "" if side == SIDE else f"    x = _resized(x, {side}, {source.quoted(fit)})\n"


def _probabilities(model: Sequential) -> str:
    """The expression that turns the answers of the network to ``x`` into probabilities."""
    shape = model.input_shape
    is_rgb = len(shape) == 3 and shape[-1] == 3
    answers = "predict(x.repeat(3, axis=3))" if is_rgb else "predict(x[..., 0])"
    answers += "" if len(model.output_shape) == 1 else ".reshape(len(x), -1)"
    activation, _ = final_activation(model)
    if activation == "sigmoid":
        return f"shares_of({answers})"
    return answers if activation == "softmax" else f"softmax({answers})"
