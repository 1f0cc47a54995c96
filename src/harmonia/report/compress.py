"""The page of a compression: what is left of the model, what it is worth, and which layers bear it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from harmonia.core.files import read_json
from harmonia.report import plots
from harmonia.report.folder import environment, optional_text, phases
from harmonia.report.heat import Heat, heat
from harmonia.report.numbers import brief, known, middle, percent, ratio, rounded, value
from harmonia.report.page import render
from harmonia.report.plots import Series

REPAIRS = {"E_none": "cut only", "E_bias": "with a bias", "E_ls": "least squares", "E_affine": "affine"}
"""Errors of a layer, and in words."""


def page(run_folder: Path) -> str:
    """Return the page of a finished run of ``compress``, read from the run's folder alone.

    Args:
        run_folder: holds ``result/summary.json``; ``recipe.yaml`` and ``environment.json`` are shown when they are
            there.

    Raises:
        RunError: the summary is missing or damaged.
    """
    folder = Path(run_folder)
    summary = read_json(folder / "result" / "summary.json")
    return render(
        "compress.html",
        f"Compression by {summary['recipe']}",
        summary=summary,
        model=Path(summary["model"]).name,
        axes=[f"{axis}: {kind}" for axis, kind in summary["axes"].items()],
        findings=findings(summary),
        rows=points(summary),
        dense=told(summary["score"]["name"], summary["dense"]["score"]),
        curves=_curves(summary),
        kept=_kept(summary["points"]),
        errors=[(point["ratio"], _errors(point["layers"]), _layers(point["layers"])) for point in summary["points"]],
        influence=_influence(summary["influence"]),
        use=_use(folder, summary),
        phases=phases(summary["seconds"]),
        recipe=optional_text(folder / "recipe.yaml"),
        environment=environment(folder),
    )


def told(name: str | None, score: Any) -> str:
    """Return a score as people read it.

    >>> told("accuracy", 0.5), told("perplexity", 12.345), told("cosine", 0.98765)
    ('50.0 %', '12.35', '0.9877')
    """
    return percent(score) if name == "accuracy" else f"{score:.4g}" if known(score) else value(score)


def points(summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a row per ratio: what is left, what it is worth, how fast it is."""
    dense, name = summary["dense"], summary["score"]["name"]
    found = []
    for point in summary["points"]:
        speeds = {
            batch: taken["dense"] / taken["pruned"] if taken["pruned"] else None
            for batch, taken in point["seconds_per_token"].items()
        }
        found.append(
            {
                "ratio": point["ratio"],
                "folder": point["folder"],
                "parameters": point["parameters"],
                "parameters_left": point["parameters"] / dense["parameters"],
                "macs": point["macs"],
                "macs_left": point["macs"] / dense["macs"],
                "score": told(name, point["score"]),
                "speeds": speeds,
                "seconds": {batch: taken["pruned"] for batch, taken in point["seconds_per_token"].items()},
                "loader": "transformers" if point["stock"] else "harmonia",
            }
        )
    return found


def findings(summary: Mapping[str, Any]) -> list[str]:
    """Return in words what the figures of a run say; nothing is said that they do not show."""
    return [
        *(_of_point(summary, row) for row in points(summary)),
        *_of_tasks(summary),
        *_of_repair(summary["points"]),
        *_of_speed(points(summary)),
        *_of_loading(summary["points"]),
    ]


def _of_point(summary: Mapping[str, Any], row: Mapping[str, Any]) -> str:
    said = (
        f"At {row['ratio']:g}, {percent(1 - row['parameters_left'])} of the parameters and "
        f"{percent(1 - row['macs_left'])} of the multiplications are gone"
    )
    name = summary["score"]["name"]
    if name is None:
        return said + "."
    if name == "cosine":
        return said + f"; embeddings have a cosine of {row['score']} to those of the dense model."
    return said + f"; {name} {row['score']}, {told(name, summary['dense']['score'])} before."


def _of_tasks(summary: Mapping[str, Any]) -> list[str]:
    before = summary["dense"].get("tasks", {})
    return [
        f"{task} of lm-eval: {value(found['value'])} dense, "
        + ", ".join(f"{value(point['tasks'][task]['value'])} at {point['ratio']:g}" for point in summary["points"])
        + (f" ({found['better']} is better)." if found["better"] else ".")
        for task, found in before.items()
    ]


def _of_repair(found: Sequence[Mapping[str, Any]]) -> list[str]:
    last = [row for row in found[-1]["layers"] if known(row["R2"]) and row["kept"] < row["units"]]
    if not last:
        return []
    worst, best = min(last, key=lambda row: row["R2"]), max(last, key=lambda row: row["R2"])
    said = (
        f"Of what varies in the removed inputs, the kept ones of a layer can give back {percent(worst['R2'])} "
        f"({middle(worst['name'], 40)}) to {percent(best['R2'])} ({middle(best['name'], 40)})"
    )
    return [said + (f", at {found[-1]['ratio']:g}." if len(found) > 1 else ".")]


def _of_speed(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    last = rows[-1]
    if not last["speeds"]:
        return []
    each = ", ".join(f"{ratio(speed, 1)} at batch {batch}" for batch, speed in last["speeds"].items())
    return [f"Measured speed at {last['ratio']:g}: {each}; its multiplications promise {ratio(1, last['macs_left'])}."]


def _of_loading(found: Sequence[Mapping[str, Any]]) -> list[str]:
    own = [f"{point['ratio']:g}" for point in found if not point["stock"]]
    if not own:
        return ["Plain transformers loads every model."]
    where = "It" if len(found) == 1 else f"What was made at {', '.join(own)}"
    why = "layers or heads have sizes, or a bias, that the stock class has no place for"
    if any(point.get("hidden") for point in found):
        why = "matrices stand between its hidden states, which the stock class has no place for"
    return [f"{where} needs harmonia.models.pruned.load: {why}."]


def _curves(summary: Mapping[str, Any]) -> list[tuple[str, Markup]]:
    """Return the score against what is left, drawn, where there are several ratios."""
    found, name = summary["points"], summary["score"]["name"]
    if len(found) < 2 or name is None:
        return []
    against = {
        "ratio": [point["ratio"] for point in found],
        "multiplications per token": [point["macs"] for point in found],
        "parameters": [point["parameters"] for point in found],
    }
    for batch in found[0]["seconds_per_token"]:
        taken = [1e3 * point["seconds_per_token"][batch]["pruned"] for point in found]
        against[f"milliseconds per token at batch {batch}"] = taken
    scores = [point["score"] for point in found]
    return [(words, _drawn(sorted(zip(x, scores, strict=True)), words, name)) for words, x in against.items()]


def _drawn(pairs: Sequence[tuple[float, float]], words: str, name: str) -> Markup:
    return plots.lines(
        [Series(name, "c0", [score for _, score in pairs])],
        [x for x, _ in pairs],
        x_label=words,
        y_label=name,
        y_words=percent if name == "accuracy" else value,
        describe=f"{name} against {words}",
    )


def shrinking(record: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the score of each recipe against the ratio, drawn: mean over the seeds with their range.

    Args:
        record: of a comparison; None is returned for one of other stages, or of a single ratio.
    """
    found = record.get("shrinking") or {}
    ratios = record.get("ratios") or []
    if not found or len(ratios) < 2:
        return None
    name = str(record["metrics"][0]).partition("/")[0]
    series = []
    for role, recipe in plots.roles(list(found)):
        each = [[point["score"] for point in curve] for curve in found[recipe]]
        seeds = list(zip(*each, strict=True))
        band = ([min(s) for s in seeds], [max(s) for s in seeds]) if len(each) > 1 else None
        series.append(Series(recipe, role, [sum(s) / len(s) for s in seeds], band))
    drawn = plots.lines(
        series,
        ratios,
        x_label="ratio",
        y_label=name,
        y_words=percent if name == "accuracy" else value,
        log_y=name == "perplexity",
        describe=f"{name} of each recipe against the ratio",
    )
    dense = told(name, record["dense"]["score"])
    return {
        "drawn": drawn,
        "legend": plots.roles(list(found)),
        "words": f"{name} against the ratio, mean over the seeds with their range; the dense model has {dense}",
    }


def _kept(found: Sequence[Mapping[str, Any]]) -> Heat | None:
    """Return the share of units that each layer keeps at each ratio."""
    layers = found[0]["layers"]
    if not layers:
        return None
    return heat(
        [f"{row['layer']} {row['kind']}" for row in layers],
        [f"{point['ratio']:g}" for point in found],
        [[point["layers"][place]["kept"] / row["units"] for point in found] for place, row in enumerate(layers)],
        span=(0.0, 1.0),
        words=rounded,
        between=", units kept in % at ",
        corner="layer \\ ratio",
    )


def _layers(layers: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return a row per layer with its errors as shares of that of cutting only."""
    found = []
    for row in layers:
        whole = row["E_none"]
        shares = {words: (row[key] / whole if known(row[key]) and whole else None) for key, words in REPAIRS.items()}
        found.append(
            {
                **row,
                "shares": shares,
                "used": row["error"] / whole if known(row["error"]) and whole else None,
                "ridge": "–" if row["ridge"] is None else brief(row["ridge"]),
            }
        )
    return found


def _errors(layers: Sequence[Mapping[str, Any]]) -> list[tuple[str, Markup]]:
    """Return what each repair leaves of the error of cutting only, over the layers of each kind, drawn."""
    found = []
    for kind in ("heads", "neurons"):
        rows = [row for row in layers if row["kind"] == kind and known(row["E_none"]) and row["E_none"] > 0]
        if len(rows) < 2:
            continue
        series = [
            Series(words, role, [row[key] / row["E_none"] for row in rows])
            for (role, words), key in zip(plots.roles(list(REPAIRS.values())[1:]), list(REPAIRS)[1:], strict=True)
        ]
        used = [math.nan if row["error"] is None else row["error"] / row["E_none"] for row in rows]
        series.append(Series("this run", "c3", used))
        drawn = plots.lines(
            series,
            [row["layer"] for row in rows],
            x_label="layer",
            y_label="share of the error",
            y_words=percent,
            whole_x=True,
            y_range=(0.0, max(1.0, *(y for s in series for y in s.y if math.isfinite(y)))),
            describe=f"Squared error of each layer's output after each repair, {kind}",
        )
        found.append((kind, drawn))
    return found


def _influence(influence: Sequence[float] | None) -> Markup | None:
    if influence is None:
        return None
    return plots.lines(
        [Series("block influence", "c0", list(influence))],
        list(range(len(influence))),
        x_label="layer",
        y_label="1 - cosine",
        whole_x=True,
        describe="How much each layer turns the direction of its input",
    )


def _use(folder: Path, summary: Mapping[str, Any]) -> str:
    point = summary["points"][-1]
    place = json.dumps(str(folder / "result" / point["folder"]), ensure_ascii=False)
    if point["stock"]:
        kind = summary["architecture"]
        return f"from transformers import {kind}\n\nmodel = {kind}.from_pretrained({place})\n"
    return f"from harmonia.models.pruned import load\n\nmodel = load({place})\n"
