"""What a diagnosis of experts says: each finding with the figures that made it one, and the recipes that address it."""

from __future__ import annotations

from itertools import combinations
from typing import Any

CONFLICT = 0.6
"""Sign conflict, over that of independent signs, from which experts are said to disagree in sign."""
OPPOSED = -0.05
"""Cosine of two task vectors below which they are called opposed."""
ALIKE = 0.5
"""Mean cosine from which experts are called alike."""
UNEVEN = 2.0
"""Ratio of the longest task vector to the shortest from which they are called uneven."""
FAR = 0.3
"""||tau|| / ||theta_0|| from which an expert is called far from the base."""
NEAR = 0.002
"""||tau|| / ||theta_0|| below which most of a task vector can be dropped."""


def chance(experts: int) -> float:
    """Return the share of elements at which n independent signs do not all agree.

    >>> chance(2), chance(3)
    (0.5, 0.75)
    """
    return 1 - 2.0 ** (1 - experts)


def advice(record: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what stands out in a diagnosis, with its figures and the recipes that address it."""
    found: list[dict[str, Any]] = []

    def say(finding: str, figures: dict[str, float], *recipes: str) -> None:
        found.append({"finding": finding, "figures": figures, "recipes": list(recipes)})

    model, names = record["model"], record["experts"]
    conflict, far = model["sign_conflict"], model["relative_norms"]
    pairs = list(combinations(range(len(names)), 2))
    cosines = [model["cosines"][i][j] for i, j in pairs]
    mean = sum(cosines) / len(cosines)
    if conflict >= CONFLICT * chance(len(names)):
        say(
            f"experts move {100 * conflict:.0f} % of the weights in opposite directions "
            f"({100 * chance(len(names)):.0f} % would be chance): a sum cancels there, a vote does not",
            {"sign_conflict": conflict, "by_chance": chance(len(names))},
            "ties",
            "dare-ties",
            "pcb",
        )
    low, (i, j) = min(zip(cosines, pairs, strict=True))
    if low <= OPPOSED:
        say(
            f"{names[i]} and {names[j]} move in opposed directions (cosine {low:.2f}): one set of weights costs one of "
            "them; give weights, or leave one out",
            {"cosine": low},
            "ties",
            "pcb",
        )
    if mean >= ALIKE:
        say(
            f"experts move in much the same direction (mean cosine {mean:.2f}): averaging loses little",
            {"mean_cosine": mean},
            "linear",
            "model-stock",
        )
    ratio = max(model["norms"]) / max(min(model["norms"]), 1e-30)
    if ratio >= UNEVEN:
        largest, least = (names[model["norms"].index(pick(model["norms"]))] for pick in (max, min))
        say(
            f"{largest} moved {ratio:.1f} times as far as {least}, and counts for more in any average: give it a lower "
            "weight",
            {"norm_ratio": ratio},
            "fisher",
            "pcb",
        )
    if max(far) >= FAR:
        say(
            f"{names[far.index(max(far))]} is far from the base (||tau|| / ||theta_0|| = {max(far):.2f}): dense merges "
            "of experts that went so far are often worse than the best of them",
            {"relative_norm": max(far)},
            "regmean",
            "fisher",
        )
    elif max(far) <= NEAR:
        say(
            f"experts hardly moved (||tau|| / ||theta_0|| of at most {max(far):.4f}): most of what they learned can be "
            "dropped without loss",
            {"relative_norm": max(far)},
            "dare-linear",
            "dare-ties",
        )
    if not found:
        say(
            f"experts move in directions of their own (mean cosine {mean:.2f}) without much conflict: add what they "
            "learned",
            {"mean_cosine": mean, "sign_conflict": conflict},
            "task-arithmetic",
        )
    return found
