"""What stands in a block whose hidden states have lost channels: skips that turn them, norms that know what is gone."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from harmonia.models.pruned.family import Family

SKIPS = ("skip_attention", "skip_feed_forward")
"""Names of the layers in a block that hidden states go through beside attention and beside the feed-forward layer."""


class RootMeanSquare(nn.Module):
    """x / sqrt(sum_j x_j^2 / D + eps), with D the channels that there were: gone ones count as zeros.

    Args:
        channels: D.
        eps: of the norm that it stands for.
    """

    def __init__(self, channels: int, eps: float) -> None:
        super().__init__()
        self.channels, self.eps = channels, eps

    def forward(self, states: Tensor) -> Tensor:
        """Return states of the same shape; half precision is widened on the way."""
        wide = states.to(torch.promote_types(states.dtype, torch.float32))
        square = wide.pow(2).sum(dim=-1, keepdim=True) / self.channels
        return (wide * torch.rsqrt(square + self.eps)).to(states.dtype)


def is_turned(block: nn.Module) -> bool:
    """Return whether a block turns hidden states on their way past its layers."""
    return hasattr(block, SKIPS[0])


def turn(block: Any, family: Family) -> None:
    """Make a block send hidden states through its skips; they are identities until others are put there."""
    kind: Any = type(block)
    block.__class__ = _turned(kind, family)
    for name in SKIPS:
        setattr(block, name, nn.Identity())


@lru_cache(maxsize=64)
def _turned(kind: Any, family: Family) -> type:
    """Return the class of such blocks; it is one of their own class, by which transformers finds them."""

    def forward(self: Any, hidden_states: Tensor, *args: Any, **options: Any) -> Tensor:
        states: Tensor = self.skip_attention(hidden_states) + family.attend(self, hidden_states, args, options)
        found: Tensor = self.skip_feed_forward(states) + family.feed(self, states)
        return found

    return type(kind.__name__, (kind,), {"forward": forward, "__module__": kind.__module__})
