"""Weights over the K largest of several scores."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def topk_softmax(scores: Tensor, k: int, temperature: float = 1.0) -> Tensor:
    """Return softmax over the K largest scores, and exactly 0 for the others: (..., l) -> (..., l).

    The softmax comes after the choice, so the K weights sum to 1 (Mixtral; Shazeer et al. 2017, arXiv 1701.06538). Of
    equal scores the first are taken.

    Args:
        scores: (..., l).
        k: K, from 1 to l.
        temperature: scores are divided by it.

    >>> import torch
    >>> topk_softmax(torch.tensor([-2.0, -1.0, -1.5, -3.0], dtype=torch.float64), 2).round(decimals=6).tolist()
    [0.0, 0.622459, 0.377541, 0.0]
    """
    import torch

    order = scores.argsort(dim=-1, descending=True, stable=True)[..., :k]
    chosen = torch.softmax(scores.gather(-1, order) / temperature, dim=-1)
    return torch.zeros_like(scores).scatter(-1, order, chosen)
