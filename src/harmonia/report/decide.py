"""The page of a policy: does it solve all tasks, where not, what conflicts, what was forgotten, and what it cost."""

from __future__ import annotations

import base64
import json
import math
import operator
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from harmonia.core.files import read_json
from harmonia.report import plots, stream
from harmonia.report.folder import environment, optional_json, optional_text, phases
from harmonia.report.heat import Heat, cosines, heat
from harmonia.report.numbers import NOTHING, bounds, brief, cosine, known, middle, percent, points, short, value
from harmonia.report.page import render
from harmonia.report.plots import COLOURS, Series, roles

if TYPE_CHECKING:
    from collections.abc import Iterable

SOLVED, FAILED = 0.8, 0.2
"""Share of held-out goals from which a task counts as solved, and below which it counts as failed."""
OPPOSED = -0.05
"""Cosine below which two tasks' gradients are named as opposed."""
EMBEDDED = 32 * 2**20
"""Most bytes of films inside a page."""
FILMS = {".gif": "image/gif", ".mp4": "video/mp4"}
NAMED = 5
"""Most names in a sentence."""
BLOCKS = 100
"""Most points of a curve of the mean loss."""


def page(run_folder: Path) -> str:
    """Return the page of a finished run of ``decide``, read from the run's folder alone.

    Args:
        run_folder: holds ``result/summary.json``, and the films that it names in ``result/videos``; ``run.json``,
            ``recipe.yaml`` and ``environment.json`` are shown when they are there.

    Raises:
        RunError: the summary is missing or damaged.
    """
    folder = Path(run_folder)
    summary = read_json(folder / "result" / "summary.json")
    given, unknown = (summary["success"].get(mode) for mode in ("given", "unknown"))
    found = summary["stream"]
    films, left_out = _films(folder, summary["videos"])
    return render(
        "decide.html",
        f"Policy by {summary['recipe']}",
        summary=summary,
        given=given,
        unknown=unknown,
        axes=[f"{axis}: {kind}" for axis, kind in summary["axes"].items()],
        findings=findings(summary),
        warnings=[*summary["warnings"], *left_out],
        totals=totals(summary),
        tasks=_tasks(summary),
        films=films,
        stream={
            "matrix": stream.matrix(found),
            "kept": stream.kept(found),
            "average": stream.averages({"average": found}),
            "forgetting": stream.forgotten({"forgetting": found}),
            "learning": stream.learning(found),
            "legend": roles(list(found["columns"])) if len(found["columns"]) <= COLOURS else [],
        }
        if found
        else None,
        conflict=_conflict(summary["conflict"]),
        sharing=_sharing(summary["sharing"]),
        losses=_losses(summary),
        use=_use(folder, summary),
        phases=phases(summary["seconds"]),
        recipe=optional_text(folder / "recipe.yaml"),
        environment=environment(folder),
        goals=optional_json(folder / "run.json").get("request", {}).get("goals"),
    )


def totals(summary: Mapping[str, Any]) -> dict[str, Any]:
    """Return the figures of the whole run: episodes, successes, solved tasks, parameters, seconds."""
    rates = summary["success"].get("given", {}).get("tasks", {})
    validation = [x for x in (summary["validation"] or {}).values() if known(x)]
    return {
        "episodes": sum(t["episodes"] for t in rates.values()),
        "successes": sum(t["successes"] for t in rates.values()),
        "solved": sum(t["rate"] >= SOLVED for t in rates.values()),
        "solved_from": SOLVED,
        "tasks": len(summary["tasks"]),
        "parameters": sum(summary["parameters"].values()),
        "validation": sum(validation) / len(validation) if validation else None,
        "seconds": sum(summary["seconds"].values()),
    }


def findings(summary: Mapping[str, Any]) -> list[str]:
    """Return in words what the figures of a run say; nothing is said that they do not show."""
    return [
        *_of_success(summary),
        *_of_stream(summary["stream"]),
        *_of_reuse(summary["sharing"]),
        *_of_conflict(summary["conflict"]),
        *_of_size(summary),
    ]


def _of_success(summary: Mapping[str, Any]) -> list[str]:
    given, unknown, all_of = summary["success"].get("given"), summary["success"].get("unknown"), totals(summary)
    if not given:
        error = all_of["validation"]
        return [f"The policy was not played; its mean squared error on held-out episodes is {value(error)}."]
    rates = {task: t["rate"] for task, t in given["tasks"].items()}
    solved = [task for task, rate in rates.items() if rate >= SOLVED]
    said = []
    if len(solved) == len(rates):
        said.append(
            f"One policy solves {'the task' if len(rates) == 1 else f'all {len(rates)} tasks'} "
            f"(each at least {100 * SOLVED:g} % of its held-out goals); mean success {percent(given['mean'])}."
        )
    else:
        said.append(
            f"Mean success {percent(given['mean'])} on held-out goals; {len(solved)} of {len(rates)} tasks are solved "
            f"(at least {100 * SOLVED:g} %){': ' + _some(solved) if solved else ''}."
        )
        between = [f"{middle(t, 40)} {percent(r)}" for t, r in rates.items() if FAILED <= r < SOLVED]
        failed = [f"{middle(t, 40)} {percent(r)}" for t, r in rates.items() if r < FAILED]
        if between:
            said.append(f"Solved in part: {_some(between)}.")
        if failed:
            said.append(f"Not solved: {_some(failed)}.")
    if unknown:
        change = unknown["mean"] - given["mean"]
        said.append(
            f"When it is not told the task, mean success is {percent(unknown['mean'])} ({points(change)} points)."
        )
    if unseen := summary["success"].get("unseen"):
        each = _some([f"{middle(task, 40)} {percent(t['rate'])}" for task, t in unseen["tasks"].items()])
        said.append(f"In tasks that it never learned, mean success is {percent(unseen['mean'])}: {each}.")
    return said


def _of_stream(found: Mapping[str, Any] | None) -> list[str]:
    if not found or len(found["columns"]) < 2:
        return []
    lost = {row["task"]: row for row in stream.kept(found)}
    worst = max(lost.values(), key=lambda row: row["lost"])
    said = []
    if worst["lost"] <= 0 and known(found["forgetting"]):
        better = found["forgetting"] < 0
        said.append(
            "Nothing was forgotten" + (f"; tasks even gained {points(-found['forgetting'])} points." if better else ".")
        )
    else:
        said.append(
            f"Forgetting: {points(-found['forgetting'])} points of success since each task was learned; most on "
            f"{middle(worst['task'], 40)}, from {percent(worst['learned'])} to {percent(worst['end'])}."
        )
    return said


def _of_reuse(sharing: Mapping[str, Any]) -> list[str]:
    served = [task for task, fact in (sharing.get("reuse") or {}).items() if fact.get("reused")]
    if not sharing.get("reuse"):
        return []
    if not served:
        return ["No task was served by earlier policies; every one got weights of its own."]
    return [f"Served by earlier policies, without weights of their own: {_some(served)}."]


def _of_conflict(conflict: Mapping[str, Any] | None) -> list[str]:
    if not conflict:
        return []
    matrix, tasks = conflict["cosine"], conflict["tasks"]
    said = (
        f"Where training ended, {percent(conflict['opposed_pairs'])} of the pairs of tasks pull the shared weights in "
        f"opposed directions (mean cosine {cosine(conflict['mean_cosine'])})"
    )
    lowest = min(
        ((matrix[i][j], i, j) for i in range(len(tasks)) for j in range(i) if known(matrix[i][j])), default=None
    )
    if lowest and lowest[0] < OPPOSED:
        said += f"; most of all {middle(tasks[lowest[2]], 40)} and {middle(tasks[lowest[1]], 40)} ({cosine(lowest[0])})"
    return [said + "."]


def _of_size(summary: Mapping[str, Any]) -> list[str]:
    parameters = list(summary["parameters"].values())
    if len(parameters) < 2:
        return []
    later = parameters[1:]
    said = f"{short(sum(parameters))} parameters: {short(parameters[0])} with the first task, then "
    if not any(later):
        return [said + "none per further task."]
    few, many = short(min(later)), short(max(later))
    return [said + (f"{few} per further task." if few == many else f"{few} to {many} per further task.")]


def _some(names: Sequence[str]) -> str:
    shown = [middle(name, 60) for name in names[:NAMED]]
    return ", ".join(shown) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")


def _tasks(summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    given, unknown = (summary["success"].get(mode, {}).get("tasks", {}) for mode in ("given", "unknown"))
    validation, widest = summary["validation"] or {}, max(summary["parameters"].values(), default=0) or 1
    rates = [given.get(task["name"]) for task in summary["tasks"]]
    drawn = plots.intervals(
        [
            (
                rate["rate"] if rate else math.nan,
                rate["low"] if rate else math.nan,
                rate["high"] if rate else math.nan,
                "picks",
                f"{task['name']}: {_rate(rate)}",
            )
            for task, rate in zip(summary["tasks"], rates, strict=True)
        ],
        (0.0, 1.0),
    )
    return [
        {
            **task,
            "rate": rate,
            "interval": bounds(rate["low"], rate["high"]) if rate else NOTHING,
            "tone": "" if not rate else "good" if rate["rate"] >= SOLVED else "bad" if rate["rate"] < FAILED else "",
            "drawn": svg,
            "unknown": unknown.get(task["name"]),
            "error": validation.get(task["name"]),
            "parameters": summary["parameters"].get(task["name"]),
            "wide": 100 * (summary["parameters"].get(task["name"]) or 0) / widest,
        }
        for task, rate, svg in zip(summary["tasks"], rates, drawn, strict=True)
    ]


def _rate(rate: Mapping[str, Any] | None) -> str:
    if not rate:
        return "not played"
    return (
        f"{rate['successes']} of {rate['episodes']} goals, {percent(rate['rate'])} {bounds(rate['low'], rate['high'])}"
    )


def _films(folder: Path, videos: Sequence[Mapping[str, Any]]) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the films as data that a page can hold, and what is said of those that it cannot."""
    shown, left_out, room = [], [], EMBEDDED
    for film in videos:
        path = folder / "result" / "videos" / Path(film["file"]).name
        kind = FILMS.get(path.suffix.lower())
        if kind is None or not path.is_file():
            left_out.append(f"the film {path.name} of task {film['task']} is missing")
            continue
        if path.stat().st_size > room:
            left_out.append(f"the film {path.name} of task {film['task']} is left out of this page: it is too large")
            continue
        data = base64.b64encode(path.read_bytes()).decode()
        room -= path.stat().st_size
        solved = bool(film["success"])
        words = f"{film['task']}, goal {film['goal']}: {'solved' if solved else 'not solved'}"
        shown.append(
            {
                **film,
                "solved": solved,
                "words": words,
                "moves": kind.startswith("video"),
                # the kind is one of ours and base64 holds no character that HTML knows
                "data": Markup("data:{};base64,{}").format(kind, data),
            }
        )
    return shown, left_out


def _conflict(conflict: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if not conflict:
        return None
    table = cosines(conflict["tasks"], conflict["cosine"])
    return {**conflict, "table": table, "words": cosine(conflict["mean_cosine"])}


def _sharing(picture: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a way of sharing shows of itself: masks, groups, the gate, attention, owners of weights."""
    return {
        "masks": _masks(picture),
        "groups": groups(picture["groups"]) if picture.get("groups") else [],
        "silhouettes": _silhouettes(picture.get("silhouettes")),
        "conflict_cosine": cosines(list(picture["groups"]), picture["conflict_cosine"])
        if picture.get("conflict_cosine") and picture.get("groups")
        else None,
        "gate": _gate(picture),
        "attention": _attention(picture.get("attention")),
        "reuse": _reuse(picture.get("reuse") or {}),
        "owned": _owned(picture.get("owned")),
    }


def _masks(picture: Mapping[str, Any]) -> dict[str, Any] | None:
    if not picture.get("masks"):
        return None
    names, density, overlap = picture["masks"], picture["density"], picture["overlap"]
    pairs = [(i, j) for i in range(len(names)) for j in range(i)]
    # of two independent masks of densities p and q the Jaccard index is p q / (p + q - p q)
    chance = [
        density[i] * density[j] / whole
        for i, j in pairs
        if (whole := density[i] + density[j] - density[i] * density[j])
    ]
    measured = [overlap[i][j] for i, j in pairs]
    return {
        "table": heat(names, names, overlap, span=(_mean(chance) or 0.0, 1.0), words=brief, plain=operator.eq),
        "density": [(name, d) for name, d in zip(names, density, strict=True)],
        "mean_density": _mean(density),
        "mean_overlap": _mean(measured),
        "by_chance": _mean(chance),
        "negative": (picture.get("conflict") or {}).get("negative"),
        "cosine": cosine((picture.get("conflict") or {}).get("cosine")),
    }


def groups(of: Mapping[str, int]) -> list[list[str]]:
    """Return the tasks of each group.

    >>> groups({"push": 0, "reach": 1, "shove": 0})
    [['push', 'shove'], ['reach']]
    """
    return [[task for task, group in of.items() if group == g] for g in sorted(set(of.values()))]


def _silhouettes(curve: Mapping[str, float] | None) -> Markup | None:
    if not curve or len(curve) < 2:
        return None
    counts = sorted(curve, key=int)
    return plots.lines(
        [Series("mean silhouette", "picks", [curve[c] for c in counts])],
        [int(c) for c in counts],
        x_label="number of groups",
        y_label="mean silhouette",
        whole_x=True,
        describe="How well each number of groups separates the tasks",
    )


def _gate(picture: Mapping[str, Any]) -> dict[str, Any] | None:
    confusion, of = picture.get("gate_confusion"), picture.get("groups")
    if not confusion or not of:
        return None
    names = [f"group {g + 1}" for g in range(len(confusion))]
    shares = [[x / sum(row) if sum(row) else None for x in row] for row in confusion]
    right, whole = sum(row[i] for i, row in enumerate(confusion)), sum(map(sum, confusion))
    return {
        "table": heat(
            [f"is {name}" for name in names],
            [f"chosen: {name}" for name in names],
            shares,
            span=(0.0, 1.0),
            words=percent,
            strong=operator.eq,
        ),
        "accuracy": right / whole if whole else None,
    }


def _attention(attention: Mapping[str, Mapping[str, float]] | None) -> Heat | None:
    if not attention:
        return None
    modules = list(dict.fromkeys(module for of in attention.values() for module in of))
    matrix = [[of.get(module) for module in modules] for of in attention.values()]
    return heat(list(attention), modules, matrix, span=(0.0, 1.0), words=brief, between=" attends to ", corner="task")


def _reuse(decisions: Mapping[str, Mapping[str, Any]]) -> dict[str, Any] | None:
    """Return the tests of reuse, and whether they went by success or by error."""
    if not decisions:
        return None
    return {
        "tests": [{"task": task, **fact} for task, fact in decisions.items()],
        "played": any("success" in fact for fact in decisions.values()),
        "fitted": any("error" in fact for fact in decisions.values()),
    }


def _owned(owned: Mapping[str, float] | None) -> list[dict[str, Any]]:
    """Return the share of the weights that each task owns, and what is free, as parts of one bar."""
    named = [name for name in owned or {} if name != "free"]
    parts = [{"name": name, "share": (owned or {})[name], "role": role} for role, name in roles(named)]
    return parts + ([{"name": "free", "share": owned["free"], "role": "pool"}] if owned else [])


def _mean(values: Iterable[float]) -> float | None:
    held = [x for x in values if known(x)]
    return sum(held) / len(held) if held else None


def _losses(summary: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the training loss along the steps: a curve per task or phase while there are colours, else the mean."""
    found = [point for point in summary["losses"] if known(point["loss"])]
    if len(found) < 2:
        return None
    ordered = summary["in_sequence"]
    stretches = [(point["phase"], point["task"] if ordered else "") for point in found]
    places: list[int] = []
    offset = 0
    for i, point in enumerate(found):
        if i and stretches[i] != stretches[i - 1]:  # steps are counted anew
            offset = places[-1] + 1
        places.append(offset + point["step"])
    phases = list(dict.fromkeys(point["phase"] for point in found))
    label = "phase" if not ordered and len(phases) > 1 else "task"
    names = list(dict.fromkeys(point[label] for point in found))
    if ordered or len(names) <= COLOURS:
        at = places
        curves = {name: [p["loss"] if p[label] == name else math.nan for p in found] for name in names}
        which = [(f"c{i % COLOURS}", name) for i, name in enumerate(names)]
    else:
        block = -(-len(found) // BLOCKS)
        at = places[::block]
        cut = [found[i : i + block] for i in range(0, len(found), block)]
        curves = {"mean over tasks": [sum(p["loss"] for p in part) / len(part) for part in cut]}
        which = [("picks", "mean over tasks")]
    return {
        "plot": plots.lines(
            [Series(name, role, curves[name]) for role, name in which],
            at,
            x_label="training step" + (", tasks in order" if ordered else ""),
            y_label="loss (log)",
            log_y=True,
            describe="Training loss along the steps",
        ),
        "legend": which if 1 < len(which) <= COLOURS else [],
        "phases": phases if label == "task" else [],
    }


def _use(folder: Path, summary: Mapping[str, Any]) -> dict[str, str]:
    def quoted(words: str) -> str:
        return json.dumps(words, ensure_ascii=False)

    task = summary["tasks"][0]["name"]
    return {
        "python": "from harmonia.decide import load\n\n"
        f"policy = load({quoted(str(folder))})\n"
        f"policy.reset({quoted(task)})  # when an episode begins\n"
        "action = policy.act(observation, reward)  # of the step before; 0 at the first\n",
        "shell": f"harmonia decide play {folder} --task {task} --video out.gif",
    }
