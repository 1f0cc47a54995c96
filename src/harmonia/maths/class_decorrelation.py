"""How correlated the dimensions of features are within each class: high when a class collapses onto few directions.

With Z_c the rows of a class, centred and divided by their deviations, and M_c = Z_c^T Z_c (arXiv 2405.18983),

    (1 / N) sum_c (1 / (d (d - 1))) sum_{i != j} (M_c)_ij^2,   N rows in all classes that count.

All classes are done at once, without a product of size d x d each: by ||Z^T Z||_F = ||Z Z^T||_F it is one product of
all rows with all rows, and a mask of pairs of the same class,

    sum_c sum_{i != j} (M_c)_ij^2 = sum_ij [y_i = y_j] (z_i . z_j)^2 - sum_c sum_j (M_c)_jj^2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from harmonia.core.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

Normalize = Literal["released", "correlation"]

EPS = 1e-8
"""Added to variances."""
DEAD = 1e-6
"""A dimension of smaller variance within a class says nothing, and its gradient would be huge: it is left out."""


def class_decorrelation(
    features: Tensor, members: Tensor | None = None, *, normalize: Normalize = "released", min_samples: int = 2
) -> Tensor:
    """Return the mean squared correlation of the dimensions within classes: (...), 0 where no class has enough rows.

    It stays as it is when a class is shifted, or a dimension stretched or turned round. Two rows are perfectly
    correlated whatever they are: a class of two adds a constant, and no gradient.

    Args:
        features: (..., B, d).
        members: (..., C, B) bool, which row is of which class (``class_means.class_members``), of at most one; None for
            all of one class.
        normalize: released takes M_c as it is, so that the value grows with the rows of a class, to (n - 1)^2 / n where
            one class has collapsed; correlation divides it by n - 1 and averages by the sizes of the classes, so that
            the collapsed value is 1.
        min_samples: rows from which on a class counts.

    Raises:
        InputError: features are no matrix of at least two dimensions.

    >>> import torch
    >>> collapsed = torch.arange(4.)[:, None] * torch.tensor([1., 2., 3.])
    >>> class_decorrelation(collapsed).item(), class_decorrelation(collapsed, normalize="correlation").item()
    (2.25, 1.0)
    """
    import torch

    if features.dim() < 2 or features.shape[-1] < 2:
        raise InputError(f"features of shape {tuple(features.shape)}: decorrelation needs (batch, d) with d at least 2")
    rows, width = features.shape[-2:]
    share = torch.ones_like(features[..., None, :, 0]) if members is None else members.to(features.dtype)
    if share.shape[-2] > rows:
        share = _met(share)
    n = share.sum(dim=-1)
    counted = n >= max(min_samples, 2)
    centred = features - share.mT @ (share @ features / n.clamp(min=1)[..., None])
    variance = share @ centred.square() / (n - 1).clamp(min=1)[..., None]
    live = (variance >= DEAD) & counted[..., None]
    precision = live / torch.where(live, variance + EPS, 1.0)
    z = centred * (share.mT @ precision.sqrt())
    diagonal = ((n - 1)[..., None] * variance * precision).square().sum(dim=-1)
    weight = counted.to(n) if normalize == "released" else counted * n / (n - 1).clamp(min=1).square()
    moved = weight * (n > 2)
    if share.shape[-2] * width < rows:
        products = (share[..., None] * z[..., None, :, :]).mT @ z[..., None, :, :]
        together = (moved * products.square().sum(dim=(-2, -1))).sum(dim=-1)
    else:
        pairs = share.mT @ (moved[..., None] * share)
        together = ((z @ z.mT).square() * pairs).sum(dim=(-2, -1))
    energy = (together - (moved * diagonal).sum(dim=-1)).clamp(min=0)
    alive = live.sum(dim=-1)
    twos = (weight * (n == 2) * alive * (alive - 1)).sum(dim=-1)
    return (energy + twos) / ((counted * n).sum(dim=-1).clamp(min=1) * (width * (width - 1)))


def _met(share: Tensor) -> Tensor:
    """Return the classes that a batch has, each at the place of its first row: (..., C, B) -> (..., B, B)."""
    same = share.mT @ share
    first = same.tril(-1).sum(dim=-1) == 0
    return same * first[..., None]
