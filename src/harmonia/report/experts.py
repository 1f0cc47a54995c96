"""How experts disagree, drawn: by pair, by layer, and by layer and kind of matrix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

from harmonia.merge.layers import place
from harmonia.report.heat import Heat, cosines, heat
from harmonia.report.numbers import cosine, percent, rounded

PAIRS = 15
"""Most pairs of experts that have a column of their own."""
_VECTORS = ("bias", "norm", "ln_1", "ln_2", "LayerNorm")
"""Words in the names of what is no matrix."""


def pictures(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return titled tables of a record of disagreement: model, layers, and matrices of layers.

    Args:
        record: ``experts``, ``model``, ``layers``, ``tensors``, as ``harmonia.merge.disagreement.summary`` returns.
    """
    names, layers = record["experts"], record["layers"]
    found = [
        {
            "title": "In which directions experts moved",
            "meaning": "Cosine between the task vectors, expert - base, of two experts over the whole model: near 0 "
            "for directions of their own, red where they oppose each other.",
            "heat": cosines(names, record["model"]["cosines"]),
        },
        {
            "title": "Directions, layer by layer",
            "meaning": "The same cosine within each layer.",
            "heat": _cosines(names, layers),
        },
        {
            "title": "How far each expert moved, layer by layer",
            "meaning": "Length of its task vector over that of the base, in percent.",
            "heat": _norms(names, layers),
        },
    ]
    if matrices := _conflicts(record["tensors"]):
        found.append(
            {
                "title": "Where signs conflict",
                "meaning": "Percent of the elements of each matrix that one expert moves up and another down.",
                "heat": matrices,
            }
        )
    return found


def _cosines(names: Sequence[str], layers: Mapping[str, Any]) -> Heat:
    pairs = list(combinations(range(len(names)), 2))
    if len(pairs) > PAIRS:
        columns = ["mean of pairs"]
        rows = [[sum(of["cosines"][i][j] for i, j in pairs) / len(pairs)] for of in layers.values()]
    else:
        columns = [f"{names[i]} · {names[j]}" for i, j in pairs]
        rows = [[of["cosines"][i][j] for i, j in pairs] for of in layers.values()]
    return heat(list(layers), columns, rows, span=(0.0, 1.0), words=cosine, both_signs=True, corner="layer")


def _norms(names: Sequence[str], layers: Mapping[str, Any]) -> Heat:
    rows = [of["relative_norms"] for of in layers.values()]
    largest = max((x for row in rows for x in row), default=0.0) or 1.0
    return heat(
        list(layers),
        names,
        rows,
        span=(0.0, largest),
        words=lambda x: percent(x).removesuffix(" %"),
        corner="layer \\ expert, %",
    )


def _conflicts(tensors: Mapping[str, Any]) -> Heat | None:
    """Return sign conflict by layer and kind of matrix; None where no tensor lies in a layer."""
    found: dict[str, dict[str, float]] = {}
    for name, of in tensors.items():
        layer, module = place(name)
        if module and not any(word in module for word in _VECTORS):
            found.setdefault(layer, {})[module] = of["sign_conflict"]
    modules = list(dict.fromkeys(module for row in found.values() for module in row))
    if not modules:
        return None
    rows = sorted(found, key=lambda layer: (not layer.isdigit(), int(layer) if layer.isdigit() else 0))
    matrix = [[found[layer].get(module) for module in modules] for layer in rows]
    largest = max(x for row in matrix for x in row if x is not None) or 1.0
    return heat(rows, modules, matrix, span=(0.0, largest), words=rounded, corner="layer \\ matrix, %")


def most_conflict(layers: Mapping[str, Any]) -> list[tuple[str, float]]:
    """Return layers with the share of elements whose signs conflict, most first; what lies in none counts if all do."""
    numbered = {layer: of for layer, of in layers.items() if layer.isdigit()} or layers
    return sorted(((layer, of["sign_conflict"]) for layer, of in numbered.items()), key=lambda row: -row[1])


def facts(model: Mapping[str, Any]) -> dict[str, Any]:
    """Return the figures of a whole model: mean cosine, the lowest, sign conflict, and the farthest expert."""
    table = model["cosines"]
    each = [table[i][j] for i, j in combinations(range(len(table)), 2)]
    return {
        "mean_cosine": cosine(sum(each) / len(each)) if each else cosine(None),
        "lowest": cosine(min(each)) if each else cosine(None),
        "sign_conflict": percent(model["sign_conflict"]),
        "farthest": percent(max(model["relative_norms"])),
    }
