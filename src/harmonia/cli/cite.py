"""``harmonia cite``: the references of what was used."""

from __future__ import annotations

from pathlib import Path

from harmonia.cli.common import Speech


def cite(what: str, *, speech: Speech | None = None) -> None:
    """Print the BibTeX of what a run or a recipe uses.

    Parameters
    ----------
    what
        A run folder or a recipe's name.
    """
    speech = speech or Speech()
    speech.begin()
    from harmonia.core.run import Run
    from harmonia.stages import find_stage, stage_of_recipe

    path = Path(what)
    if path.is_dir():
        stage = find_stage(Run.at(path).request["stage"])
        recipe = stage.book.load(path / "recipe.yaml")
    else:
        stage = stage_of_recipe(what)
        recipe = stage.book.load(what)
    entries = stage.cite(recipe)
    speech.say({"recipe": recipe.name, "keys": recipe.references(), "bibtex": entries}, lambda: print(entries))
