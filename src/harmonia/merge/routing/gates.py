"""What gates that are not trained have in common: rows in every layer, or one matrix for whole texts."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from harmonia.core.seeds import generator
from harmonia.merge.routing.base import Router, Shared

if TYPE_CHECKING:
    from torch import Tensor

    from harmonia.merge.routing.examples import Fitting
    from harmonia.models.mixture.mixture import Mixture


class GateRouter(Router):
    """A gate in every layer where experts share attention; otherwise one for whole texts, on their mean embedding."""

    shared: Shared = "non-ffn"
    """What experts share. All but feed-forward layers: a gate in every layer decides for every token. Less: one gate
    decides for a whole text, by its mean embedding."""


def gate_names(mixture: Mixture) -> list[str]:
    """Return what the gates of a mixture are called in its router."""
    return [name for owner, name, _ in mixture.named() if owner == "router"]


def gates_like(mixture: Mixture, rows: list[Tensor]) -> dict[str, Tensor]:
    """Return gates by name, in the types that the mixture has them in.

    Args:
        mixture: whose.
        rows: (l, d) of each gate.
    """
    return {
        name: row.to(gate.dtype) for name, gate, row in zip(gate_names(mixture), mixture.gates(), rows, strict=True)
    }


def drawn_rows(fitting: Fitting, word: str, law: Callable[[np.random.Generator, int], np.ndarray]) -> list[Tensor]:
    """Return random rows of every gate, (l, d) each; an expert's do not depend on the other experts.

    Args:
        fitting: with the gates, the seed and the experts' identities.
        word: what is drawn, so that others draw otherwise.
        law: from a generator and d to a row.
    """
    import torch

    return [
        torch.from_numpy(
            np.stack(
                [law(generator(fitting.seed, "routing", word, who, place), gate.shape[1]) for who in fitting.identities]
            )
        )
        for place, gate in enumerate(fitting.mixture.gates())
    ]


def small_uniform(draw: np.random.Generator, width: int) -> np.ndarray:
    """Return a row of U(-1 / sqrt(d), 1 / sqrt(d)), as linear layers begin."""
    return draw.uniform(-1, 1, width) / width**0.5
