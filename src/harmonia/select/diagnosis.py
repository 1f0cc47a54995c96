"""How the sources of a pool disagree, measured before anything is selected or trained.

Sizes, duplicates, spectra, overlap, length and quality; and for whatever stands out, the recipes that address it, with
the figures that made it stand out. Where nothing stands out, nothing is advised.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from harmonia.core.errors import InputError
from harmonia.core.seeds import mix, stable_hash
from harmonia.maths.neighbours import neighbour_votes, unit_rows
from harmonia.maths.overlap import coincidences, mixing, subspace_overlap
from harmonia.maths.rows import Matrix
from harmonia.maths.spectrum import Scatter, dominance, effective_rank, eigenvalues, participation_ratio
from harmonia.select.advice import advice, collapse
from harmonia.select.context import Context
from harmonia.select.keyed_sample import keyed_sample
from harmonia.select.pool import Pool, TextReader
from harmonia.select.summary import EXCERPT, NEAR, rows_to_scan, scatter_of

SCANNED = 1_000_000
"""Most documents among which neighbours are sought."""
QUERIES = 2000
"""Documents whose neighbours are sought, in equal numbers from every source."""
NEIGHBOURS = (10, 50)
"""Least and most neighbours of each query; many sources need more, so that chance alone gives a pair some."""
HASHES = 4_000_000
"""Most texts held, as 64-bit hashes, while exact duplicates are counted."""
DIRECTIONS = 10
"""Most leading directions in which sources are compared; never more than a quarter of all directions."""
PAIRED = 40
"""Most sources, the largest, of which every pair is reported."""
DOMINANCE = tuple(range(10, 101, 10))
"""Numbers of largest eigenvalues whose share is reported."""


def measure(pool: Pool, context: Context, read_texts: TextReader) -> dict[str, Any]:
    """Return how the sources of a pool disagree, as a JSON record (``None`` where there is nothing to measure).

    Args:
        pool: the documents, with features for everything but sizes, lengths and exact duplicates.
        context: its seed draws the samples.
        read_texts: gives the texts of rows, for the examples of repeated documents.

    Returns:
        ``documents``, ``tokens``, ``sources``, ``duplicates``, ``spectrum``, ``overlap``, ``collapse``, ``quality``,
        ``sampled`` (how many documents each figure rests on) and ``advice``: a list of ``{"finding", "figures",
        "recipes"}``.

    Raises:
        InputError: the pool is empty.
    """
    if not len(pool):
        raise InputError("the pool is empty; give files with at least one document")
    members = _by_source(pool.sources, len(pool.source_names))
    paired = np.sort(np.argsort([-len(rows) for rows in members], kind="stable")[:PAIRED])
    exact, hashed = _exact_duplicates(pool, paired, context)
    whole, spectra, scanned = _spectra(pool, context)
    near, overlap = _neighbours(pool, paired, spectra, context)
    record: dict[str, Any] = {
        "documents": len(pool),
        "tokens": int(pool.tokens.sum()),
        "sources": _sources(pool, members),
        "duplicates": {"exact": exact, "near": near},
        "spectrum": _spectrum(whole),
        "overlap": overlap,
        "quality": _quality(pool, context),
        "sampled": {
            "exact_duplicates": hashed,
            "spectrum": scanned,
            "neighbour_queries": near["queries"] if near else 0,
            "neighbour_candidates": near["candidates"] if near else 0,
        },
    }
    for s, row in enumerate(record["sources"]):
        values = spectra[s].values if spectra else np.zeros(1)
        row["effective_rank"] = effective_rank(values) if values.sum() > 0 else None
        row["participation_ratio"] = participation_ratio(values) if values.sum() > 0 else None
        row["near_duplicates"] = near["by_source"][s] if near else None
        row["exact_duplicates"] = exact["by_source"][s] if exact else None
    record["collapse"] = collapse(record["spectrum"])
    record["advice"] = advice(record)
    record["examples"] = _examples(pool, near, read_texts)
    return record


def _by_source(sources: np.ndarray, count: int) -> list[np.ndarray]:
    """Return the entries of each source, ascending."""
    order = np.argsort(sources, kind="stable")
    return np.split(order, np.cumsum(np.bincount(sources, minlength=count))[:-1])


def _sources(pool: Pool, members: list[np.ndarray]) -> list[dict[str, Any]]:
    total, written = int(pool.tokens.sum()), bool(pool.lengths.any())
    rows = []
    for name, own in zip(pool.source_names, members, strict=True):
        tokens, lengths = int(pool.tokens[own].sum()), pool.lengths[own]
        measured = written and len(own) > 0
        rows.append(
            {
                "source": name,
                "documents": len(own),
                "tokens": tokens,
                "share": tokens / total if total else 0.0,
                "mean_length": float(lengths.mean()) if measured else None,
                "median_length": float(np.median(lengths)) if measured else None,
                "quality": {column: _mean(values[own]) for column, values in pool.quality.items()},
            }
        )
    return rows


def _mean(values: np.ndarray) -> float | None:
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if len(finite) else None


def _exact_duplicates(pool: Pool, paired: np.ndarray, context: Context) -> tuple[dict[str, Any] | None, int]:
    """Count texts that occur again. A large pool is sampled by the hash of the TEXT, so that copies stay together."""
    if pool.texts is None:
        return None, 0
    bound = np.uint64(min(HASHES / len(pool), 1.0) * (2**64 - 2**12))
    hashes, rows = [], []
    for where, texts in pool.texts():
        here = stable_hash(texts)
        inside = np.arange(len(here))
        if len(pool) > HASHES:
            inside = np.flatnonzero(mix(here, context.seed, "diagnosis", "texts") <= bound)
        hashes.append(here[inside])
        rows.append(inside + where.start)
    text, of = np.concatenate(hashes), pool.sources[np.concatenate(rows)]
    _, group, sizes = np.unique(text, return_inverse=True, return_counts=True)
    repeated = sizes[group] > 1
    names = len(pool.source_names)
    totals, copies = np.bincount(of, minlength=names), np.bincount(of[repeated], minlength=names)
    surplus = int((sizes - 1).sum())
    return {
        "share": surplus / max(len(text), 1),
        "surplus": surplus,
        "by_source": [float(c / t) if t else None for c, t in zip(copies, totals, strict=True)],
        "sources": [pool.source_names[s] for s in paired],
        "shared_texts": _shared(group[repeated], of[repeated], paired).tolist(),
    }, len(text)


def _shared(group: np.ndarray, sources: np.ndarray, paired: np.ndarray) -> np.ndarray:
    """Count the texts that two sources both hold, however often: (p, p) int64, zero on the diagonal."""
    from scipy.sparse import coo_array

    inside = np.isin(sources, paired)
    _, text = np.unique(group[inside], return_inverse=True)
    shape = (int(text.max(initial=-1)) + 1, len(paired))
    holds = coo_array((np.ones(len(text), np.int64), (text, np.searchsorted(paired, sources[inside]))), shape).tocsr()
    holds.data[:] = 1
    shared = (holds.T @ holds).toarray()
    np.fill_diagonal(shared, 0)
    return shared


@dataclass(frozen=True)
class _Spectrum:
    """Eigenvalues of a scatter, descending, its leading directions where there are rows enough, and its rows."""

    values: np.ndarray
    leading: np.ndarray | None
    n: int

    @classmethod
    def of(cls, scatter: Scatter) -> _Spectrum:
        values, vectors = np.linalg.eigh(scatter.matrix)
        r = _directions(len(values))
        # a copy, so that the other directions are let go
        leading = vectors[:, ::-1][:, :r].copy() if r and scatter.n > 2 * r else None
        return cls(np.maximum(values[::-1], 0.0), leading, scatter.n)


def _directions(dimension: int) -> int:
    return min(DIRECTIONS, dimension // 4)


def _spectra(pool: Pool, context: Context) -> tuple[_Spectrum | None, list[_Spectrum], int]:
    """Return the spectrum of the pool and of every source, all from one sample of documents, and its size."""
    if pool.features is None or len(pool) < 2:
        return None, [], 0
    d = pool.features.shape[1]
    rows = keyed_sample(pool.keys, rows_to_scan(d), context.seed, "diagnosis", "spectrum")
    whole, found = Scatter(d), []
    for own in _by_source(pool.sources[rows], len(pool.source_names)):
        scatter = scatter_of(pool.features, rows[own])
        found.append(_Spectrum.of(scatter))
        whole.merge(scatter)
    return _Spectrum.of(whole), found, len(rows)


def _spectrum(whole: _Spectrum | None) -> dict[str, Any] | None:
    if whole is None or whole.values.sum() == 0:
        return None
    values = whole.values
    return {
        "shares": (values[:100] / values.sum()).tolist(),
        "effective_rank": effective_rank(values),
        "participation_ratio": participation_ratio(values),
        "largest_rank": min(len(values), whole.n - 1),
        "dominance": {str(t): dominance(values, t) for t in DOMINANCE if t < len(values)},
    }


def _neighbours(
    pool: Pool, paired: np.ndarray, spectra: list[_Spectrum], context: Context
) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """Return near duplicates and overlap, from the nearest neighbours of a few queries of every source."""
    if pool.features is None or len(pool) < 3:
        return None, None
    count = len(pool.source_names)
    candidates = np.sort(keyed_sample(pool.keys, SCANNED, context.seed, "diagnosis", "candidates"))
    of, keys = pool.sources[candidates], pool.keys[candidates]
    members = _by_source(of, count)
    sizes = np.array([len(own) for own in members])
    each = max(QUERIES // int(np.count_nonzero(sizes)), 1)
    queries = np.sort(
        np.concatenate([own[keyed_sample(keys[own], each, context.seed, "diagnosis", "queries")] for own in members])
    )
    asked = np.bincount(of[queries], minlength=count)
    k = min(int(np.clip(5 * np.count_nonzero(sizes) ** 2 / QUERIES, *NEIGHBOURS)), len(candidates) - 1)
    vectors = pool.features[candidates[queries]]
    # one more than wanted, since a query finds itself as well
    votes = neighbour_votes(vectors, _blocks(pool.features, candidates), k + 1, np.float32)
    others = _without_self(votes.neighbours, queries, k)
    cosines = _cosines(vectors, pool.features, candidates, others)
    nearest = cosines.argmax(axis=1)
    best, similarity = others[np.arange(len(queries)), nearest], cosines.max(axis=1)
    twin = similarity >= NEAR
    twins = np.bincount(of[queries[twin]], minlength=count)
    rate = np.divide(twins, asked, out=np.full(count, np.nan), where=asked > 0)
    pairs = coincidences(of[queries[twin]], of[best[twin]][:, None], count)[np.ix_(paired, paired)]
    names = [pool.source_names[s] for s in paired]
    examples = [q for q in np.argsort(-similarity, kind="stable")[:8] if twin[q]]
    near = {
        "threshold": NEAR,
        "queries": len(queries),
        "candidates": len(candidates),
        # queries are drawn evenly from the sources, the pool is not: each source weighs what it holds
        "share": float(np.nansum(rate * sizes) / sizes.sum()),
        "by_source": _nulls(rate[None])[0],
        "sources": names,
        "nearest_in": _nulls(pairs / np.maximum(asked[paired], 1)[:, None]),
        "examples": [(int(candidates[queries[q]]), int(candidates[best[q]]), float(similarity[q])) for q in examples],
    }
    if count < 2:
        return near, None
    r = _directions(vectors.shape[1])
    mixed = mixing(coincidences(of[queries], of[others], count), sizes)[np.ix_(paired, paired)]
    return near, {
        "sources": names,
        "neighbours": k,
        "mixing": _nulls(mixed),
        "subspace": _nulls(_subspaces([spectra[s].leading for s in paired])),
        "subspace_directions": r,
        "subspace_by_chance": r / vectors.shape[1],
    }


def _blocks(features: Matrix, rows: np.ndarray, size: int = 8192) -> Iterator[np.ndarray]:
    for start in range(0, len(rows), size):
        yield features[rows[start : start + size]]


def _without_self(found: np.ndarray, queries: np.ndarray, k: int) -> np.ndarray:
    """Return the k nearest others of each query; among many copies a query may not have found itself."""
    own = found == queries[:, None]
    own[~own.any(axis=1), -1] = True
    return found[~own].reshape(len(queries), k)


def _cosines(vectors: np.ndarray, features: Matrix, candidates: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the cosine of every query with its neighbours: (q, k) float64."""
    found = np.empty(others.shape)
    for start in range(0, len(others), 256):
        part = slice(start, start + 256)
        near = unit_rows(features[candidates[others[part].ravel()]]).reshape(*others[part].shape, -1)
        found[part] = np.einsum("qd,qkd->qk", unit_rows(vectors[part]), near)
    return found


def _subspaces(leading: list[np.ndarray | None]) -> np.ndarray:
    """Return the overlap of the leading directions of every two sources; nan where one has too few documents."""
    return np.array(
        [[subspace_overlap(a, b) if a is not None and b is not None else np.nan for b in leading] for a in leading]
    )


def _quality(pool: Pool, context: Context) -> dict[str, dict[str, float | None]]:
    """Return for every column how it goes with length and source, and what picking by it does to the spectrum."""
    from scipy.stats import spearmanr

    found: dict[str, dict[str, float | None]] = {}
    for column, values in pool.quality.items():
        rows = np.flatnonzero(np.isfinite(values))
        rows = rows[keyed_sample(pool.keys[rows], 200_000, context.seed, "diagnosis", "quality")]
        q, lengths = values[rows], pool.lengths[rows]
        found[column] = {"mean": _mean(q), "length_correlation": None, "between_sources": None, "narrowing": None}
        if len(rows) < 3 or np.ptp(q) == 0:
            continue
        if np.ptp(lengths) > 0:
            found[column]["length_correlation"] = float(spearmanr(q, lengths).statistic)
        if len(pool.source_names) > 1:
            found[column]["between_sources"] = _between(q, pool.sources[rows])
        if pool.features is not None:
            found[column]["narrowing"] = _narrowing(pool.features, rows, q)
    return found


def _between(values: np.ndarray, sources: np.ndarray) -> float:
    """Return the share of the variance that lies between sources (correlation ratio, eta squared)."""
    counts = np.bincount(sources)
    sums = np.bincount(sources, weights=values)
    centred = np.divide(sums, counts, out=np.zeros_like(sums), where=counts > 0) - values.mean()
    return float((counts * centred**2).sum() / ((values - values.mean()) ** 2).sum())


def _narrowing(features: Matrix, rows: np.ndarray, quality: np.ndarray) -> float | None:
    """Return the effective rank of the best tenth by quality over that of a random tenth; rows are in random order."""
    tenth = min(len(rows) // 10, rows_to_scan(features.shape[1]))
    if tenth < 20:
        return None
    best = rows[np.argsort(-quality, kind="stable")[:tenth]]
    top, random = (effective_rank(eigenvalues(scatter_of(features, some).matrix)) for some in (best, rows[:tenth]))
    return top / random if random else None


def _examples(pool: Pool, near: dict[str, Any] | None, read_texts: TextReader) -> list[dict[str, Any]]:
    if not near:
        return []
    pairs = near.pop("examples")
    texts = read_texts(np.array([row for a, b, _ in pairs for row in (a, b)], np.int64)) if pairs else []

    def shown(row: int, text: str) -> dict[str, str]:
        return {"id": pool.name_of(row), "source": pool.source_names[pool.sources[row]], "excerpt": text[:EXCERPT]}

    return [
        {"similarity": cosine, "documents": [shown(a, texts[2 * i]), shown(b, texts[2 * i + 1])]}
        for i, (a, b, cosine) in enumerate(pairs)
    ]


def _nulls(matrix: np.ndarray) -> list[list[float | None]]:
    return [[float(x) if np.isfinite(x) else None for x in row] for row in matrix]
