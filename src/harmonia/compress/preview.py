"""What can be told before anything is cut: which units there are, what goes at each ratio, what calibration takes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from harmonia.compress.dense import Dense
from harmonia.compress.engine import RATIO, ratios_of
from harmonia.compress.recipe import CompressRecipe
from harmonia.compress.recipes import BOOK
from harmonia.compress.reconstruction import Bias, Liar
from harmonia.compress.site import Site
from harmonia.compress.statistics import Statistics
from harmonia.compress.structure import Depth, Hidden
from harmonia.compress.surgery import naming, scored, within
from harmonia.compress.work import widest, widths
from harmonia.core.errors import require


def plan(
    model: str | Path | Dense,
    recipe: str | Path | CompressRecipe = "liar-wifv",
    *,
    ratio: float | Sequence[float] | None = None,
    settings: Iterable[str] = (),
    seed: int = 0,
    fold_bias: bool = True,
    allow_pytorch_bin: bool = False,
) -> dict[str, Any]:
    """Return what a recipe would cut and what calibration would take, without text.

    Where the criterion needs text, which units go is not known; how many is, if every layer loses the same share.

    Args:
        model: folder, .gguf file, name of the catalogue, or Hub id.
        recipe: a name, a YAML file or a record.
        ratio: share of what the units cost, or several.
        settings: changes to the recipe.
        seed: of whatever is drawn.
        fold_bias: let layers that have no bias gain one.
        allow_pytorch_bin: read pytorch_model.bin where there are no safetensors, and of the pickle only tensors.

    Returns:
        The record: ``sites`` has a row per layer, ``points`` one per ratio with what is left, None where only a
        calibration tells; ``calibration`` the text and memory it takes, None where it takes none.

    Raises:
        InputError: unusable model or recipe, or parts that do not go together.
    """
    require("torch", "compress")
    require("transformers", "compress")
    from harmonia.models.pruned import family_of, macs_per_token, parameters

    record = BOOK.load(recipe).with_settings(settings)
    record.check()
    given = None if ratio is None else ratios_of(ratio)
    dense = model if isinstance(model, Dense) else Dense.open(model, allow_pytorch_bin=allow_pytorch_bin)
    ratios = given or [RATIO[dense.task]]
    length, tokens = record.calibration.wanted(dense.task, dense.positions, widest(dense, record))
    sites = record.structure.sites(dense.model, length)
    whole = {"parameters": parameters(dense.model), "macs": macs_per_token(dense.model, length)}
    blocks = len(family_of(dense.model).blocks(dense.model))
    notes = []
    known = _scores(record, dense, sites, seed)
    if sites and known is None:
        notes.append(f"which units go is up to criterion {record.criterion.kind_name()}, which needs text")
    points: list[dict[str, Any]] = []
    for share in ratios:
        if isinstance(record.structure, Depth):
            gone = min(int(share * blocks + 1e-9), blocks - 1)
            points.append({"ratio": share, "kept": None, "blocks": blocks - gone, "parameters": None, "macs": None})
            continue
        if isinstance(record.structure, Hidden):
            stays = widths(dense, record.structure, share)
            left = _left_narrow(dense, whole["macs"], stays)
            points.append({"ratio": share, "kept": None, "blocks": blocks, "hidden": stays, **left})
            continue
        kept = _kept(record, sites, known, share)
        left = _left(record, dense, whole["macs"], sites, kept, fold_bias)
        points.append({"ratio": share, "kept": kept, "blocks": blocks, **left})
    return {
        "stage": "compress",
        "kind": "plan",
        "recipe": record.name,
        "axes": {axis: part.kind_name() for axis, part in record.choices().items() if axis != "calibration"},
        "model": dense.name,
        "architecture": type(dense.model).__name__,
        "task": dense.task,
        "length": length,
        "blocks": blocks,
        "dense": whole,
        "sites": [
            {name: getattr(site, name) for name in ("name", "layer", "kind", "units", "run", "parameters", "macs")}
            for site in sites
        ],
        "points": points,
        "calibration": _calibration(record, dense, sites, length, tokens),
        "notes": notes,
    }


def _scores(record: CompressRecipe, dense: Dense, sites: list[Site], seed: int) -> list[np.ndarray] | None:
    if not sites or set(record.criterion.reads) - {"norms"}:
        return None
    found = scored(record.criterion, dense.model, sites, None, seed)
    return [found[site.name] for site in sites]


def _kept(record: CompressRecipe, sites: list[Site], scores: list[np.ndarray] | None, ratio: float) -> list[int] | None:
    """Return how many units each layer keeps; None where only scores tell."""
    if scores is None and record.allocation.kind_name() != "uniform":
        return None
    some = scores or [np.zeros(site.units) for site in sites]  # uniform counts do not depend on scores
    return [len(kept) for kept in record.allocation.keep(sites, some, ratio)]


def _left(
    record: CompressRecipe, dense: Dense, macs: float, sites: list[Site], kept: list[int] | None, fold_bias: bool
) -> dict[str, Any]:
    """Return what the model is left with, new biases counted; None where only scores tell."""
    from harmonia.models.pruned import outline, parameters

    if kept is None:
        return {"parameters": None, "macs": None}
    biased = []
    for site, stays in zip(sites, kept, strict=True):
        with naming(site):
            part = within(record.reconstruction, site, fold_bias)
        if isinstance(part, Bias | Liar) and (stays < site.units or record.calibration.in_sequence):
            biased.append(site.name)
    smaller = outline(dense.model, {site.name: stays for site, stays in zip(sites, kept, strict=True)}, biased)
    gone = sum((site.units - stays) * site.macs for site, stays in zip(sites, kept, strict=True))
    return {"parameters": parameters(smaller), "macs": macs - gone}


def _left_narrow(dense: Dense, macs: float, stays: list[int | None]) -> dict[str, Any]:
    """Return what a model of fewer hidden channels is left with, matrices between the states counted."""
    from harmonia.models.pruned import narrow_outline, parameters
    from harmonia.models.pruned.size import weights_applied

    smaller = narrow_outline(dense.model, stays)
    return {
        "parameters": parameters(smaller),
        "macs": macs + weights_applied(smaller) - weights_applied(dense.model),
    }


def _calibration(
    record: CompressRecipe, dense: Dense, sites: list[Site], length: int, tokens: int
) -> dict[str, Any] | None:
    """Return what calibration takes: tokens, and bytes in memory and on disk."""
    if not record.reads():
        return None
    sampling = record.calibration
    count = tokens if sampling.sequences is None else sampling.sequences * length
    width = max((site.units * site.run for site in sites), default=0)
    by_layer: dict[int, int] = {}
    for site in sites:
        by_layer[site.layer] = by_layer.get(site.layer, 0) + Statistics.bytes([site], sampling.held > 0)
    return {
        "reads": sorted(record.reads()),
        "tokens": count,
        "length": length,
        "states_bytes": 4 * count * int(dense.model.config.hidden_size),
        "layer_bytes": max(by_layer.values(), default=0) if "moments" in record.reads() else 0,
        "disk_bytes": Statistics.bytes(sites, sampling.held > 0) if "moments" in record.reads() else 0,
        "widest": width,
    }
