"""Worlds by name, and tasks by what a user writes: ``metaworld:ocw10``, ``metaworld:push-v3,reach-v3``, ``points``."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module

from harmonia.core.errors import InputError, suggest
from harmonia.worlds.base import World

WORLDS = {
    "metaworld": ("harmonia.worlds.metaworld", "MetaWorld"),
    "pendulum": ("harmonia.worlds.pendulum", "Pendulum"),
    "points": ("harmonia.worlds.points", "Points"),
}
"""Name of a world -> module and class."""


def find_world(name: str) -> World:
    """Return a world by its name.

    Raises:
        InputError: no such world; the nearest is suggested.
        MissingExtraError: Gymnasium is not installed (``points``, ``pendulum``).
    """
    if name not in WORLDS:
        raise InputError(f"no world {name!r}{suggest(name, WORLDS)}")
    module, kind = WORLDS[name]
    world: World = getattr(import_module(module), kind)()
    return world


def parse(spec: str) -> tuple[World, tuple[str, ...]]:
    """Return the world and the tasks that ``world:names`` asks for.

    Args:
        spec: a world alone means all of its tasks; the names, separated by commas, are tasks or named sets.

    Raises:
        InputError: no such world or task, or a task of a second world.

    >>> world, tasks = parse("metaworld:ocw3,push-v3")
    >>> tasks
    ('faucet-close-v3', 'window-close-v3', 'handle-press-side-v3', 'push-v3')
    """
    name, _, names = spec.partition(":")
    world = find_world(name.strip())
    if not names.strip():
        return world, world.sets["all"]
    wanted = []
    for item in names.split(","):
        prefix, colon, rest = item.strip().rpartition(":")
        if colon and prefix != world.name:
            raise InputError(f"{spec}: tasks of one world only; {item.strip()!r} is not of {world.name}")
        wanted.append(rest)
    return world, find_tasks(world, wanted)


def find_tasks(world: World, names: Iterable[str]) -> tuple[str, ...]:
    """Return the tasks that names of tasks and of sets stand for, in order and with repetitions.

    Raises:
        InputError: the world has neither such a task nor such a set.
    """
    tasks = world.tasks()
    found: list[str] = []
    for name in names:
        if name in world.sets:
            found += world.sets[name]
        elif name in tasks:
            found.append(name)
        else:
            raise InputError(f"{world.name} has no task or set {name!r}{world.nearest(name)}")
    return tuple(found)
