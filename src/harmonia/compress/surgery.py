"""From statistics to repaired layers: score, allocate, refine, repair, one layer in memory at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from harmonia.compress.criterion.base import Criterion
from harmonia.compress.recipe import CompressRecipe
from harmonia.compress.reconstruction import Bias, LeastSquares, Liar
from harmonia.compress.reconstruction.base import Reconstruction
from harmonia.compress.reconstruction.levels import Levels
from harmonia.compress.reconstruction.ls import untested
from harmonia.compress.repairs import Repairs
from harmonia.compress.site import Seen, Site
from harmonia.compress.statistics import Statistics
from harmonia.core.errors import InputError
from harmonia.core.progress import track


def scored(
    criterion: Criterion, model: Any, sites: Sequence[Site], statistics: Statistics | None, seed: int
) -> dict[str, np.ndarray]:
    """Return the scores of each layer's units, by its name.

    Args:
        criterion: which units matter.
        model: the dense one.
        sites: its consumers.
        statistics: what was seen; None where nothing need be.
        seed: of whatever is drawn.
    """
    found = {}
    needs = set(criterion.reads) - {"norms"}
    norms: Sequence[dict[str, np.ndarray]] = [{} for _ in sites]
    if "norms" in criterion.reads:
        from harmonia.compress.norms import slice_norms

        norms = slice_norms(model, sites)
    for site, own in track(list(zip(sites, norms, strict=True)), "scoring"):
        seen = statistics.seen(site, needs) if statistics is not None and needs else None
        if own:
            seen = Seen(fit=_unseen(site), slices=own)
        found[site.name] = criterion.score(site, seen, seed)
    return found


def _unseen(site: Site) -> Any:
    from harmonia.compress.site import Moments

    return Moments(0, np.zeros(site.units * site.run), np.zeros((0, 0)), 0)


def allocated(
    recipe: CompressRecipe,
    sites: Sequence[Site],
    scores: dict[str, np.ndarray],
    ratios: Sequence[float],
    statistics: Statistics | None,
) -> list[list[np.ndarray]]:
    """Return the units that stay, ascending: for each ratio, of each layer.

    Raises:
        InputError: as ``Allocation.keep``.
    """
    known = [scores[site.name] for site in sites]
    kept = [recipe.allocation.keep(sites, known, ratio) for ratio in ratios]
    if "gradients" not in recipe.reads() or recipe.allocation.kind_name() != "rearrange":
        return kept
    for place, site in enumerate(sites):
        seen = statistics.seen(site, ["gradients"]) if statistics is not None else None
        for own in kept:
            own[place] = recipe.allocation.refine(site, seen, own[place])
    return kept


def repair(
    part: Reconstruction,
    sites: Sequence[Site],
    ratios: Sequence[float],
    kept: Sequence[Sequence[np.ndarray]],
    statistics: Statistics | None,
    repairs: Repairs,
    *,
    fold_bias: bool,
) -> None:
    """Repair every layer at every ratio, on the inputs of the dense model; what is done already stays.

    Args:
        part: how.
        sites: the consumers.
        ratios: that there are.
        kept: units that stay, for each ratio, of each layer.
        statistics: what was seen; None where nothing need be.
        repairs: where the result goes.
        fold_bias: whether a consumer without bias may gain one.

    Raises:
        InputError: as ``Reconstruction.repair``; the message names the layer.
    """
    for place, site in enumerate(track(sites, "repairing")):
        if all(repairs.has(site, ratio) for ratio in ratios):
            continue
        seen = statistics.seen(site, ["moments"]) if statistics is not None else None
        own = [each[place] for each in kept]
        sets = [site.columns(units) for units in own]
        weight, bias = site.matrix, None if site.bias is None else site.bias.cpu().double().numpy()
        with naming(site):
            found = within(part, site, fold_bias).curve(weight, bias, seen, sets, run=site.run)
            levels: Sequence[Levels | None] = [None for _ in ratios]
            if seen is not None:
                levels = Levels.curve(weight, bias, seen, sets, untested(seen.fit))
        for ratio, units, repaired, level in zip(ratios, own, found, levels, strict=True):
            repairs.write(site, ratio, units, repaired, level)


@contextmanager
def naming(site: Site) -> Iterator[None]:
    """Say of which layer an error is that knows of none."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{site.name}: {error}") from error


def within(part: Reconstruction, site: Site, fold_bias: bool) -> Reconstruction:
    """Return how a layer is repaired: as asked, or with no bias where none may come.

    Raises:
        InputError: the repair is a bias and nothing else.
    """
    if fold_bias or site.bias is not None:
        return part
    if isinstance(part, Liar):
        return LeastSquares(ridge=part.ridge, relative_to=part.relative_to)
    if isinstance(part, Bias):
        raise InputError("it has no bias to mend, and none may be added: allow --fold-bias, or take reconstruction=ls")
    return part
