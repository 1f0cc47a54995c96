"""How the gradients of tasks disagree: by angle, by coordinate, by size.

cosines: g_i . g_j / (||g_i|| ||g_j||), negative where a step for one raises the other's loss (Yu et al. 2020, arXiv
2001.06782). Coordinates: A_i = g_i * gbar, elementwise, with gbar the mean over tasks; A_i < 0 where task i would move
a weight against the others (Hu et al. 2024, arXiv 2405.18080).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def cosines(gradients: Tensor) -> Tensor:
    """Return the cosine of every pair: (N, P) -> (N, N); 0 with a gradient that is zero, which opposes nothing.

    >>> cosines(torch.tensor([[1.0, 0.0], [-3.0, 0.0], [0.0, 0.0]])).tolist()
    [[1.0, -1.0, 0.0], [-1.0, 1.0, 0.0], [0.0, 0.0, 0.0]]
    """
    norms = gradients.norm(dim=1, keepdim=True)
    rows = gradients / norms.where(norms > 0, 1.0)
    return (rows @ rows.T).clamp(-1, 1)


def conflicting_share(gradients: Tensor, active: Tensor | None = None) -> Tensor:
    """Return the share of each task's coordinates in which it opposes the mean of the tasks: (N,) in [0, 1].

    Args:
        gradients: (N, P).
        active: (N, P) bool, the coordinates that a task uses; a task counts, in the mean and in its share, where it is
            active. None for everywhere.

    >>> conflicting_share(torch.tensor([[1.0, 3.0], [1.0, -1.0]])).tolist()
    [0.0, 0.5]
    """
    tasks, size = gradients.shape
    if active is None:
        mean = gradients.mean(dim=0)
        return torch.stack([(row * mean < 0).sum() for row in gradients]) / size
    mean = torch.zeros_like(gradients[0])
    for row, on in zip(gradients, active, strict=True):
        mean += row * on / tasks
    opposed = torch.stack([((row * mean < 0) & on).sum() for row, on in zip(gradients, active, strict=True)])
    return opposed / active.sum(dim=1).clamp(min=1)


def magnitude_ratios(gradients: Tensor) -> Tensor:
    """Return ||g_i|| / ||g_j||: (N, P) -> (N, N); nan where g_j is zero.

    >>> magnitude_ratios(torch.tensor([[3.0, 4.0], [0.0, 2.0]])).tolist()
    [[1.0, 2.5], [0.4000000059604645, 1.0]]
    """
    norms = gradients.norm(dim=1)
    return norms[:, None] / norms.where(norms > 0, torch.nan)


def summary(gradients: Tensor) -> dict[str, Any]:
    """Return the cosine matrix of sources' gradients, (N, P), and how much of them conflicts; JSON.

    ``opposed_pairs`` is the share of pairs with a negative cosine, ``conflicting_share`` the mean share of coordinates
    in which a source opposes the mean gradient, ``magnitude_ratio`` the largest ratio of two norms.
    """
    cosine = cosines(gradients).cpu()
    off = ~torch.eye(len(cosine), dtype=torch.bool)
    return {
        "cosine": [[round(float(x), 4) for x in row] for row in cosine],
        "mean_cosine": float(cosine[off].mean()),
        "opposed_pairs": float((cosine[off] < 0).float().mean()),
        "conflicting_share": float(conflicting_share(gradients).mean()),
        "magnitude_ratio": float(magnitude_ratios(gradients).nan_to_num(0.0).max()),
    }
