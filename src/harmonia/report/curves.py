"""How accuracy grows with what was spent: one training, or recipes side by side with what seeds do to them.

A curve is a list of the rounds that were judged, each with its accuracy and what had been spent until then: rounds,
averages, bytes, seconds of clients.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from harmonia.report import plots
from harmonia.report.numbers import percent
from harmonia.report.plots import Series, roles

SPENT = {
    "round": "rounds",
    "averages": "averages",
    "bytes": "bytes sent, down and up",
    "client_seconds": "client seconds",
}
"""What a curve stands against, and in words."""
POINTS = 160
"""Most places along a curve."""
BANDS = 8
"""Most recipes around whose curves the range over seeds is drawn."""

Curve = Sequence[Mapping[str, Any]]


def accuracies(curves: Mapping[str, Sequence[Curve]]) -> list[tuple[str, Markup]]:
    """Return accuracy against each thing that is spent, in words, and drawn: a mean over seeds with its range.

    Args:
        curves: recipe -> a curve per seed; those without a judged round are left out.
    """
    known = _judged(curves)
    if not known:
        return []
    averaged = any(point["averages"] != point["round"] for each in known.values() for curve in each for point in curve)
    return [(words, _against(key, words, known)) for key, words in SPENT.items() if key != "averages" or averaged]


def banded(curves: Mapping[str, Sequence[Curve]]) -> bool:
    """Return whether ranges over seeds are drawn: of several seeds, while recipes are few enough to be told apart."""
    known = _judged(curves)
    return len(known) <= BANDS and any(len(each) > 1 for each in known.values())


def _judged(curves: Mapping[str, Sequence[Curve]]) -> dict[str, list[Curve]]:
    known = {name: [curve for curve in each if len(curve)] for name, each in curves.items()}
    return {name: each for name, each in known.items() if each}


def _against(key: str, words: str, curves: Mapping[str, Sequence[Curve]]) -> Markup:
    places = _places(key, curves)
    drawn = []
    for role, name in roles(list(curves)):
        at = np.array([_at(places, curve, key) for curve in curves[name]])
        # where a seed has not begun or has ended, the mean would be that of others
        mean = at.mean(axis=0).tolist()
        band = (at.min(axis=0).tolist(), at.max(axis=0).tolist()) if len(at) > 1 and banded(curves) else None
        drawn.append(Series(name if len(curves) > 1 else "accuracy", role, mean, band))
    return plots.lines(
        drawn,
        places.tolist(),
        x_label=words,
        y_label="accuracy",
        y_words=percent,
        whole_x=key in ("round", "averages"),
        describe=f"Accuracy on the test examples of all, against {words}",
    )


def _places(key: str, curves: Mapping[str, Sequence[Curve]]) -> np.ndarray:
    """Return where the curves are drawn: where they were judged, thinned evenly where that is often.

    A mean ends with the first of its seeds, so nothing is drawn beyond the last of these ends.
    """
    ends = [min(float(curve[-1][key]) for curve in each) for each in curves.values()]
    every = np.unique([float(point[key]) for each in curves.values() for curve in each for point in curve])
    every = np.union1d(every[every <= max(ends)], ends)
    if len(every) <= POINTS:
        return every
    return np.unique([*every[np.linspace(0, len(every) - 1, POINTS).round().astype(int)], *ends])


def _at(places: np.ndarray, curve: Curve, key: str) -> np.ndarray:
    """Return a curve's accuracies at some places, straight between the rounds that were judged; NaN outside of them."""
    x, y = (np.array([float(point[name]) for point in curve]) for name in (key, "accuracy"))
    found: np.ndarray = np.interp(places, x, y, left=math.nan, right=math.nan)
    return found
