"""The page of a comparison: recipes side by side, each difference to the baseline with its interval.

A recipe is called better or worse only where the interval of its paired difference leaves zero out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from harmonia.report import plots
from harmonia.report.numbers import known, signed, value
from harmonia.report.page import render

Verdict = Literal["baseline", "better", "worse", "lower", "higher", "even", "unknown"]

LESS_IS_BETTER = ("bpb", "bits_per_byte", "loss", "perplexity", "ppl", "error", "seconds")
"""First words of metrics of which less is better; of others the record says, or nobody does."""


@dataclass(frozen=True)
class Cell:
    """One recipe under one metric.

    Attributes:
        recipe: name of the recipe.
        mean: mean over the seeds.
        std: spread over the seeds, or None.
        n: number of seeds.
        difference: mean paired difference to the baseline, or None for the baseline itself.
        low: lower end of its interval, or None.
        high: upper end.
        verdict: what the interval allows to say.
    """

    recipe: str
    mean: float | None
    std: float | None
    n: int
    difference: float | None
    low: float | None
    high: float | None
    verdict: Verdict

    @property
    def words(self) -> str:
        """Return the difference with its interval, or why there is none."""
        if self.verdict == "baseline":
            return "baseline"
        if self.difference is None:
            return "–"
        if self.low is None:
            return f"{signed(self.difference)} (no interval from one seed)"
        return f"{signed(self.difference)} [{signed(self.low)}, {signed(self.high)}]"

    @property
    def tone(self) -> str:
        """Return the CSS class of the verdict."""
        return {"better": "good", "worse": "bad"}.get(self.verdict, "even")


def direction(metric: str, record: Mapping[str, Any]) -> int:
    """Return -1 where less is better, +1 where more is, 0 where nobody says.

    ``record["better"]`` maps a metric or the word before its slash to ``"lower"`` or ``"higher"``.

    >>> direction("bpb/mean", {}), direction("accuracy", {"better": {"accuracy": "higher"}}), direction("epochs", {})
    (-1, 1, 0)
    """
    given = record.get("better") or {}
    first = metric.split("/", maxsplit=1)[0]
    said = given.get(metric, given.get(first))
    if said is not None:
        return {"lower": -1, "higher": 1}[said]
    return -1 if first in LESS_IS_BETTER else 0


def cells(record: Mapping[str, Any], metric: str) -> list[Cell]:
    """Return one cell per recipe, the baseline first, then from the best mean down where a best is known."""
    way = direction(metric, record)
    found = []
    for recipe, metrics in record["recipes"].items():
        s = metrics[metric]
        mean, std, difference, low, high = (
            s.get(k) if known(s.get(k)) else None for k in ("mean", "std", "difference", "low", "high")
        )
        if recipe == record["baseline"]:
            difference = low = high = None
        found.append(
            Cell(
                recipe,
                mean,
                std,
                int(s["n"]),
                difference,
                low,
                high,
                "baseline" if recipe == record["baseline"] else _verdict(low, high, way),
            )
        )
    return sorted(found, key=lambda c: (c.verdict != "baseline", -way * c.mean if c.mean is not None else math.inf))


def _verdict(low: float | None, high: float | None, way: int) -> Verdict:
    if low is None or high is None:
        return "unknown"
    if low <= 0 <= high:
        return "even"
    up = low > 0
    if way == 0:
        return "higher" if up else "lower"
    return "better" if up == (way > 0) else "worse"


def spelled(metric: str) -> str:
    """Return a metric's name in words.

    >>> spelled("bpb/mean"), spelled("accuracy")
    ('bits per byte, mean over sources', 'accuracy')
    """
    name, _, part = metric.partition("/")
    name = {"bpb": "bits per byte"}.get(name, name.replace("_", " "))
    return name + {"": "", "mean": ", mean over sources", "worst": ", worst source"}.get(part, f" on {part}")


def per_source(metrics: Sequence[str]) -> dict[str, list[str]]:
    """Return the metrics measured on single sources, by the word before the slash.

    >>> per_source(["bpb/law", "bpb/mail", "bpb/mean", "bpb/worst", "epochs"])
    {'bpb': ['bpb/law', 'bpb/mail']}
    """
    groups: dict[str, list[str]] = {}
    for metric in metrics:
        first, slash, rest = metric.partition("/")
        if slash and rest not in ("mean", "worst"):
            groups.setdefault(first, []).append(metric)
    return groups


def headline(metrics: Sequence[str]) -> list[str]:
    """Return the metrics that are not of a single source."""
    single = {m for group in per_source(metrics).values() for m in group}
    return [m for m in metrics if m not in single]


def findings(record: Mapping[str, Any]) -> list[str]:
    """Return in words what the intervals allow to say about the first metric."""
    named = headline(record["metrics"]) or list(record["metrics"])
    table = cells(record, named[0])
    others = [c for c in table if c.verdict != "baseline"]
    if not others:
        return [f"Only the baseline {record['baseline']} was measured."]
    said = []
    for tone in ("better", "worse", "higher", "lower"):
        which = [c for c in others if c.verdict == tone]
        if which:
            said.append(
                f"{tone.capitalize()} than {record['baseline']} on {spelled(named[0])}: "
                + "; ".join(f"{c.recipe} {c.words}" for c in which)
                + "."
            )
    even = [c.recipe for c in others if c.verdict == "even"]
    if even:
        said.append(
            f"Not told apart from {record['baseline']} on {spelled(named[0])} with these seeds (the interval holds "
            f"zero): {', '.join(even)}."
        )
    if any(c.verdict == "unknown" for c in others):
        said.append(
            "One seed gives no interval, so nothing is said about which recipe is better; "
            "run at least two seeds, better five or more."
        )
    return said


def page(record: dict[str, Any]) -> str:
    """Return the page of a comparison.

    Args:
        record: ``{"metrics": [name, ...], "baseline": recipe, "recipes": {recipe: {metric: {"mean", "std", "n",
            "difference", "low", "high"}}}, "seconds": {recipe: mean}, "peak_memory_bytes": {recipe: largest}}``, and
            where known ``"seeds"``, ``"judge"``, ``"budget"``, ``"inputs"``, ``"warnings"``, ``"cite"`` and
            ``"better": {metric: "lower" | "higher"}``. None stands for what was not measured.
    """
    named = headline(record["metrics"]) or list(record["metrics"])
    judged = [metric for metric in named if direction(metric, record)] or named
    return render(
        "compare.html",
        "Comparison of recipes",
        record=record,
        findings=findings(record),
        tables=[_table(record, metric) for metric in judged],
        facts=_facts(record, [metric for metric in named if metric not in judged]),
        heats=[_heat(record, first, group) for first, group in per_source(record["metrics"]).items()],
        costs=_costs(record),
    )


def _table(record: Mapping[str, Any], metric: str) -> dict[str, Any]:
    rows = cells(record, metric)
    ends = [x for c in rows for x in (c.difference, c.low, c.high) if x is not None] + [0.0]
    span = (min(ends), max(ends))
    drawn = plots.intervals(
        [(_or_nan(c.difference), _or_nan(c.low), _or_nan(c.high), c.tone, f"{c.recipe}: {c.words}") for c in rows], span
    )
    way = direction(metric, record)
    return {
        "metric": spelled(metric),
        "rows": list(zip(rows, drawn, strict=True)),
        "way": {-1: "less is better", 1: "more is better", 0: ""}[way],
    }


def _facts(record: Mapping[str, Any], metrics: Sequence[str]) -> dict[str, Any]:
    """Return what nobody calls good or bad, such as what a recipe picked: mean and spread per recipe."""
    rows = [
        {"recipe": name, "values": [(of[m]["mean"], of[m]["std"]) for m in metrics]}
        for name, of in record["recipes"].items()
    ]
    return {"metrics": [m.replace("_", " ") for m in metrics], "rows": rows}


def _or_nan(x: float | None) -> float:
    return math.nan if x is None else x


def _heat(record: Mapping[str, Any], first: str, group: list[str]) -> dict[str, Any]:
    by_metric = {metric: {c.recipe: c for c in cells(record, metric)} for metric in group}
    ordered_by = f"{first}/mean" if f"{first}/mean" in record["metrics"] else group[0]
    order = [c.recipe for c in cells(record, ordered_by)]
    largest = (
        max(
            (abs(c.difference) for row in by_metric.values() for c in row.values() if c.difference is not None),
            default=0.0,
        )
        or 1.0
    )
    rows = []
    for metric in group:
        row = []
        for recipe in order:
            cell = by_metric[metric][recipe]
            gain = (cell.difference or 0.0) * direction(metric, record)
            row.append(
                {
                    "words": value(cell.mean),
                    "tip": f"{metric.partition('/')[2]}, {recipe}\n{cell.words}",
                    "tone": "var(--good)" if gain > 0 else "var(--bad)" if gain < 0 else "var(--pool)",
                    "depth": round(45 * abs(cell.difference or 0.0) / largest),
                    "sure": cell.verdict in ("better", "worse"),
                }
            )
        rows.append({"source": metric.partition("/")[2], "cells": row})
    return {"metric": spelled(first), "recipes": order, "rows": rows}


def _costs(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    seconds, memory = record.get("seconds") or {}, record.get("peak_memory_bytes") or {}
    longest = max((s for s in seconds.values() if known(s)), default=0) or 1
    return [
        {"recipe": r, "seconds": seconds.get(r), "memory": memory.get(r), "wide": 100 * (seconds.get(r) or 0) / longest}
        for r in record["recipes"]
        if r in seconds or r in memory
    ]
