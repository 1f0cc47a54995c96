"""How much a loss rises a short way uphill, and the step that goes there (SAM: arXiv 2010.01412).

To first order the worst point within rho of w is w + rho g / ||g||, g the gradient at w: one norm over all coordinates.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from harmonia.core.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor


def step_of_length(direction: Tensor, length: float) -> Tensor:
    """Return the step of this L2 length along a direction, one per row; zero along a zero direction.

    >>> import torch
    >>> step_of_length(torch.tensor([[3.0, 4.0], [0.0, 0.0]]), 0.5)
    tensor([[0.3000, 0.4000],
            [0.0000, 0.0000]])

    Args:
        direction: (..., P).
        length: rho, at least 0.
    """
    import torch

    norm = torch.linalg.vector_norm(direction, dim=-1, keepdim=True)
    return direction * (length / torch.where(norm > 0, norm, 1))


def sharpness(loss: Callable[[Tensor], Tensor], vector: Tensor, rho: float) -> float:
    """Return F(w + rho g / ||g||) - F(w), with g the gradient of F at w; 0 where the gradient is.

    >>> import torch
    >>> round(sharpness(lambda w: w.square().sum(), torch.tensor([3.0, 4.0]), 0.5), 5)  # 5.5^2 - 5^2
    5.25

    Args:
        loss: (P,) -> scalar, differentiable.
        vector: w, (P,).
        rho: length of the step.

    Raises:
        InputError: rho is negative, or the gradient is not finite.
    """
    import torch

    if not rho >= 0:
        raise InputError(f"rho={rho} is not a length; give one of at least 0")
    at = vector.detach().requires_grad_(True)
    here = loss(at)
    (gradient,) = torch.autograd.grad(here, at)
    if not bool(torch.isfinite(gradient).all()):
        raise InputError("the gradient is not finite, so the loss has no direction of ascent; lower the learning rate")
    with torch.no_grad():
        return float(loss(vector + step_of_length(gradient, rho)) - here)
