"""A network whose weights are one flat vector, so that masks, penalties and gradient rules are plain vector arithmetic.

The vector is split into views without copies (their backward is one concatenation), and may carry a leading axis of
tasks, (N, P): the network's layers are grouped (``harmonia.models.grouped``) and run all tasks in one pass, each with
its own weights. So per-task gradients cost one backward: expand the vector, differentiate the sum of the losses.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call


class FlatNetwork:
    """A module as a function of a flat vector.

    The names of the module's parameters begin with ``embed``, ``body`` or ``head``; the vector holds these three parts
    in this order. Buffers of the module stay where they are.

    >>> class Tiny(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.body = nn.Linear(2, 1)
    ...     def forward(self, x):
    ...         return self.body(x)
    >>> network = FlatNetwork(Tiny())
    >>> network.size, network.body
    (3, slice(0, 3, None))
    >>> network(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([[1.0, 1.0]]))
    tensor([[6.]])
    """

    def __init__(self, module: nn.Module) -> None:
        found = dict(module.named_parameters())
        order = ("embed", "body", "head")
        stray = [name for name in found if not name.startswith(order)]
        if stray:
            raise ValueError(f"parameters outside embed, body and head: {', '.join(stray)}")
        self.module = module
        self.names = [name for part in order for name in found if name.startswith(part)]
        self.parameters: list[Tensor] = [found[name] for name in self.names]
        """The module's own parameters, in the vector's order."""
        self.shapes = [found[name].shape for name in self.names]
        self.sizes = [found[name].numel() for name in self.names]
        self.size = sum(self.sizes)
        ends = [sum(s for n, s in zip(self.names, self.sizes, strict=True) if n.startswith(p)) for p in order]
        self.embed = slice(0, ends[0])
        """Coordinates of the embeddings of inputs."""
        self.body = slice(ends[0], ends[0] + ends[1])
        """Coordinates between embeddings and head: what masks act on."""
        self.head = slice(ends[0] + ends[1], self.size)
        """Coordinates of the output head."""
        self.trunk = slice(0, self.head.start)
        """Embeddings and body: everything but the head."""

    def initial(self) -> Tensor:
        """Return the weights that the module has now as a vector: (P,)."""
        return torch.cat([parameter.detach().reshape(-1) for parameter in self.parameters])

    def load(self, vector: Tensor) -> None:
        """Copy a vector into the module's own parameters: (P,).

        One model at a time runs faster so than by a call with a vector: the module runs as it is, and a gradient by
        ``parameters`` is put together once, not in every backward pass.
        """
        with torch.no_grad():
            torch._foreach_copy_(self.parameters, list(self.views(vector).values()))

    def views(self, vector: Tensor) -> dict[str, Tensor]:
        """Return the parameters by name as views of the vector: (P,) or (N, P)."""
        pieces = vector.split(self.sizes, dim=-1)
        lead = vector.shape[:-1]
        return {n: p.reshape(*lead, *s) for n, p, s in zip(self.names, pieces, self.shapes, strict=True)}

    def __call__(self, vector: Tensor, *args: Any, **kwargs: Any) -> Any:
        """Run the module's forward with these weights."""
        return functional_call(self.module, self.views(vector), args, kwargs)

    def to(self, device: str | torch.device) -> FlatNetwork:
        """Move the module's buffers."""
        self.module.to(device)
        return self
