"""Entropy of the distribution that logits stand for."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def softmax_entropy(logits: Tensor) -> Tensor:
    """Return -sum p log p of p = softmax(z) over the last axis, in nats: (..., C) -> (...).

    >>> import torch
    >>> float(softmax_entropy(torch.zeros(2, 4))[0].exp().round(decimals=4))
    4.0
    """
    import torch

    laws = torch.log_softmax(logits, dim=-1)
    return -(laws.exp() * laws).sum(dim=-1)
