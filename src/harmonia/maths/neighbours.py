"""Exact nearest neighbours by blocks: each query keeps its K best rows of a pool that is streamed past once.

A row enters the running list of a query only when it beats the K-th best so far, so most of a block is discarded by
one comparison before anything is sorted. Memory is queries x (K + block), whatever the size of the pool.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

TILE = 4096
"""Rows of the pool per matrix product."""


@dataclass(frozen=True)
class Votes:
    """How often each row is a neighbour.

    Attributes:
        counts: (n,) int64, number of queries that have the row among their K nearest; the sum is queries x K.
        means: (n,) float64, mean cosine similarity of the row to all queries, in [-1, 1].
        neighbours: (queries, K) int64, rows from the nearest on; ties by the smaller row.
    """

    counts: np.ndarray
    means: np.ndarray
    neighbours: np.ndarray


class NearestRows:
    """The K largest similarities of each query over rows that arrive in blocks, ties to the smaller row.

    >>> best = NearestRows(queries=1, k=2)
    >>> best.update(np.array([[0.1, 0.9]])); best.update(np.array([[0.9, 0.5]]))
    >>> best.rows().tolist()
    [[1, 2]]
    """

    def __init__(self, queries: int, k: int) -> None:
        self.k = k
        self.seen = 0
        self._values = np.full((queries, k), -np.inf)
        self._rows = np.full((queries, k), np.iinfo(np.int64).max)
        self._threshold = np.full(queries, -np.inf)

    def update(self, similarities: np.ndarray) -> None:
        """Take the next block of rows: (queries, b) similarities, in row order."""
        first, self.seen = self.seen, self.seen + similarities.shape[1]
        # Rows come in increasing order, so a tie with the K-th best never displaces it.
        beats = similarities > self._threshold[:, None]
        counts = beats.sum(axis=1)
        for query in np.flatnonzero(counts):
            columns = np.flatnonzero(beats[query])
            values = np.concatenate([self._values[query], similarities[query, columns]])
            rows = np.concatenate([self._rows[query], columns + first])
            # The list is kept sorted by (value, row) and the new rows are larger: a stable sort breaks ties by row.
            order = np.argsort(-values, kind="stable")[: self.k]
            self._values[query], self._rows[query] = values[order], rows[order]
            self._threshold[query] = self._values[query, -1]

    def rows(self) -> np.ndarray:
        """Return the rows kept so far: (queries, K) int64, best first."""
        return self._rows


def unit_rows(x: np.ndarray, dtype: Any = np.float64) -> np.ndarray:
    """Return the rows of ``x`` (n, d) at length one; a zero row stays zero."""
    x = np.asarray(x, dtype)
    norms = np.linalg.norm(x, axis=1, keepdims=True)
    return x / np.where(norms == 0, 1, norms)


def tiles(blocks: Iterable[np.ndarray], rows: int) -> Iterator[np.ndarray]:
    """Yield the same rows in tiles of ``rows`` each (the last may be shorter), however they arrive.

    The rounding of a matrix product depends on its shape; over fixed tiles it no longer depends on the arrival.
    """
    waiting: list[np.ndarray] = []
    held = 0
    for block in blocks:
        waiting.append(block)
        held += len(block)
        if held >= rows:
            joined = np.concatenate(waiting)
            whole = held // rows * rows
            yield from (joined[start : start + rows] for start in range(0, whole, rows))
            waiting, held = [joined[whole:]], held - whole
    if held:
        yield np.concatenate(waiting)


def neighbour_votes(queries: np.ndarray, blocks: Iterable[np.ndarray], k: int, dtype: Any = np.float64) -> Votes:
    """Let every query vote for its ``k`` nearest rows by cosine similarity.

    Args:
        queries: (q, d) vectors.
        blocks: the rows of the pool in order, (b, d) each; any block sizes give the same result.
        k: votes per query, at least 1 and at most the number of rows.
        dtype: type of the similarities; their means are float64.

    Raises:
        ValueError: there are fewer than ``k`` rows.
    """
    z = unit_rows(queries, dtype)
    best = NearestRows(len(z), k)
    means = []
    for tile in tiles(blocks, TILE):
        similarities = z @ unit_rows(tile, dtype).T
        best.update(similarities)
        means.append(similarities.mean(axis=0, dtype=np.float64))
    if best.seen < k:
        raise ValueError(f"k = {k} neighbours of {best.seen} rows")
    return Votes(np.bincount(best.rows().ravel(), minlength=best.seen), np.concatenate(means), best.rows())
