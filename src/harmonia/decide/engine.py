"""The engine of stage ``decide``: line the tasks up, train phase by phase, play held-out goals, write what came out."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from harmonia.core.errors import InputError, require
from harmonia.core.measure import reset_peak_memory
from harmonia.core.run import Run
from harmonia.data.trajectories import Trajectories
from harmonia.decide import output
from harmonia.decide.arena import Arena, Arenas
from harmonia.decide.lineup import Lineup
from harmonia.decide.presets import preset as resized
from harmonia.decide.recipe import DecideRecipe
from harmonia.decide.recipes import BOOK
from harmonia.decide.result import DecideResult
from harmonia.decide.work import Work
from harmonia.worlds.registry import WORLDS, find_world


def decide(
    data: str | Path | Trajectories,
    recipe: str | Path | DecideRecipe = "harmodt",
    *,
    tasks: str | Sequence[str] | None = None,
    stream: str | Sequence[str] | None = None,
    preset: str | None = None,
    settings: Iterable[str] = (),
    seed: int = 0,
    out: str | Path | None = None,
    resume: bool = False,
    goals: int = 10,
    horizon: int | None = None,
    curve: int = 0,
    workers: int | None = 1,
    videos: int = 0,
    quality: Sequence[str] | None = None,
    unseen: str | Sequence[str] | None = None,
    hold_prompts: bool = False,
    device: str = "auto",
    arenas: Arenas | None = None,
) -> DecideResult:
    """Train one policy for many tasks, all at once or one after another, from logged trajectories.

    Args:
        data: folder of a trajectory data set (``harmonia trajectories gather`` and ``import`` write one).
        recipe: a recipe's name (``harmonia recipes decide`` lists them), a YAML file, or a ``DecideRecipe``.
        tasks: tasks to learn together: names, or a named set of the data's world (``"mt10"``); all when left out.
        stream: tasks to learn one after another, in order: names, or a named stream (``"ocw10"``). A recipe that trains
            jointly learns them together, as a reference.
        preset: ``"smoke"``, ``"small"`` or ``"paper"``; a recipe that is named, not written, is smoke by default.
        settings: changes to the recipe, ``"axis.field=value"``.
        seed: fixes every random choice.
        out: run folder; a fresh temporary folder when left out.
        resume: go on with an interrupted run in ``out``.
        goals: held-out goals per task on which the policy is judged.
        horizon: steps of an episode of the judgement; by default that of the data.
        curve: in a stream, how many times the task being learned is judged on the way (for forward transfer).
        workers: processes that run environments; None for one per core.
        videos: how many tasks to film, one episode each.
        quality: train on episodes with these labels only, as ``["expert"]``; on all when left out.
        unseen: tasks of the data that are not learned, on which the policy is judged too.
        hold_prompts: keep the episodes that prompts would come from out of training although the recipe takes none, so
            that it trains on the same episodes as one that does.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.
        arenas: environments to use, and to leave open, for many runs in one process.

    Returns:
        The result: ``.policy``, ``.summary``, ``.outcomes``, ``.report()``.

    Raises:
        InputError: unusable data or settings; the message says what and where.
        RunError: the run was interrupted and can be resumed.
    """
    require("torch", "decide")
    for option, value in (("curve", curve), ("videos", videos)):
        if value < 0:
            raise InputError(f"--{option} {value}: a number of at least 0 is needed")
    record = load_recipe(recipe, preset, settings)
    trajectories = data if isinstance(data, Trajectories) else Trajectories.open(data)
    need_order([record], stream)
    names = named_tasks(trajectories, tasks, stream)
    strangers = () if unseen is None else named_tasks(trajectories, unseen, None)
    if tasks is None and stream is None:
        names = tuple(name for name in names if name not in strangers)
    record.check(len(names), unseen=bool(strangers))
    folder = Path(out) if out is not None else Path(tempfile.mkdtemp(prefix="harmonia-decide-"))
    request = {
        "data": str(Path(trajectories.folder).absolute()),
        "fingerprint": trajectories.fingerprint(),
        "tasks": list(names),
        "in_sequence": stream is not None,
        "seed": seed,
        "goals": goals,
        "horizon": horizon,
        "curve": curve,
        "videos": videos,
        "quality": None if quality is None else sorted(quality),
        "unseen": list(strangers),
        "hold_prompts": hold_prompts,
    }
    with Run.start(folder, record, request, resume=resume) as run:
        if not run.finished:
            reset_peak_memory()
            lineup = Lineup.of(
                trajectories, names, record, seed, quality=quality, unseen=strangers, hold_prompts=hold_prompts
            )
            for message in lineup.doubts(record):
                run.warn(message)
            places = arenas or Arenas(workers)
            try:
                arena = open_arena(lineup, run, places, horizon=horizon, goals=goals, seed=seed)
                work = Work(run, record, lineup, arena, seed, curve, _device(device))
                work.train()
                output.write(work, videos=videos)
            finally:
                if arenas is None:
                    places.close()
            run.finish()
    return DecideResult(folder)


def load_recipe(recipe: str | Path | DecideRecipe, preset: str | None, settings: Iterable[str]) -> DecideRecipe:
    """Return a recipe at its size and with its settings; one that is named, not written, is ``smoke`` by default."""
    record = BOOK.load(recipe)
    named = isinstance(recipe, str) and not recipe.endswith((".yaml", ".yml", ".json"))
    size = preset or ("smoke" if named else None)
    return (resized(record, size) if size else record).with_settings(settings)


def need_order(records: Iterable[DecideRecipe], stream: str | Sequence[str] | None) -> None:
    """Refuse a recipe that learns one task after another where nobody said in which order.

    Raises:
        InputError: names the recipe.
    """
    for record in records:
        if record.stream.sequential and stream is None:
            raise InputError(
                f"recipe {record.name} learns one task after another: say in which order with --stream, "
                "a set or tasks separated by commas"
            )


def named_tasks(
    data: Trajectories, tasks: str | Sequence[str] | None, stream: str | Sequence[str] | None
) -> tuple[str, ...]:
    """Return the names of the tasks to learn, in order; tasks that are learned together come in the order of names.

    Raises:
        InputError: both or unknown tasks, a repeated task among tasks to learn together.
    """
    if tasks is not None and stream is not None:
        raise InputError("--tasks and --stream: name the tasks to learn together, or those to learn in order, not both")
    wanted = stream if stream is not None else tasks
    if wanted is None:
        names = [record.name for record in data.tasks]
    else:
        words = [word.strip() for word in wanted.split(",")] if isinstance(wanted, str) else list(wanted)
        names = [name for word in words for name in _meant(data, word)]
    if stream is None:
        if len(set(names)) < len(names):
            raise InputError("--tasks names a task twice; a task can come again in a --stream only")
        names.sort()
    return tuple(names)


def _meant(data: Trajectories, word: str) -> tuple[str, ...]:
    """Return the tasks of the data that a name of a task or of a set stands for."""
    if any(record.name == word for record in data.tasks):
        return (word,)
    world, colon, name = word.rpartition(":")
    worlds = {world} if colon else {record.world for record in data.tasks if record.world in WORLDS}
    for each in sorted(worlds):
        sets = find_world(each).sets
        if name in sets:
            return tuple(data.task(task).name for task in sets[name])
    return (data.task(name).name,)


def open_arena(lineup: Lineup, run: Run, arenas: Arenas, *, horizon: int | None, goals: int, seed: int) -> Arena | None:
    """Return the environments of the tasks; None, with a warning, where they cannot be played."""
    if lineup.world not in WORLDS:
        lack = "name no common world" if lineup.world is None else f"are of world {lineup.world!r}, unknown to harmonia"
        run.warn(
            f"the tasks of {lineup.data.folder} {lack}, so the policy cannot be played: it is judged by its error on "
            "held-out episodes"
        )
        return None
    world, tasks, data = find_world(lineup.world), [record.name for record in lineup.records], lineup.data
    for what, given, played in (
        ("observation", data.observation_size, world.observation_size),
        ("action", data.action_size, world.action_size),
    ):
        if given != played:
            raise InputError(
                f"an {what} has {given} numbers in {data.folder} and {played} in world {world.name}, so the policy "
                "cannot be played there; import the data without --world"
            )
    steps = lineup.horizon if horizon is None else horizon
    if steps > lineup.horizon:
        run.warn(
            f"--horizon {steps}: the longest episode has {lineup.horizon} steps, and the policy has learned nothing of "
            "what comes after them"
        )
    return Arena(world, arenas, tasks, steps, goals, seed)


def _device(name: str) -> str:
    from harmonia.models.train_lm import best_device

    return str(best_device(name))
