"""What a diagnosis of clients says: each finding with the figures that made it one, and the recipes that address it."""

from __future__ import annotations

from typing import Any

MISSING = 0.2
"""Mean share of the classes that a client lacks from which data are called partially class-disjoint."""
SKEWED = 0.3
"""Mean total-variation distance of a client's classes to those of all from which labels are called skewed."""
OPPOSED = 0.25
"""Share of pairs of clients with opposed gradients from which conflict is called strong."""
UNEVEN = 5.0
"""Ratio of the largest client to the smallest from which sizes are called uneven."""
DRIFTING = 0.2
"""Drift of one local training, relative to the norm of the model, from which clients are called drifting."""


def advice(record: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what stands out in a diagnosis, with its figures and the recipes that address it."""
    found: list[dict[str, Any]] = []

    def say(finding: str, figures: dict[str, float], *recipes: str) -> None:
        found.append({"finding": finding, "figures": figures, "recipes": list(recipes)})

    population, conflict, drift = record["population"], record["conflict"], record["drift"]
    missing = sum(population["classes_missing"]) / (len(record["classes"]) * population["clients"])
    skew = population["mean_distance"]
    if missing >= MISSING:
        say(
            f"a client lacks {100 * missing:.0f} % of the classes on average: averaged classifiers forget what most of "
            "their parts never saw",
            {"missing_classes": missing, "total_variation": skew},
            "fedgela",
            "fedmr",
            "fedmr-intra",
        )
    if skew >= SKEWED:
        say(
            f"labels are skewed (mean total variation {skew:.2f}): local steps run to one-sided optima",
            {"total_variation": skew},
            "scaffold",
            "feddyn",
            "fedlesam",
        )
    sizes = population["sizes"]
    ratio = max(sizes) / max(1, min(sizes))
    if ratio >= UNEVEN:
        say(
            f"the largest client has {ratio:.0f} times the examples of the smallest, and so that many more local steps",
            {"largest": max(sizes), "smallest": min(sizes)},
            "fednova",
        )
    if conflict["opposed_pairs"] >= OPPOSED:
        say(
            f"{100 * conflict['opposed_pairs']:.0f} % of the pairs of clients have opposed gradients (mean cosine "
            f"{conflict['mean_cosine']:.2f}): one model for all costs some of them, a head of their own does not",
            {name: conflict[name] for name in ("opposed_pairs", "mean_cosine")},
            "fedrep",
            "fedgela",
        )
    moved = drift["mean"] / drift["model"]
    if moved >= DRIFTING:
        say(
            f"one local training moves a client by {100 * moved:.0f} % of the length of the model",
            {"drift": drift["mean"], "model": drift["model"]},
            "fedprox",
            "scaffold",
        )
    if not found:
        say("clients hardly differ: plain averaging should do", {"total_variation": skew}, "fedavg")
    return found
