"""The page of a federated training: how good is the model, for which classes and clients, and what did it cost."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from harmonia.core.files import read_json
from harmonia.federate.curve import curve
from harmonia.report import curves, partition, plots
from harmonia.report.folder import environment, optional_text, phases
from harmonia.report.heat import Heat, heat
from harmonia.report.numbers import count, known, percent, rounded, size
from harmonia.report.page import render
from harmonia.report.plots import Series

COLUMNS = 20
"""Most judged rounds in the table of classes."""
NAMED = 3
"""Most names in a sentence."""


def page(run_folder: Path) -> str:
    """Return the page of a finished run of ``federate``, read from the run's folder alone.

    Args:
        run_folder: holds ``result/summary.json``; ``run.json``, ``recipe.yaml`` and ``environment.json`` are shown when
            they are there.

    Raises:
        RunError: the summary is missing or damaged.
    """
    folder = Path(run_folder)
    summary = read_json(folder / "result" / "summary.json")
    return render(
        "federate.html",
        f"Training by {summary['recipe']}",
        summary=summary,
        axes=[f"{axis}: {kind}" for axis, kind in summary["axes"].items() if axis != "training"],
        facts=partition.facts(summary["population"]),
        moved=sum(summary["bytes"].values()),
        findings=findings(summary),
        curves=curves.accuracies({summary["recipe"]: [curve(summary["history"])]}),
        classes=_classes(summary),
        clients=_clients(summary),
        picture=partition.picture(summary["population"], summary["classes"]),
        rounds=_rounds(summary["history"]),
        per_client={way: sum(r["bytes"] for r in summary["messages"] if r["where"] == way) for way in ("down", "up")},
        use=_use(folder),
        phases=phases(summary["seconds"]),
        recipe=optional_text(folder / "recipe.yaml"),
        environment=environment(folder),
    )


def findings(summary: Mapping[str, Any]) -> list[str]:
    """Return in words what the figures of a run say; nothing is said that they do not show."""
    return [
        *_of_accuracy(summary),
        *_of_classes(summary),
        *_of_clients(summary),
        *partition.findings(summary["population"])[:2],
        _of_cost(summary),
    ]


def _of_accuracy(summary: Mapping[str, Any]) -> list[str]:
    final, last3 = summary["final"], summary["last3"]
    if not final:
        return ["Every client keeps a head of its own, so there is no model for all; the personal models are judged."]
    said = (
        f"After {count(final['round'])} rounds the model is right on {percent(final['accuracy'])} of the test examples"
    )
    swing = abs(final["accuracy"] - last3["accuracy"])
    return [
        said + f" ({percent(last3['accuracy'])} on average over the last three judged rounds)." if swing else said + "."
    ]


def _of_classes(summary: Mapping[str, Any]) -> list[str]:
    final = summary["final"]
    each = (
        [(x, name) for name, x in zip(summary["classes"], final["per_class"], strict=True) if known(x)] if final else []
    )
    if len(each) < 2:
        return []
    nothing = [name for x, name in each if x == 0]
    if nothing:
        return [f"Never right on {_some(nothing)}; mean over classes {percent(final['balanced_accuracy'])}."]
    (low, worst), (high, best) = min(each), max(each)
    return [
        f"Best on class {best} ({percent(high)}), worst on {worst} ({percent(low)}); mean over classes "
        f"{percent(final['balanced_accuracy'])}."
    ]


def _of_clients(summary: Mapping[str, Any]) -> list[str]:
    personal = summary["personal"]
    if not personal or not known(personal["mean"]):
        return []
    each = [x for x in personal["clients"] if known(x)]
    return [
        f"Trained once more by itself, a client's own model is right on {percent(personal['mean'])} of its own test "
        f"examples, of its own classes ({percent(min(each))} to {percent(max(each))})."
    ]


def _of_cost(summary: Mapping[str, Any]) -> str:
    moved = sum(summary["bytes"].values())
    said = f"{size(moved)} were sent, {size(moved / summary['rounds'])} per round"
    if summary["averages"] < summary["rounds"]:
        said += f"; models were averaged {count(summary['averages'])} times in {count(summary['rounds'])} rounds"
    return said + "."


def _some(names: Sequence[str]) -> str:
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")


def _classes(summary: Mapping[str, Any]) -> Heat | None:
    """Return accuracy per class in the judged rounds; they are thinned evenly, the last one always stands."""
    judged = [row for row in summary["history"] if row["per_class"]]
    if not judged:
        return None
    kept = np.unique(np.linspace(0, len(judged) - 1, COLUMNS).round().astype(int))
    rows = [judged[i] for i in kept]
    return heat(
        summary["classes"],
        [str(row["round"]) for row in rows],
        [[row["per_class"][c] for row in rows] for c in range(len(summary["classes"]))],
        span=(0.0, 1.0),
        words=rounded,
        between=", accuracy in % after round ",
        corner="class \\ round",
    )


def _clients(summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a row per client: how much it has, how far it lies from all, how often it took part, its own accuracy."""
    population, personal = summary["population"], summary["personal"]
    took = np.bincount([c for row in summary["history"] for c in row["clients"]], minlength=len(population["sizes"]))
    lost = np.bincount([c for row in summary["history"] for c in row["lost"]], minlength=len(population["sizes"]))
    return [
        {
            "name": client,
            "examples": examples,
            "wide": 100 * examples / max(population["sizes"]),
            "held": population["classes_held"][client],
            "distance": population["distance"][client],
            "rounds": int(took[client]),
            "lost": int(lost[client]),
            "accuracy": personal["clients"][client] if personal else None,
        }
        for client, examples in enumerate(population["sizes"])
    ]


def _rounds(history: Sequence[Mapping[str, Any]]) -> list[tuple[str, Markup]]:
    """Return what is measured in every round beside accuracy, drawn: losses, drift."""
    at = [row["round"] for row in history]

    def drawn(names: Mapping[str, str], words: str) -> Markup:
        roles = plots.roles(list(names.values()))
        return plots.lines(
            [
                Series(name, role, [math.nan if row[key] is None else row[key] for row in history])
                for key, (role, name) in zip(names, roles, strict=True)
            ],
            at,
            x_label="rounds",
            y_label=words,
            whole_x=True,
            describe=f"{words} after each round",
        )

    return [
        (
            "Loss of clients on their own examples, with what the recipe adds to it, mean over a round's clients",
            drawn({"loss": "training loss"}, "loss"),
        ),
        (
            "Drift: how far local training takes a client from the model it was sent, mean over a round's clients",
            drawn({"drift": "drift"}, "distance"),
        ),
    ]


def _use(folder: Path) -> str:
    return (
        "from harmonia.federate import load\n\n"
        f"classifier = load({json.dumps(str(folder), ensure_ascii=False)})\n"
        "classes = classifier.predict(inputs)  # numbers; classifier.classes has their names\n"
    )
