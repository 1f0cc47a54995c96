"""The card of a merged model: what it was made of, as the Hub reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harmonia.core.files import write_text
from harmonia.merge.inputs import Inputs
from harmonia.merge.recipe import MergeRecipe

if TYPE_CHECKING:
    from harmonia.merge.mixture.building import Built


def write_card(
    folder: Path, recipe: MergeRecipe, inputs: Inputs, counts: Sequence[float], scaling: float | None
) -> None:
    """Write README.md beside the weights; a card of one of the inputs would tell of another model."""
    meaning = [_plain(type(recipe.weights).meaning()), ""]
    origin = f"Base: {inputs.base or 'none'}" + ("" if scaling is None else f"; scaling {scaling:g}")
    _write(folder, recipe, inputs, counts, [*meaning, origin], "merge")


def write_mixture_card(
    built: Built, recipe: MergeRecipe, inputs: Inputs, counts: Sequence[float], summary: Mapping[str, Any]
) -> None:
    """Write README.md of a mixture: what is shared, what chooses, how it is loaded."""
    found = summary["mixture"]
    load = (
        'model = transformers.AutoModelForCausalLM.from_pretrained(".")'
        if built.is_stock
        else 'from harmonia.models.mixture.folder import load\n\nmodel = load(".")'
    )
    lines = [
        _plain(type(recipe.routing).meaning()),
        "",
        f"{summary['parameters']:,} parameters, of which at most {found['active_parameters']:,} work for a token; "
        f"{found['top_k']} of {len(inputs.experts)} experts are chosen. Shared: {found['shared']}, merged by "
        f"`{recipe.weights.kind_name()}`.",
        "",
        f"Base: {inputs.base or 'none'}",
        "",
        "```python",
        load,
        "```",
    ]
    _write(built.folder, recipe, inputs, counts, lines, "moe")


def _write(
    folder: Path, recipe: MergeRecipe, inputs: Inputs, counts: Sequence[float], about: Sequence[str], tag: str
) -> None:
    lines = [
        "---",
        f"tags: [{tag}, harmonia]",
        "---",
        "",
        f"# Merged by `{recipe.name}`",
        "",
        *about,
        "",
        *(f"- {name}, weight {count:g}" for name, count in zip(inputs.experts, counts, strict=True)),
        "",
        "```yaml",
        recipe.to_yaml().strip(),
        "```",
        "",
    ]
    write_text(folder / "README.md", "\n".join(lines))


def _plain(text: str) -> str:
    return text.replace("``", "`")
