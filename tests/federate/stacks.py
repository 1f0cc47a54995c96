"""What clients hold when they begin, made by hand."""

from __future__ import annotations

import torch

from harmonia.federate.stack import Stack


def stack_of(received, *, sent=None, kept=None, first=None, steps=None, rate=0.1, shared=None) -> Stack:
    """Return a stack from lists; whatever is left out is zero steps of nothing."""
    received = torch.as_tensor(received, dtype=torch.float64)
    m, size = received.shape
    rows = {
        where: {name: torch.as_tensor(x, dtype=torch.float64) for name, x in (given or {}).items()}
        for where, given in (("sent", sent), ("kept", kept))
    }
    return Stack(
        clients=tuple(range(m)),
        received=received,
        sent=rows["sent"],
        kept=rows["kept"],
        first=torch.tensor(first or [False] * m),
        counts=torch.ones(m, 1),
        steps=torch.tensor(steps or [1] * m),
        rate=rate,
        round=1,
        shared=slice(0, shared or size),
    )


class Counted:
    """The gradient of 1/2 sum_j h_j (w_j - c_j)^2, counting how often it is asked."""

    def __init__(self, curvature, optimum=0.0):
        self.curvature, self.optimum = torch.as_tensor(curvature, dtype=torch.float64), optimum
        self.calls = 0

    def __call__(self, at):
        self.calls += 1
        return self.curvature * (at - self.optimum)
