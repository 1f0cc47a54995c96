"""The held-out part of a pool: some documents of every source that no selection may take.

Chosen by hashed id, so the choice is a property of the document: adding or reordering others leaves it as it was
(up to the count). Copies and near copies of held-out documents leave the pool too, else a selection that happens to
hold one is paid for memory.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from harmonia.core.errors import InputError
from harmonia.core.seeds import stable_hash, uniforms
from harmonia.maths.shingles import ShingleIndex
from harmonia.select.pool import Pool


@dataclass(frozen=True)
class HeldOut:
    """A pool cut in two.

    Attributes:
        texts: source -> held-out texts, in row order; sources of one document have none.
        rows: (h,) int64, rows of the held-out documents, ascending.
        keep: (n,) bool, True where a selection may take the document.
        exact: documents dropped because their text, white space and case apart, is a held-out one.
        near: documents dropped because their word 5-grams overlap a held-out one's by ``near`` or more.
    """

    texts: dict[str, list[str]]
    rows: np.ndarray
    keep: np.ndarray
    exact: int
    near: int


def hold_out(pool: Pool, seed: int, per_source: int = 200, near: float = 0.8) -> HeldOut:
    """Hold out ``per_source`` documents of each source, at most half of it.

    The texts are read twice; memory grows with the held-out part alone.

    Args:
        pool: documents with texts.
        seed: seed of the split, kept apart from the seed of the training so that all seeds share one split.
        per_source: documents to hold out per source; at least 1.
        near: Jaccard similarity of word 5-grams from which a document counts as a copy; above 1 only exact copies do.

    Raises:
        InputError: no source has two documents, or the pool has no texts.
    """
    if per_source < 1:
        raise InputError(f"held-out {per_source}: hold out at least 1 document of each source")
    if not near > 0:
        raise InputError(f"near is {near}; a similarity above 0 tells copies from other documents")
    draw = uniforms(pool.keys, seed, "held-out")
    held = np.zeros(len(pool), bool)
    for source in range(len(pool.source_names)):
        own = np.flatnonzero(pool.sources == source)
        held[own[np.argsort(draw[own], kind="stable")[: min(per_source, len(own) // 2)]]] = True
    if not held.any():
        raise InputError("nothing can be held out; every source has a single document")
    read = pool.need_texts("held-out documents")
    texts: dict[int, str] = {
        rows.start + i: text for rows, block in read() for i, text in enumerate(block) if held[rows.start + i]
    }
    copies = np.unique(_fingerprints(texts.values()))
    index = ShingleIndex(texts.values())
    keep, exact = ~held, 0
    for rows, block in read():
        same = np.isin(_fingerprints(block), copies) & keep[rows]
        exact += int(same.sum())
        keep[rows] &= ~same
        for place in np.flatnonzero(keep[rows]):
            keep[rows.start + place] = index.similarity(block[place], near) < near
    by_source: dict[str, list[str]] = {}
    for row, text in texts.items():
        by_source.setdefault(pool.source_names[pool.sources[row]], []).append(text)
    return HeldOut(
        dict(sorted(by_source.items())), np.flatnonzero(held), keep, exact, int((~keep).sum() - held.sum()) - exact
    )


def _fingerprints(texts: Iterable[str]) -> np.ndarray:
    return stable_hash(" ".join(text.lower().split()) for text in texts)
