"""What a router does: which experts work for which domain, how sure it is, and how well its gates can be told apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from harmonia.models.mixture.mixture import Mixture
from harmonia.models.pretrained import TokenBatch

ILL = 5.0
"""Condition number of gate vectors above which experts can hardly be told apart."""


@dataclass(frozen=True)
class RouterDiagnosis:
    """What was seen.

    Attributes:
        experts: what each is called.
        domains: what each domain is called.
        shares: mean weight of each expert in each domain: (domains, l); rows sum to 1.
        entropy: mean entropy of the weights in each domain, in nats, from 0 to log K: (domains,).
        conditions: condition number of the gate vectors of each layer; empty without gates.
    """

    experts: tuple[str, ...]
    domains: tuple[str, ...]
    shares: np.ndarray
    entropy: np.ndarray
    conditions: tuple[float, ...]

    @property
    def warnings(self) -> list[str]:
        """What a user should know, a line each."""
        found = []
        ill = [place for place, condition in enumerate(self.conditions) if condition > ILL]
        if ill:
            worst = max(self.conditions)
            found.append(
                f"gate vectors of {len(ill)} of {len(self.conditions)} layers are nearly dependent (condition number "
                f"up to {worst:.3g}, above {ILL:g}): give prompts that tell the experts better apart"
            )
        idle = [
            name for name, share in zip(self.experts, self.shares.max(axis=0, initial=0), strict=True) if share == 0
        ]
        if idle and len(self.domains):
            found.append(f"no text was sent to {', '.join(idle)}: leave out what is not used, or train the router")
        return found


def diagnose_router(mixture: Mixture, domains: Mapping[str, Sequence[TokenBatch]]) -> RouterDiagnosis:
    """Return what the router of a mixture does with texts.

    Args:
        mixture: in evaluation mode.
        domains: texts of each domain, as batches of tokens.
    """
    shares, entropies = [], []
    with torch.no_grad():
        for batches in domains.values():
            total, mass, entropy = torch.zeros(mixture.experts, dtype=torch.float64), 0.0, 0.0
            for batch in batches:
                weights = mixture(input_ids=batch.ids, attention_mask=batch.mask).weights.double().cpu()
                rows = weights[:, batch.mask.bool().cpu()].flatten(0, 1) if weights.dim() == 4 else weights
                total += rows.sum(dim=0)
                entropy += float(torch.special.entr(rows).sum())
                mass += len(rows)
            shares.append((total / max(mass, 1)).numpy())
            entropies.append(entropy / max(mass, 1))
    conditions = tuple(condition(gate) for gate in mixture.gates())
    found = np.array(shares).reshape(len(domains), mixture.experts)
    return RouterDiagnosis(mixture.record.experts, tuple(domains), found, np.array(entropies), conditions)


def condition(gate: Tensor) -> float:
    """Return the condition number of gate vectors, (l, d): infinite where one is a combination of the others.

    >>> condition(torch.tensor([[1.0, 0.0], [0.0, 4.0]]))
    4.0
    """
    values = torch.linalg.svdvals(gate.detach().double().cpu())
    least, most = float(values[-1]), float(values[0])
    if len(gate) > gate.shape[1] or least <= most * 1e-12:
        return float("inf")
    return most / least
