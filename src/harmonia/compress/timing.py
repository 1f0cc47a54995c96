"""Time of layers by their units, measured on the machine at hand: what a budget of time is counted in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from harmonia.compress.allocation.latency_search import Latency, LatencySearch
from harmonia.compress.site import Site

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Of the units, for which a model is timed; 0 leaves one unit in every layer."""
REPEATS = 7
"""Passes of each of these models; the median counts."""


def measured(search: LatencySearch, model: Any, sites: Sequence[Site], length: int) -> LatencySearch:
    """Return the search with the curves that it lacks, measured.

    All layers of a kind are cut to one size at a time, and whole models take turns. A layer's time is what the model
    takes longer than with one unit in each of these layers: what no cut can save is no part of the budget, as in
    budgets of parameters. In memory are the model and one of each size.

    Args:
        search: a curve that it has is kept.
        model: the dense one.
        sites: its consumers.
        length: tokens of the sequence that is timed, one at a time.
    """
    from harmonia.models.pruned import Cut, seconds_per_token, sliced

    found: dict[str, Latency] = {}
    for kind in ("heads", "neurons"):
        own = [site for site in sites if site.kind == kind]
        if not own or getattr(search, kind) is not None:
            continue
        cuts = [{s.name: Cut(np.arange(max(1, round(share * s.units)))) for s in own} for share in SHARES]
        models = [model if share == 1 else sliced(model, cut) for share, cut in zip(SHARES, cuts, strict=True)]
        seconds = np.array(seconds_per_token(models, batch=1, length=length, repeats=REPEATS)) * length
        layer = np.maximum.accumulate(np.maximum(0, seconds - seconds[0])) / len(own)
        units = [max(1, round(share * own[0].units)) for share in SHARES]
        found[kind] = Latency.fit(units, layer.tolist())
    return search.model_copy(update=found)
