"""Sums and means of rows by class, as one product, for any number of clients side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def class_members(labels: Tensor, classes: int, valid: Tensor | None = None) -> Tensor:
    """Return which row is of which class: (..., B) int64 -> (..., C, B) bool.

    Args:
        labels: classes of the rows.
        classes: C.
        valid: (..., B) bool, False for rows that do not count.
    """
    import torch

    members = labels[..., None, :] == torch.arange(classes, device=labels.device)[:, None]
    return members if valid is None else members & valid[..., None, :]


def class_means(features: Tensor, members: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean row of each class, zero for an empty one, and the number of its rows.

    Args:
        features: (..., B, d).
        members: (..., C, B) bool, of ``class_members``.

    Returns:
        (..., C, d) and (..., C), both of the features' type.

    >>> import torch
    >>> rows, labels = torch.tensor([[1., 3.], [3., 5.], [7., 7.]]), torch.tensor([0, 0, 2])
    >>> means, counts = class_means(rows, class_members(labels, 3))
    >>> means.tolist(), counts.tolist()
    ([[2.0, 4.0], [0.0, 0.0], [7.0, 7.0]], [2.0, 0.0, 1.0])
    """
    share = members.to(features.dtype)
    counts = share.sum(dim=-1)
    return (share @ features) / counts.clamp(min=1)[..., None], counts


def merged_means(
    sums: Tensor, counts: Tensor, last: Tensor | None = None, known: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Return class means over all reporters, and which there are; a class nobody reported keeps its last mean.

    Args:
        sums: (C, d), added over reporters.
        counts: (C,), added over reporters.
        last: (C, d) the means before, or None.
        known: (C,) bool, which of them there are.
    """
    import torch

    reported = counts > 0
    means = sums / counts.clamp(min=1)[:, None]
    if last is None or known is None:
        return means, reported
    return torch.where(reported[:, None], means, last), known | reported
