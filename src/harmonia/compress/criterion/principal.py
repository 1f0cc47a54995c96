"""How much of the hidden state lies along a direction."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from harmonia.compress.criterion.base import Criterion
from harmonia.compress.site import Seen, Site
from harmonia.core.errors import InputError


class Principal(Criterion):
    """How much of the squares of a hidden state lies along a direction; for hidden channels only.

    Eigenvalues of H = sum over tokens of x x^T, in float64; the directions are its eigenvectors. x is seen when the
    states before it have been cut already, so that each basis is fitted to what reaches it; a pass per ratio. Padding
    is left out, and a state is centred first where its norm centres it.
    SliceGPT: Ashkboos et al. 2024 (arXiv 2401.15024).
    """

    kind: Literal["principal"] = "principal"
    references: ClassVar[tuple[str, ...]] = ("ashkboos2024slicegpt",)
    main: ClassVar[str] = "signal"

    signal: Literal["residual", "normalised"] = "residual"
    """residual: x as it is, in which tokens with large states count for more; as the released code does. normalised: x
    is divided by its length first, as layers read it, so that every token counts the same; as the paper says."""

    def score(self, site: Site, seen: Seen | None, seed: int) -> np.ndarray:
        raise InputError(
            f"criterion {self.kind} scores directions of hidden states, and {site.name} has {site.kind}; take "
            "structure=hidden"
        )
