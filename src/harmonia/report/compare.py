"""The page of a comparison: recipes side by side, each difference to the baseline with its interval.

A recipe is called better or worse only where the interval of its paired difference leaves zero out. Policies that were
played have a second interval, over the (seed, goal) pairs, and streams of tasks have their success matrices. Federated
trainings have curves against what they spent, and what each recipe sends.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from harmonia.report import curves, partition, plots, stream
from harmonia.report.compress import shrinking
from harmonia.report.heat import DEPTH, Heat
from harmonia.report.heat import Cell as HeatCell
from harmonia.report.numbers import NOTHING, bounds, duration, known, percent, points, short, signed, value
from harmonia.report.page import render

if TYPE_CHECKING:
    from markupsafe import Markup

Verdict = Literal["baseline", "better", "worse", "lower", "higher", "even", "unknown", "unmeasured"]

LESS_IS_BETTER = ("bpb", "bits_per_byte", "loss", "perplexity", "ppl", "error", "seconds")
"""First words of metrics of which less is better; of others the record says, or nobody does."""
SHARES = (
    "success",
    "success_unknown",
    "success_unseen",
    "forgetting",
    "backward_transfer",
    "zero_shot_transfer",
    "accuracy",
    "balanced_accuracy",
    "class_spread",
    "personal_accuracy",
)
"""First words of metrics that are shares, told in percent and their differences in points."""
WORDS = {
    "bpb": "bits per byte",
    "success_unknown": "success where the task is not told",
    "success_unseen": "success in tasks that were not learned",
    "validation_error": "error on held-out episodes",
    "forward_transfer": "forward transfer (Continual World)",
    "libero_forward_transfer": "forward transfer (LIBERO)",
    "accuracy/last": "accuracy of the last round",
    "accuracy/last3": "accuracy, mean of the last three judged rounds",
    "log_perplexity_lost": "log-perplexity lost",
    "macs": "multiplications per token",
    "class_spread": "spread of accuracy over classes (std)",
    "personal_accuracy": "accuracy of each client's own model",
    "personal_accuracy/weighted": "accuracy of each client's own model, weighted by its test examples",
}
"""Metrics, or first words of metrics, that are spelled otherwise than they read."""
HELD = {"select": "source", "decide": "task", "federate": "client", "compress": "ratio", "merge": "domain"}
"""Stage -> what the data of its comparisons come from."""
UNSOLVED = 0.1
"""Mean success at and below which a task counts as not solved."""


class Unit(NamedTuple):
    """How the values of a metric and their differences are written."""

    whole: Callable[[Any], str]
    difference: Callable[[Any], str]
    after: str


PLAIN, SHARE, NUMBER = Unit(value, signed, ""), Unit(percent, points, " points"), Unit(short, signed, "")
UNITS = {"parameters": NUMBER, "macs": NUMBER, "averages": NUMBER, "client_seconds": Unit(duration, signed, " s")}
"""First words of metrics that are told otherwise than plain numbers and shares."""


def unit(metric: str) -> Unit:
    """Return how a metric is written.

    >>> unit("success/mean").whole(0.5), unit("bpb/mean").whole(0.5)
    ('50.0 %', '0.5000')
    """
    first = metric.partition("/")[0]
    return SHARE if first in SHARES else UNITS.get(first, PLAIN)


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
        unit: how its numbers are written.
    """

    recipe: str
    mean: float | None
    std: float | None
    n: int
    difference: float | None
    low: float | None
    high: float | None
    verdict: Verdict
    unit: Unit = PLAIN

    @property
    def words(self) -> str:
        """Return the difference with its interval, or why there is none."""
        if self.verdict == "baseline":
            return "baseline"
        if self.difference is None:
            return NOTHING
        told, after = self.unit.difference, self.unit.after
        if self.low is None:
            return f"{told(self.difference)}{after} (no interval from one seed)"
        return f"{told(self.difference)} [{told(self.low)}, {told(self.high)}]{after}"

    @property
    def shown(self) -> str:
        """Return the mean."""
        return self.unit.whole(self.mean)

    @property
    def spread(self) -> str:
        """Return the spread over the seeds."""
        return self.unit.whole(self.std)

    @property
    def said(self) -> str:
        """Return the verdict in words."""
        return {"even": "not told apart", "unknown": "no interval", "unmeasured": NOTHING}.get(
            self.verdict, self.verdict
        )

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
        verdict: Verdict = "baseline" if recipe == record["baseline"] else _verdict(difference, low, high, way)
        found.append(Cell(recipe, mean, std, int(s["n"]), difference, low, high, verdict, unit(metric)))
    return _ordered(found, way)


@dataclass(frozen=True)
class Paired:
    """Success of one recipe over (seed, goal) pairs.

    Attributes:
        cell: its mean, and the difference to the baseline on the same pairs.
        low: lower end of the interval of its mean.
        high: upper end.
        middle: inter-quartile mean over tasks.
    """

    cell: Cell
    low: float
    high: float
    middle: float

    @property
    def words(self) -> str:
        """Return the mean with its interval."""
        return f"{self.cell.shown.removesuffix(' %')} {bounds(self.low, self.high)}"


def pairs(record: Mapping[str, Any]) -> list[Paired]:
    """Return success over (seed, goal) pairs, the baseline first, then from the best mean down."""
    found = {}
    for recipe, p in (record.get("pairs") or {}).items():
        difference, low, high = p["difference"], p["difference_low"], p["difference_high"]
        verdict = _verdict(difference, low, high, 1)
        if recipe == record["baseline"]:
            difference, low, high, verdict = None, None, None, "baseline"
        cell = Cell(recipe, p["mean"], None, int(p["pairs"]), difference, low, high, verdict, SHARE)
        found[recipe] = Paired(cell, p["low"], p["high"], p["interquartile_mean"])
    return [found[cell.recipe] for cell in _ordered([p.cell for p in found.values()], 1)]


def _ordered(found: list[Cell], way: int) -> list[Cell]:
    return sorted(found, key=lambda c: (c.verdict != "baseline", -way * c.mean if c.mean is not None else math.inf))


def _verdict(difference: float | None, low: float | None, high: float | None, way: int) -> Verdict:
    if difference is None:
        return "unmeasured"
    if low is None or high is None:
        return "unknown"
    if low <= 0 <= high:
        return "even"
    up = low > 0
    if way == 0:
        return "higher" if up else "lower"
    return "better" if up == (way > 0) else "worse"


def held(record: Mapping[str, Any]) -> str:
    """Return what the data of a comparison come from."""
    return HELD[record.get("stage") or "select"]


def spelled(metric: str, of: str = HELD["select"]) -> str:
    """Return a metric's name in words.

    >>> spelled("bpb/mean"), spelled("accuracy"), spelled("success/mean", "task")
    ('bits per byte, mean over sources', 'accuracy', 'success, mean over tasks')
    """
    if metric in WORDS:
        return WORDS[metric]
    name, _, part = metric.partition("/")
    name = WORDS.get(name, name.replace("_", " "))
    return name + {"": "", "mean": f", mean over {of}s", "worst": f", worst {of}"}.get(part, f" on {part}")


def per_source(metrics: Sequence[str]) -> dict[str, list[str]]:
    """Return the metrics measured on single sources or tasks, by the word before the slash.

    >>> per_source(["bpb/law", "bpb/mail", "bpb/mean", "bpb/worst", "epochs"])
    {'bpb': ['bpb/law', 'bpb/mail']}
    """
    groups: dict[str, list[str]] = {}
    for metric in metrics:
        first, slash, rest = metric.partition("/")
        if slash and rest not in ("mean", "worst") and metric not in WORDS:
            groups.setdefault(first, []).append(metric)
    return groups


def headline(metrics: Sequence[str]) -> list[str]:
    """Return the metrics that are not of a single source or task."""
    single = {m for group in per_source(metrics).values() for m in group}
    return [m for m in metrics if m not in single]


def findings(record: Mapping[str, Any]) -> list[str]:
    """Return in words what the intervals allow to say about the first metric."""
    named = headline(record["metrics"]) or list(record["metrics"])
    table = cells(record, named[0])
    if len(table) == 1:
        return [f"Only the baseline {record['baseline']} was measured.", *_of_tasks(record)]
    said = _verdicts(table, f"on {spelled(named[0], held(record))}", record["baseline"], "with these seeds")
    if any(c.verdict == "unknown" for c in table):
        said.append(
            "One seed gives no interval, so nothing is said about which recipe is better; "
            "run at least two seeds, better five or more."
        )
    return said + _of_pairs(record, table) + _of_tasks(record)


def _of_pairs(record: Mapping[str, Any], table: Sequence[Cell]) -> list[str]:
    """Return in words where the intervals over pairs say other than those over seeds."""
    found = [p.cell for p in pairs(record)]
    over_seeds = {c.recipe: c.verdict for c in table}
    others = [c for c in found if c.verdict != over_seeds[c.recipe]]
    if not found:
        return []
    where = f"over the {found[0].n} (seed, goal) pairs"
    if not others:
        return [f"The intervals {where} say the same."]
    return _verdicts(others, where, record["baseline"], "with these goals")


def _verdicts(table: Sequence[Cell], where: str, baseline: str, unless: str) -> list[str]:
    said = []
    for tone in ("better", "worse", "higher", "lower"):
        which = [c for c in table if c.verdict == tone]
        if which:
            listed = "; ".join(f"{c.recipe} {c.words}" for c in which)
            said.append(f"{tone.capitalize()} than {baseline} {where}: {listed}.")
    even = [c.recipe for c in table if c.verdict == "even"]
    if even:
        said.append(f"Not told apart from {baseline} {where} {unless} (the interval holds zero): {', '.join(even)}.")
    return said


def _of_tasks(record: Mapping[str, Any]) -> list[str]:
    """Return in words which tasks nobody solves, and who forgets."""
    said = []
    group = per_source(record["metrics"]).get("success", [])
    means = {m.partition("/")[2]: [of[m]["mean"] for of in record["recipes"].values()] for m in group}
    unsolved = [task for task, each in means.items() if all(known(x) and x <= UNSOLVED for x in each)]
    if unsolved:
        said.append(f"No recipe solves {', '.join(unsolved)} (success of at most {percent(UNSOLVED)}).")
    if "forgetting" in record["metrics"]:
        measured = [c for c in cells(record, "forgetting") if c.mean is not None]
        nothing = [c.recipe for c in measured if c.mean == 0]
        if nothing:
            said.append(f"Forgotten nothing at all: {', '.join(nothing)}.")
        if worst := max((c for c in measured if c.mean), key=lambda c: c.mean or 0.0, default=None):
            said.append(f"Forgotten most: {worst.recipe}, {worst.shown} of success since each task was learned.")
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
    streams = record.get("matrices") or {}
    # what is said of each task or client comes before the lesser metrics
    first = 1 if held(record) != "source" else len(judged)
    tables = [_table(record, metric) for metric in judged]
    return render(
        "compare.html",
        "Comparison of recipes",
        record=record,
        of=held(record),
        findings=findings(record),
        tables=tables[:first],
        others=tables[first:],
        pairs=_pairs(record),
        facts=_facts(record, [metric for metric in named if metric not in judged]),
        heats=[_heat(record, first, group) for first, group in per_source(record["metrics"]).items()],
        streams=_streams(streams),
        spent=_spent(record),
        shrinking=shrinking(record),
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
        "metric": spelled(metric, held(record)),
        "rows": list(zip(rows, drawn, strict=True)),
        "way": {-1: "less is better", 1: "more is better", 0: ""}[way],
    }


def _pairs(record: Mapping[str, Any]) -> list[tuple[Paired, Markup]]:
    found = pairs(record)
    drawn = plots.intervals(
        [(_or_nan(p.cell.mean), p.low, p.high, p.cell.tone, f"{p.cell.recipe}: {p.words}") for p in found], (0.0, 1.0)
    )
    return list(zip(found, drawn, strict=True))


def _streams(streams: Mapping[str, Any]) -> dict[str, Any] | None:
    if not streams:
        return None
    return {
        "matrices": [(name, stream.matrix(of)) for name, of in streams.items()],
        "legend": plots.roles(list(streams)),
        "averages": stream.averages(streams),
        "forgotten": stream.forgotten(streams),
    }


def _spent(record: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return accuracy against what each recipe spent, what it sends, and the clients of the first seed."""
    if not record.get("curves"):
        return None
    found = record["curves"]
    sent = {
        name: {
            way: sum(row["bytes"] for row in rows if row["where"] == way) for way in ("down", "up", "kept", "server")
        }
        for name, rows in record["messages"].items()
    }
    return {
        "plots": curves.accuracies(found),
        "legend": plots.roles([name for name, each in found.items() if any(each)]),
        "banded": curves.banded(found),
        "messages": sent,
        "arrays": record["messages"],
        "picture": partition.picture(record["population"], record["classes"]),
        "facts": partition.facts(record["population"]),
    }


def _facts(record: Mapping[str, Any], metrics: Sequence[str]) -> dict[str, Any]:
    """Return what nobody calls good or bad, such as what a recipe picked: mean and spread per recipe."""

    def told(metric: str, of: Mapping[str, Any]) -> tuple[Any, str, str]:
        whole, mean, std = unit(metric).whole, of["mean"], of["std"]
        # a spread that is rounding alone is none
        return mean, whole(mean), whole(std) if std and std > 1e-9 * abs(mean) else ""

    rows = [{"recipe": name, "values": [told(m, of[m]) for m in metrics]} for name, of in record["recipes"].items()]
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

    def tinted(metric: str, recipe: str) -> HeatCell:
        cell = by_metric[metric][recipe]
        gain = (cell.difference or 0.0) * direction(metric, record)
        return HeatCell(
            words=cell.shown,
            tip=f"{metric.partition('/')[2]}, {recipe}\n{cell.words}",
            tone="good" if gain > 0 else "bad" if gain < 0 else "pool",
            depth=round(DEPTH * abs(cell.difference or 0.0) / largest),
            strong=cell.verdict in ("better", "worse"),
        )

    rows = [(metric.partition("/")[2], [tinted(metric, recipe) for recipe in order]) for metric in group]
    return {"metric": spelled(first), "table": Heat(order, rows, held(record))}


def _costs(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    seconds, memory = record.get("seconds") or {}, record.get("peak_memory_bytes") or {}
    longest = max((s for s in seconds.values() if known(s)), default=0) or 1
    return [
        {
            "recipe": r,
            "seconds": seconds.get(r),
            "memory": memory.get(r) or None,
            "wide": 100 * (seconds.get(r) or 0) / longest,
        }
        for r in record["recipes"]
        if r in seconds or r in memory
    ]
