"""Mean alignment with a target: s_j = mean_i k(x_i, x_j) over target texts x_i.

With tangent features k is their kernel and the score is the derivative of the model's output at x_j along the mean
target gradient, so no gradient of a pool document is ever made (NTK-Selector, Wang et al. 2025, arXiv 2511.07380).
With any other features k is the inner product, s_j = <mean_i z_i, z_j>.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from typing import ClassVar, Literal

import numpy as np

from harmonia.core.errors import InputError
from harmonia.core.progress import bar
from harmonia.maths.rows import blocks
from harmonia.select.context import Context
from harmonia.select.examples import Paths
from harmonia.select.features.base import AligningEncoder, Encoder, Scores
from harmonia.select.objective.base import Objective
from harmonia.select.pool import Pool
from harmonia.select.set_function import Modular
from harmonia.select.target import targets_of, warn_of_overlap

_CHUNK = 1024
"""Documents scored between two savings."""


class MeanAlignment(Objective):
    """Mean similarity of a document to the target texts, by the kernel of the features."""

    kind: Literal["mean-alignment"] = "mean-alignment"

    target: Paths = ()
    """Files of target texts; without any, the target that tangent features were warmed up on."""
    target_texts: tuple[str, ...] = ()
    """Target texts given directly."""

    references: ClassVar[tuple[str, ...]] = ("wang2025ntkselector",)

    def fit(self, pool: Pool, context: Context) -> Modular:
        encoder = pool.need_encoder(self.kind)
        targets = targets_of(self.target, self.target_texts, encoder, self.kind)
        warn_of_overlap(targets, pool, context, self.kind)
        if isinstance(encoder, AligningEncoder):
            name = f"{self.kind}-{_digest(self.model_dump(mode='json'), targets)}"
            return Modular(self.kind, _aligned(pool, context, name, lambda: encoder.alignment(targets)))
        return Modular(self.kind, _inner(pool, target_vectors(encoder, targets, pool, self.kind)))


def target_vectors(encoder: Encoder, targets: list[str], pool: Pool, what: str) -> np.ndarray:
    """Return the vectors of the targets, (t, d) float64, checked against those of the pool.

    Raises:
        InputError: they are not finite, or of another length than those of the pool.
    """
    vectors = np.asarray(encoder(targets), np.float64)
    width = pool.need_features(what).shape[1]
    if vectors.shape[1] != width:
        raise InputError(
            f"{what}: the target's vectors have {vectors.shape[1]} dimensions and the pool's {width}; "
            "embed both with the same features"
        )
    bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if len(bad):
        raise InputError(f"{what}: the vector of target text {int(bad[0])} is not finite")
    return vectors


def _inner(pool: Pool, vectors: np.ndarray) -> np.ndarray:
    mean = vectors.mean(axis=0)
    scores = np.empty(len(pool))
    for rows, z in blocks(pool.need_features("mean-alignment"), dtype=np.float64):
        # a sum per row, not a BLAS product: equal documents get equal scores wherever they stand
        scores[rows] = (z * mean).sum(axis=1)
    return _finite(pool, scores)


def _aligned(pool: Pool, context: Context, name: str, make: Callable[[], Scores]) -> np.ndarray:
    scores = np.empty(len(pool))
    score: Scores | None = None
    with bar("scoring", len(pool)) as advance:
        for chunk, (start, texts) in enumerate(_chunks(pool)):

            def compute(texts: list[str] = texts) -> dict[str, np.ndarray]:
                nonlocal score
                score = score or make()
                return {"scores": score(texts)}

            scores[start : start + len(texts)] = context.keep(f"{name}-{chunk:06d}", compute)["scores"]
            advance(len(texts))
    return _finite(pool, scores)


def _chunks(pool: Pool) -> Iterator[tuple[int, list[str]]]:
    start, waiting = 0, list[str]()
    for _, texts in pool.need_texts("mean-alignment")():
        waiting += texts
        while len(waiting) >= _CHUNK:
            yield start, waiting[:_CHUNK]
            start, waiting = start + _CHUNK, waiting[_CHUNK:]
    if waiting:
        yield start, waiting


def _finite(pool: Pool, scores: np.ndarray) -> np.ndarray:
    bad = np.flatnonzero(~np.isfinite(scores))
    if len(bad):
        raise InputError(
            f"mean-alignment: the score of document {pool.name_of(int(bad[0]))!r} is {scores[bad[0]]} "
            f"({len(bad)} of {len(scores)}); drop it, or use float64 arithmetic (features.dtype)"
        )
    return scores


def _digest(settings: dict[str, object], targets: list[str]) -> str:
    return hashlib.blake2b(json.dumps([settings, targets]).encode(), digest_size=6).hexdigest()
