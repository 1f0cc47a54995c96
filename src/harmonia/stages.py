"""The stages that exist, one line each; and what can be asked of a recipe whatever its stage."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml

from harmonia.core.errors import InputError, suggest
from harmonia.core.part import Part
from harmonia.core.recipe import Recipe
from harmonia.core.run import Run
from harmonia.core.stage import Stage

STAGES = {
    "compress": "harmonia.compress.stage",
    "decide": "harmonia.decide.stage",
    "federate": "harmonia.federate.stage",
    "merge": "harmonia.merge.stage",
    "select": "harmonia.select.stage",
}
"""Name of a stage -> module that holds its ``STAGE``; imported when it is asked for. What reads any data comes last."""


def find_stage(name: str) -> Stage:
    """Return a stage by name.

    Raises:
        InputError: there is none; the nearest is suggested.
    """
    if name not in STAGES:
        raise InputError(f"no stage {name!r}{suggest(name, STAGES)}")
    stage: Stage = import_module(STAGES[name]).STAGE
    return stage


def stage_of_recipe(name: str) -> Stage:
    """Return the stage that has a recipe of this name.

    Raises:
        InputError: no stage has it; the nearest of all is suggested.
    """
    stages = [find_stage(stage) for stage in STAGES]
    for stage in stages:
        if name in stage.book.names():
            return stage
    for stage in stages:  # what one stage calls so comes before what another does by a second name
        if any(name in stage.book.aliases(other) for other in stage.book.names()):
            return stage
    known = [other for stage in stages for other in stage.book.names()]
    raise InputError(f"no recipe {name!r}{suggest(name, known)}")


def load_recipe(what: str | Path) -> tuple[Stage, Recipe]:
    """Return a recipe and its stage, from a recipe's name, a recipe's YAML file, or a run folder.

    Raises:
        InputError: it is none of these, or the run of a comparison, which has several.
    """
    path = Path(what)
    if path.is_dir():
        request = Run.at(path).request
        if "recipes" in request:
            raise InputError(f"{path} compares several recipes; name one of them: {', '.join(request['recipes'])}")
        stage = find_stage(request["stage"])
        return stage, stage.book.load(path / "recipe.yaml")
    if path.suffix in (".yaml", ".yml", ".json"):
        stage = find_stage(_stage_in(path))
        return stage, stage.book.load(path)
    stage = stage_of_recipe(str(what))
    return stage, stage.book.load(str(what))


def _stage_in(path: Path) -> str:
    try:
        record = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{path}: cannot be read as a recipe: {' '.join(str(error).split())}") from error
    if not isinstance(record, dict) or "stage" not in record:
        raise InputError(f"{path}: a recipe says its stage, for instance stage: select")
    return str(record["stage"])


def recipes(stage: str | None = None) -> list[dict[str, Any]]:
    """Return the recipes of one stage, or of all: name, stage, aliases, axes, meaning, cite."""
    return [
        {
            "name": recipe.name,
            "stage": found.name,
            "aliases": found.book.aliases(recipe.name),
            "axes": {axis: part.kind_name() for axis, part in recipe.choices().items()},
            "meaning": found.book.meaning(recipe.name),
            "cite": recipe.references(),
        }
        for found in (map(find_stage, [stage] if stage else STAGES))
        for recipe in found.book
    ]


def explain(what: str | Path) -> dict[str, Any]:
    """Return what a recipe is: per axis its part, the part's meaning, and each field with value and meaning.

    Args:
        what: a recipe's name, a recipe's YAML file, or a run folder.
    """
    stage, recipe = load_recipe(what)
    meaning = stage.book.meaning(recipe.name) if recipe.name in stage.book.names() else ""
    return {
        "name": recipe.name,
        "stage": stage.name,
        "meaning": meaning,
        "cite": recipe.references(),
        "axes": {
            axis: {"kind": part.kind_name(), "meaning": type(part).meaning(), "fields": _fields(part)}
            for axis, part in recipe.choices().items()
        },
    }


def _fields(part: Part) -> dict[str, dict[str, Any]]:
    values = part.model_dump(mode="json")
    return {
        name: {"value": values[name], "meaning": " ".join((field.description or "").split())}
        for name, field in type(part).model_fields.items()
        if name != "kind"
    }


def stage_of_data(places: Sequence[Any], *, clients: bool = False) -> Stage:
    """Return the stage that learns from data at these places, or from data in memory: the first that reads them all.

    Args:
        places: files, folders, names, or data in memory.
        clients: whether clients are spoken of; documents may have labels too, and who names clients means those.

    Raises:
        InputError: no place is named.
    """
    if not places:
        raise InputError("name the data: files or a folder")
    if clients:
        return find_stage("federate")
    return next(stage for stage in map(find_stage, STAGES) if all(stage.reads(place) for place in places))


def diagnose(data: Any, **settings: Any) -> dict[str, Any]:
    """Measure how the sources of some data disagree, before any compute is spent on training.

    Documents are compared by the diagnosis of ``select``, trajectories of tasks by that of ``decide``, labelled
    examples of clients by that of ``federate``, models with ``base`` by that of ``merge``; the arguments after the
    data are those of the one that reads them.
    """
    several = isinstance(data, list | tuple) and data and all(isinstance(place, str | Path) for place in data)
    if "base" in settings:
        return find_stage("merge").diagnose(data, **settings)
    clients = bool({"clients", "partition"} & settings.keys())
    return stage_of_data(data if several else [data], clients=clients).diagnose(data, **settings)


def compare(stage: str, *arguments: Any, **settings: Any) -> dict[str, Any]:
    """Run several recipes of a stage on the same data, seeds and budget.

    For instance
    ``compare("select", "corpus/", ["random", "disf-unit"], seeds=range(5), judge="lm", out="runs/table")``.

    The arguments after the stage are those of the stage's own ``compare``.
    """
    return find_stage(stage).compare(*arguments, **settings)


def citation(what: str | Path) -> dict[str, Any]:
    """Return the recipe, the keys and the BibTeX of everything that a recipe, or a run, uses.

    A run that used more or less than the recipe it holds says so under ``references`` of its request, as a comparison
    does: it used every recipe that it compared, and the judge.
    """
    request = Run.at(what).request if Path(what).is_dir() else {}
    if "references" in request:
        stage, name, keys = find_stage(request["stage"]), request["recipe"], request["references"]
    else:
        stage, recipe = load_recipe(what)
        name, keys = recipe.name, recipe.references()
    return {"recipe": name, "keys": keys, "bibtex": stage.cite(keys)}


def cite(what: str | Path) -> str:
    """Return the BibTeX of everything that a recipe, or a run, uses.

    Args:
        what: a recipe's name, a recipe's YAML file, or a run folder.
    """
    return str(citation(what)["bibtex"])
