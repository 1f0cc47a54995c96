"""Sampling without replacement by a score: the k largest of score + temperature x Gumbel noise.

The k largest keys are k draws without replacement with probabilities softmax(score / temperature). Temperature 0 is
top-k, infinity is uniform (Kool et al. 2019, arXiv 1903.06059; Wettig et al. 2024, arXiv 2402.09739).
"""

from __future__ import annotations

import numpy as np


def standardise(scores: np.ndarray) -> np.ndarray:
    """Return z-scores over the finite scores: (n,) float64; -inf stays, and equal scores all become 0.

    >>> standardise(np.array([1., 3., -np.inf])).tolist()
    [-1.0, 1.0, -inf]
    """
    scores = np.asarray(scores, np.float64)
    finite = np.isfinite(scores)
    if not finite.any():
        return scores
    centred = scores - scores[finite].mean()
    spread = float(centred[finite].std())
    # rounding of the mean leaves a tiny spread among equal scores
    flat = spread <= 1e-12 * max(1.0, float(np.abs(scores[finite]).max()))
    return np.where(finite, 0.0 if flat else centred / (spread or 1.0), scores)


def gumbel_keys(scores: np.ndarray, noise: np.ndarray, temperature: float) -> np.ndarray:
    """Return the keys whose largest are the sample: (n,) float64.

    Args:
        scores: (n,) logits at temperature 1; -inf is never drawn.
        noise: (n,) standard Gumbel variates.
        temperature: at least 0; 0 returns the scores.
    """
    return np.asarray(scores, np.float64) + temperature * noise if temperature else np.asarray(scores, np.float64)
