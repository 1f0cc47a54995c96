"""Projectors that join experts of several widths: d_m -> d_i before an expert, d_i -> d_m behind it."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn


class Bridge(nn.Module):
    """One embedding and one head of width d_m, and In_i and Out_i for each expert.

    Attributes:
        embedding: M_e: (V, d_m).
        head: M_h: (V, d_m).
        into: In_1 to In_l.
        out: Out_1 to Out_l.
    """

    def __init__(self, embedding: Tensor, head: Tensor, projectors: Mapping[str, Tensor], experts: int) -> None:
        super().__init__()
        self.embedding = nn.Parameter(embedding, requires_grad=False)
        self.head = nn.Parameter(head, requires_grad=False)
        self.into = nn.ModuleList(projector(projectors, f"{i}.in.") for i in range(experts))
        self.out = nn.ModuleList(projector(projectors, f"{i}.out.") for i in range(experts))


def projector(tensors: Mapping[str, Tensor], prefix: str) -> nn.Sequential:
    """Return linear layers with GELU in between, as many as there are tensors ``{prefix}{number}.weight``."""
    layers: list[nn.Module] = []
    numbers = sorted(
        int(name.removeprefix(prefix).split(".")[0])
        for name in tensors
        if name.startswith(prefix) and name.endswith("weight")
    )
    for number in numbers:
        weight, bias = tensors[f"{prefix}{number}.weight"], tensors.get(f"{prefix}{number}.bias")
        layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None, device="meta")
        layer.weight = nn.Parameter(weight, requires_grad=False)
        if bias is not None:
            layer.bias = nn.Parameter(bias, requires_grad=False)
        layers += [nn.GELU()] if layers else []
        layers.append(layer)
    return nn.Sequential(*layers)


def identity(width: int, narrow: int) -> tuple[Tensor, Tensor]:
    """Return In, (d_i, d_m), that leaves out the columns beyond d_i, and Out, its transpose."""
    into = torch.eye(narrow, width)
    return into, into.T.contiguous()
