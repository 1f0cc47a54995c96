"""The figures of a finished selection: what was picked, from where, how diverse, how long, how good, how redundant.

They are computed once and stored, so that every later page or table is a pure function of the run's result. Large
pools are measured on samples drawn by hashed ids; each figure says how many documents it rests on.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from harmonia.maths.duplicates import duplicate_groups
from harmonia.maths.elbow import elbow
from harmonia.maths.rows import Matrix
from harmonia.maths.spectrum import Scatter, effective_rank, participation_ratio
from harmonia.select.context import Context
from harmonia.select.keyed_sample import keyed_sample
from harmonia.select.pool import Pool, TextReader
from harmonia.select.solver.base import Picks

Axes = tuple[np.ndarray, np.ndarray]
"""Mean of the features, (d,), and their first principal directions, (d, 2)."""

SCANNED = 200_000
"""Most documents whose features enter a spectrum."""
SCATTER_FLOPS = 2e11
"""Bound on rows x dimension^2 of a spectrum, so that very wide features are measured on fewer rows."""
SAMPLE = 5000
"""Documents of the pool, and picks, kept with their excerpts."""
EXCERPT = 400
"""Characters kept of a sampled document."""
EIGENVALUES = 100
"""Eigenvalues kept of each spectrum."""
CURVE = 500
"""Most points of the curve of scores."""
COMPARED = 8000
"""Documents of the pool, and picks, among which near duplicates are looked for."""
NEAR = 0.95
"""Least cosine of near duplicates."""
GROUPS = 12
"""Groups of near duplicates kept."""
BINS = 40
"""Bins of a histogram."""
BIAS = 1.25
"""A mean length this many times that of the pool, or less than its inverse, is worth a warning."""
COLLAPSE = 0.8
"""An effective rank below this share of that of a random set of equal size is worth a warning."""


def summarise(pool: Pool, picks: Picks, read_texts: TextReader, context: Context) -> tuple[dict[str, Any], pa.Table]:
    """Return the figures of a selection and a sample of its documents.

    Args:
        pool: the n documents.
        picks: the chosen rows, in order.
        read_texts: gives the texts of rows.
        context: its seed draws the samples; warnings go to its ``warn``.

    Returns:
        summary: a JSON record (``None`` where there is nothing to measure): ``documents``, ``tokens``, ``picked``,
            ``sources``, ``features``, ``spectrum``, ``quality``, ``length`` (bytes), ``gains`` (``rank`` counts from
            0, as in the picks), ``suggested_budget`` (documents), ``redundant``, ``compared`` (documents
            among which redundant ones were looked for), ``facts``, ``warnings``.
        sample: one row per sampled document: id, source, picked, rank, x, y, length (bytes), quality, excerpt, in an
            order drawn from the ids. Every pick sampled is also a document of the pool; none occurs twice.
    """
    taken = np.zeros(len(pool), bool)
    taken[picks.rows] = True
    spectrum, axes = _spectrum(pool, picks.rows, context)
    length = _length(pool, taken)
    summary = {
        "documents": len(pool),
        "tokens": int(pool.tokens.sum()),
        "picked": {"documents": len(picks.rows), "tokens": int(pool.tokens[picks.rows].sum())},
        "sources": _sources(pool, picks.rows),
        "features": None if pool.features is None else {"dimension": int(pool.features.shape[1])},
        "spectrum": spectrum,
        "length": length,
        "quality": {name: _distribution(values, taken, _even_edges(values)) for name, values in pool.quality.items()},
        "gains": _gains(picks),
        "suggested_budget": _suggested_budget(picks),
        **_redundant(pool, taken, read_texts, context),
        "facts": {name: float(value) if np.isfinite(value) else None for name, value in picks.facts.items()},
    }
    summary["warnings"] = warnings(summary)
    for message in summary["warnings"]:
        context.warn(message)
    return summary, _sample(pool, picks, axes, read_texts, context)


def warnings(summary: dict[str, Any]) -> list[str]:
    """Return what a user must know about a selection, judged by its figures."""
    found = []
    if (length := summary["length"]) and length["mean_picks"] is not None and length["mean_pool"]:
        times = length["mean_picks"] / length["mean_pool"]
        if not 1 / BIAS <= times <= BIAS:
            found.append(
                f"length bias: a pick has on average {times:.2f} times the bytes of a document of the pool "
                f"({length['mean_picks']:,.0f} against {length['mean_pool']:,.0f}); a budget in tokens keeps "
                "the cost fixed"
            )
    if spectrum := summary["spectrum"]:
        picks, random = spectrum["effective_rank"]["picks"], spectrum["effective_rank"]["random"]
        if picks is not None and random and picks < COLLAPSE * random:
            found.append(
                f"dimensional collapse: the picks have effective rank {picks:.1f}, a random set of the same "
                f"size {random:.1f}; an objective that rewards diversity avoids this"
            )
    return found


def _sources(pool: Pool, rows: np.ndarray) -> list[dict[str, Any]]:
    counts = len(pool.source_names)

    def add_up(values: np.ndarray, of: np.ndarray) -> list[int]:
        totals = np.zeros(counts, np.int64)
        np.add.at(totals, of, values)
        return totals.tolist()

    chosen = pool.sources[rows]
    columns = (
        add_up(np.ones(len(pool), np.int64), pool.sources),
        add_up(pool.tokens, pool.sources),
        add_up(np.ones(len(rows), np.int64), chosen),
        add_up(pool.tokens[rows], chosen),
    )
    return [
        {"source": name, "documents": n, "tokens": t, "picked_documents": pn, "picked_tokens": pt}
        for name, n, t, pn, pt in zip(pool.source_names, *columns, strict=True)
    ]


def rows_to_scan(dimension: int) -> int:
    """Return how many rows of features a spectrum may take."""
    return int(min(SCANNED, max(SCATTER_FLOPS / dimension**2, 2)))


def scatter_of(features: Matrix, rows: np.ndarray, block: int = 8192) -> Scatter:
    """Return the scatter of some rows of the features, read in row order block by block."""
    rows = np.sort(rows)
    scatter = Scatter(features.shape[1])
    for start in range(0, len(rows), block):
        scatter.add(features[rows[start : start + block]])
    return scatter


def _spectrum(pool: Pool, rows: np.ndarray, context: Context) -> tuple[dict[str, Any] | None, Axes | None]:
    """Return spectra of pool, picks and a random set of equal size; and the mean and first two axes of the pool."""
    if pool.features is None or len(pool) < 2:
        return None, None
    most = rows_to_scan(pool.features.shape[1])
    sets = {
        "pool": keyed_sample(pool.keys, most, context.seed, "summary", "pool"),
        "picks": rows[keyed_sample(pool.keys[rows], most, context.seed, "summary", "picks")],
        "random": keyed_sample(pool.keys, min(len(rows), most), context.seed, "summary", "random"),
    }
    record: dict[str, Any] = {"effective_rank": {}, "participation_ratio": {}, "sampled": {}}
    axes = None
    for name, members in sets.items():
        scatter = scatter_of(pool.features, members)
        if name == "pool":
            values, vectors = np.linalg.eigh(scatter.matrix)
            axes = scatter.mean, _oriented(vectors[:, ::-1][:, :2])
        else:
            values = np.linalg.eigvalsh(scatter.matrix)
        values = np.maximum(values[::-1], 0.0)
        varies = bool(values.sum() > 0)
        record[name] = (values[:EIGENVALUES] / values.sum()).tolist() if varies else []
        record["effective_rank"][name] = effective_rank(values) if varies else None
        record["participation_ratio"][name] = participation_ratio(values) if varies else None
        record["sampled"][name] = len(members)
    return record, axes


def _oriented(vectors: np.ndarray) -> np.ndarray:
    """Give each column the sign that makes its largest entry positive, since an eigenvector has none of its own."""
    largest = np.abs(vectors).argmax(axis=0)
    return vectors * np.where(vectors[largest, np.arange(vectors.shape[1])] < 0, -1.0, 1.0)


def _even_edges(values: np.ndarray) -> np.ndarray:
    """Return equal bins over all but the outermost thousandth, whose values are counted in the outer bins."""
    finite = values[np.isfinite(values)]
    if not len(finite):
        return np.array([0.0, 1.0])
    low, high = np.quantile(finite, [0.001, 0.999])
    return np.linspace(low, high, BINS + 1) if high > low else np.array([low - 0.5, low + 0.5])


def _distribution(values: np.ndarray, taken: np.ndarray, edges: np.ndarray) -> dict[str, Any]:
    """Return histograms and means of pool and picks over common bins; values that are not finite are left out."""
    record: dict[str, Any] = {"edges": edges.tolist()}
    for name, members in (("pool", values), ("picks", values[taken])):
        finite = members[np.isfinite(members)]
        record[name] = np.histogram(np.clip(finite, edges[0], edges[-1]), edges)[0].tolist()
        record[f"mean_{name}"] = float(finite.mean()) if len(finite) else None
    return record


def _length(pool: Pool, taken: np.ndarray) -> dict[str, Any] | None:
    if not len(pool) or not pool.lengths.any():
        return None
    low, high = max(int(pool.lengths.min()), 1), int(pool.lengths.max())
    edges = np.geomspace(low, high, BINS + 1) if high > low else np.array([low / 2, low * 2.0])
    return _distribution(pool.lengths.astype(np.float64), taken, edges)


def _gains(picks: Picks) -> dict[str, Any] | None:
    if not len(picks.rows):
        return None
    curve = gain_curve(picks)
    places = np.unique(np.linspace(0, len(curve) - 1, min(CURVE, len(curve))).round().astype(np.int64))
    ranks = np.round(places * (len(picks.rows) / len(curve))).astype(np.int64)
    return {"rank": ranks.tolist(), "score": [float(s) if np.isfinite(s) else None for s in curve[places]]}


def gain_curve(picks: Picks) -> np.ndarray:
    """Return the score of the picks in order: (c,) float64; of separate batches the mean over batches at each place.

    Batches start anew, each with its own falling curve, and gains are normalised for a batch's size: the mean is over
    the large batches, without a last one that is cut short, and over places that nearly all of them reach.
    """
    _, batch, sizes = np.unique(picks.batches, return_inverse=True, return_counts=True)
    if len(sizes) < 2:
        return picks.scores
    order = np.argsort(batch, kind="stable")
    place = np.empty(len(batch), np.int64)
    place[order] = np.arange(len(batch)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    large = sizes >= 0.8 * sizes.max()
    used = large[batch] & np.isfinite(picks.scores)
    reached = np.bincount(place[used])
    totals = np.bincount(place[used], picks.scores[used])
    return (totals / np.maximum(reached, 1))[reached >= 0.95 * large.sum()]


def _suggested_budget(picks: Picks) -> int | None:
    """Return after how many picks the scores flatten, in all batches together."""
    if not len(picks.rows):
        return None
    curve = gain_curve(picks)
    place = elbow(curve)
    return None if place is None else round(place * len(picks.rows) / len(curve))


def _redundant(pool: Pool, taken: np.ndarray, read_texts: TextReader, context: Context) -> dict[str, Any]:
    """Return the largest groups of near duplicates among samples of pool and picks."""
    if pool.features is None:
        return {"redundant": [], "compared": 0}
    picked = np.flatnonzero(taken)
    rows = np.union1d(
        keyed_sample(pool.keys, COMPARED, context.seed, "summary", "redundant"),
        picked[keyed_sample(pool.keys[picked], COMPARED, context.seed, "summary", "redundant")],
    )
    groups = duplicate_groups(pool.features[rows], np.zeros(len(rows), np.int64), NEAR)[:GROUPS]
    members = [rows[group.rows] for group in groups]
    texts = read_texts(np.array([group[0] for group in members], np.int64)) if members else []
    return {
        "compared": len(rows),
        "redundant": [
            {
                "ids": [pool.name_of(int(row)) for row in group[:5]],
                "source": _sources_of(pool, group),
                "size": len(group),
                "similarity": found.similarity,
                "picked": int(taken[group].sum()),
                "excerpt": text[:EXCERPT],
            }
            for group, found, text in zip(members, groups, texts, strict=True)
        ],
    }


def _sources_of(pool: Pool, rows: np.ndarray) -> str:
    """Name the source that most of these documents come from, and how many others there are."""
    counts = np.bincount(pool.sources[rows])
    others = np.count_nonzero(counts) - 1
    return pool.source_names[int(counts.argmax())] + (f" and {others} more" if others else "")


def _sample(pool: Pool, picks: Picks, axes: Axes | None, read_texts: TextReader, context: Context) -> pa.Table:
    rank = np.full(len(pool), -1, np.int64)
    rank[picks.rows] = np.arange(len(picks.rows))
    some = keyed_sample(pool.keys, SAMPLE, context.seed, "summary", "sample")
    some_picks = picks.rows[keyed_sample(pool.keys[picks.rows], SAMPLE, context.seed, "summary", "sample")]
    rows = np.union1d(some, some_picks)
    rows = rows[keyed_sample(pool.keys[rows], len(rows), context.seed, "summary", "sample")]
    place = np.full((len(rows), 2), np.nan)
    if axes is not None and pool.features is not None:
        mean, vectors = axes
        place[:, : vectors.shape[1]] = (np.asarray(pool.features[rows], np.float64) - mean) @ vectors
        place[:, vectors.shape[1] :] = 0.0
    quality = next(iter(pool.quality.values()), np.full(len(pool), np.nan))[rows]
    chosen = rank[rows] >= 0
    return pa.table(
        {
            "id": pa.array([pool.name_of(int(row)) for row in rows], pa.string()),
            "source": pa.array([pool.source_names[s] for s in pool.sources[rows]], pa.string()),
            "picked": pa.array(chosen, pa.bool_()),
            "rank": pa.array(rank[rows], pa.int64(), mask=~chosen),
            "x": pa.array(place[:, 0], pa.float64(), mask=~np.isfinite(place[:, 0])),
            "y": pa.array(place[:, 1], pa.float64(), mask=~np.isfinite(place[:, 1])),
            "length": pa.array(pool.lengths[rows], pa.int64()),
            "quality": pa.array(quality, pa.float64(), mask=~np.isfinite(quality)),
            "excerpt": pa.array([text[:EXCERPT] for text in read_texts(rows)], pa.string()),
        }
    )
