"""The axis of small classifiers: which network turns an example into features."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harmonia.core.part import Part

if TYPE_CHECKING:
    from torch import nn


class Architecture(Part):
    """A network from examples to features; without running statistics, so that it can be averaged."""

    features: int
    """d, length of a feature."""

    def build(self, shape: tuple[int, ...]) -> nn.Module:
        """Return the network: (B, *shape) -> (B, d). Bytes are scaled to [-1, 1].

        Args:
            shape: of one example: (channels, height, width), (n,) numbers, or (T,) ids.

        Raises:
            InputError: it cannot read examples of this shape.
        """
        raise NotImplementedError
