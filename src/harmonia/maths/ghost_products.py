"""Inner products with the gradient of a linear layer, without the gradient.

With inputs x_t and the loss's gradients delta_t at the outputs of y_t = W x_t, the gradient is G = sum_t delta_t x_t^T,

    <G, T> = sum_t delta_t . (T x_t),        ||G||^2 = sum_{t,u} (delta_t . delta_u) (x_t . x_u)

(ghost norms: Goodfellow 2015, arXiv 1510.01799; Li et al. 2022, arXiv 2110.05679). Rows of a batch are apart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def ghost_product(inputs: Tensor, deltas: Tensor, weight: Tensor) -> Tensor:
    """Return <G, T> of each row: (b,).

    Args:
        inputs: x: (b, t, d_in).
        deltas: (b, t, d_out).
        weight: T: (d_out, d_in).
    """
    return (deltas * (inputs @ weight.T)).sum(dim=(1, 2))


def ghost_square(inputs: Tensor, deltas: Tensor) -> Tensor:
    """Return ||G||^2 of each row: (b, t, d_in), (b, t, d_out) -> (b,).

    Through the t x t products, or through G itself where that is smaller.
    """
    if inputs.shape[1] ** 2 <= inputs.shape[2] * deltas.shape[2]:
        return ((inputs @ inputs.mT) * (deltas @ deltas.mT)).sum(dim=(1, 2)).clamp_min(0)
    return (deltas.mT @ inputs).square().sum(dim=(1, 2))
