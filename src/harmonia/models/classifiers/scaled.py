"""Bytes to numbers, inside the network, so that a data set of images is held as bytes."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Scaled(nn.Module):
    """Bytes 0 to 255 become -1 to 1; floats pass."""

    def forward(self, x: Tensor) -> Tensor:
        """Return floats of the same shape."""
        return x.float() / 127.5 - 1 if x.dtype == torch.uint8 else x
