"""What rows have in common, column by column: their weighted sum, or the sum of those with the elected sign.

Every operation is on single elements, rounded by itself and in the order of the rows, so a column has the same result
in whatever piece it comes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def weighted_sum(rows: Tensor, weights: Sequence[float], normalize: bool = False) -> Tensor:
    """Return sum_i w_i x_i, with ``normalize`` over sum_i w_i: (n, m) -> (m,).

    >>> import torch
    >>> weighted_sum(torch.tensor([[1.0, 2.0], [3.0, 6.0]]), (1, 3), normalize=True).tolist()
    [2.5, 5.0]
    """
    total = rows[0] * weights[0]
    for row, weight in zip(rows[1:], weights[1:], strict=True):
        # a product and a sum, not add(alpha=): that fuses the two in some lanes and not in others
        total += row if weight == 1 else row * weight
    return total.div_(sum(weights)) if normalize else total


def elected(
    rows: Tensor,
    weights: Sequence[float],
    normalize: bool = True,
    undecided: int = 1,
    votes: Tensor | None = None,
) -> Tensor:
    """Return the sum, or the mean, of what has the elected sign: (n, m) -> (m,). The rows are overwritten.

    s = sign(sum_i w_i x_i);   sum over i with sign(w_i x_i) = s of w_i x_i, with ``normalize`` over their |w_i|;
    0 where there are none. So a negative weight is a row that points the other way (TIES, arXiv 2306.01708).

    Args:
        rows: (n, m), n >= 1.
        weights: (n,).
        normalize: mean instead of sum.
        undecided: the sign, 1, -1 or 0, where the votes are exactly 0.
        votes: (m,) whose sign is elected, instead of that of the weighted sum.

    >>> import torch
    >>> elected(torch.tensor([[0.8, 0, 0.5], [-0.6, -0.4, 0], [0.7, 0, -0.45]]), (1, 1, 1)).tolist()
    [0.75, -0.4000000059604645, 0.5]
    """
    import torch

    for row, weight in zip(rows, weights, strict=True):
        if weight != 1:
            row.mul_(weight)
    if votes is None:
        votes = rows[0].clone()
        for row in rows[1:]:
            votes += row
    scratch = torch.empty_like(rows[0])
    sign = torch.sign(votes)
    if undecided:
        sign.add_(torch.eq(votes, 0, out=scratch), alpha=undecided)
    total = mass = None
    for row, weight in zip(rows, weights, strict=True):
        agreeing = row.mul_(sign).clamp_min_(0)
        if total is None:
            total = agreeing.clone()
        else:
            total += agreeing
        if normalize:
            torch.gt(agreeing, 0, out=scratch)
            if abs(weight) != 1:
                scratch *= abs(weight)
            if mass is None:
                mass = scratch.clone()
            else:
                mass += scratch
    assert total is not None
    if mass is not None:
        total /= mass.clamp_min_(torch.finfo(mass.dtype).tiny)
    return total.mul_(sign)


def keep_agreeing(rows: Tensor, weights: Sequence[float]) -> None:
    """Set to zero, in place, what has not the elected sign: (n, m).

    s = sign(sum_i w_i x_i), + where the votes are exactly 0; x_i stays where w_i x_i has the sign s (TIES, arXiv
    2306.01708).

    >>> import torch
    >>> rows = torch.tensor([[0.8, 0, 0.5], [-0.6, -0.4, 0], [0.7, 0, -0.45]])
    >>> keep_agreeing(rows, (1, 1, 1)); (rows * 20).round().int().tolist()
    [[16, 0, 10], [0, -8, 0], [14, 0, 0]]
    """
    upwards = weighted_sum(rows, weights) >= 0
    for row, weight in zip(rows, weights, strict=True):
        row.mul_(((row > 0) == (upwards if weight >= 0 else ~upwards)) & (row != 0))
