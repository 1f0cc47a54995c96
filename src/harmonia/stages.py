"""The stages that exist: one line each."""

from __future__ import annotations

from importlib import import_module

from harmonia.core.errors import InputError, suggest
from harmonia.core.stage import Stage

STAGES = {
    "select": "harmonia.select.stage",
}
"""Name of a stage -> module that holds its ``STAGE``; imported when it is asked for."""


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
        if name in stage.book.names() or any(name in stage.book.aliases(other) for other in stage.book.names()):
            return stage
    known = [other for stage in stages for other in stage.book.names()]
    raise InputError(f"no recipe {name!r}{suggest(name, known)}")
