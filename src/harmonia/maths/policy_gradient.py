"""Learning a distribution over subsets by policy gradient with a group baseline.

A subset of k of n rows is drawn without replacement with probabilities softmax(L): the k largest of L + Gumbel noise.
    gradient = (1/G) sum_j A_j d log P(M_j | L) / dL,     A_j = (f_j - mean f) / (std f + 1e-8)
Fan et al. 2026 (arXiv 2512.24265); Gumbel top-k: Kool et al. 2019 (arXiv 1903.06059).
"""

from __future__ import annotations

import numpy as np


def group_advantages(rewards: np.ndarray) -> np.ndarray:
    """Return rewards relative to their group: (g,) -> (g,) float64 with mean 0; all zero when all are equal.

    >>> group_advantages(np.array([1., 2., 3.])).round(6).tolist()
    [-1.224745, 0.0, 1.224745]
    """
    rewards = np.asarray(rewards, np.float64)
    if (rewards == rewards[0]).all():
        return np.zeros(len(rewards))
    centred = rewards - rewards.mean()
    return centred / (rewards.std() + 1e-8)


def gumbel_top_k(logits: np.ndarray, noise: np.ndarray, k: int) -> np.ndarray:
    """Draw subsets of ``k`` rows without replacement, P(next = i) proportional to exp(logits_i).

    Args:
        logits: (n,) float.
        noise: (g, n) standard Gumbel variates, one row per subset.
        k: size of each subset.

    Returns:
        (g, k) int64 in the order of drawing.
    """
    keys = np.asarray(logits, np.float64) + noise
    drawn = np.argpartition(-keys, k - 1, axis=1)[:, :k]
    order = np.argsort(-np.take_along_axis(keys, drawn, axis=1), axis=1, kind="stable")
    return np.take_along_axis(drawn, order, axis=1)


def independent_gradient(sets: np.ndarray, advantages: np.ndarray, n: int) -> np.ndarray:
    """Return the gradient for log P = sum over the set of log softmax(L)_i: (n,) float64.

    The full gradient is (1/G) sum_j A_j (M_j - k softmax(L)); advantages sum to 0, so the softmax drops out.

    Args:
        sets: (g, k) drawn rows.
        advantages: (g,) summing to 0.
        n: number of rows.
    """
    weights = np.repeat(np.asarray(advantages, np.float64), sets.shape[1])
    return np.bincount(sets.ravel(), weights=weights, minlength=n) / len(sets)


def plackett_luce_gradient(logits: np.ndarray, sets: np.ndarray, advantages: np.ndarray) -> np.ndarray:
    """Return the gradient for the exact probability of the ordered draws (Plackett-Luce): (n,) float64.

    d log P / dL_i = M_i - exp(L_i) sum over draws t, up to i's own, of 1 / Z_t, with Z_t the mass left before draw t.

    Args:
        logits: (n,) float.
        sets: (g, k) drawn rows in the order of drawing.
        advantages: (g,).
    """
    logits, advantages = np.asarray(logits, np.float64), np.asarray(advantages, np.float64)
    groups, n = len(sets), len(logits)
    weights = np.exp(logits - logits.max())
    drawn = weights[sets]
    undrawn = np.tile(weights, (groups, 1))
    np.put_along_axis(undrawn, sets, 0.0, axis=1)
    # added from the last draw to the first: a difference of sums would cancel where little mass is left
    left = undrawn.sum(axis=1, keepdims=True) + np.cumsum(drawn[:, ::-1], axis=1)[:, ::-1]
    inverse = np.cumsum(1.0 / left, axis=1)
    per_draw = advantages[:, None] * (1.0 + drawn * (inverse[:, -1:] - inverse))
    common = weights * (advantages @ inverse[:, -1])
    return (np.bincount(sets.ravel(), weights=per_draw.ravel(), minlength=n) - common) / groups
