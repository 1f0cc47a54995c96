"""Parameter competition balancing: how much each element of each task vector deserves (PCB-Merging, arXiv 2410.02396).

    a = |tau| clipped to [low, high],  intra = exp(n u^2) with u = (a - low) / (high - low),
    inter = tanh(tau_i sum_j tau_j),   beta = intra * inter,   s = (max(beta, floor) - floor) / (top - floor)

An element counts more the larger it is in its own task vector, and the more the sum of all agrees with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def unit(values: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Return values clipped to [low, high] and stretched to [0, 1], row by row; 0 where low = high.

    Args:
        values: (n, m).
        low: (n, 1).
        high: (n, 1).
    """
    import torch

    clipped = torch.minimum(torch.maximum(values, low), high)
    return (clipped - low) / (high - low).where(high > low, torch.ones_like(high))


def competition(tasks: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Return beta: (n, m) float32.

    Args:
        tasks: (n, m) task vectors.
        low: (n, 1) lower bound of magnitudes.
        high: (n, 1) upper bound.
    """
    import torch

    # float64, and rounded at the end: exp and tanh may differ in the last bit from lane to lane
    intra = (len(tasks) * unit(tasks.abs(), low, high).double().square_()).exp_()
    total = tasks[0].clone()
    for row in tasks[1:]:
        total += row
    return intra.mul_(torch.tanh((tasks * total).double())).float()
