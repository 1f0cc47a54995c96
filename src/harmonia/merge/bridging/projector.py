"""Projectors between one wide embedding and head and experts of their own widths."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from harmonia.core.seeds import generator
from harmonia.merge.bridging.base import Average, Bridging

if TYPE_CHECKING:
    from torch import Tensor

    from harmonia.merge.mixture.bridged import Ends


class Projector(Bridging):
    """One embedding and one head as wide as the widest expert, and projectors In_i and Out_i around each expert.

    M_e, M_h: mean of the experts' embeddings and heads, zero-padded on the right to d_m = max d_i
    logits = M_h sum_i alpha_i Out_i(Trunk_i(In_i(e_1, ..., e_t)))

    Drawn at random, they must be trained. In closed form they need no training: In_i is the least-squares map from rows
    of M_e to rows of the expert's embedding, and Out_i = pinv(M_h) head_i makes M_h Out_i r nearest to head_i r; for a
    single expert both are exact. MergeME: Zhou et al. 2025 (arXiv 2502.00997); the closed form is ours.
    """

    kind: Literal["projector"] = "projector"
    references: ClassVar[tuple[str, ...]] = ("zhou2025mergeme",)
    main: ClassVar[str] = "init"

    init: Literal["random", "least-squares"] = "random"
    """Drawn as linear layers begin, or in closed form."""
    layers: int = Field(2, ge=1, le=4)
    """Linear layers of a random projector, with GELU in between; in closed form there is one."""
    average: Average = "experts"
    """What the sum in a column of M_e and M_h is divided by: l, or the number of experts that are as wide."""

    @property
    def draws(self) -> bool:
        return self.init == "random"

    def projectors(self, ends: Ends, identities: Sequence[str], seed: int) -> dict[str, Tensor]:
        return ends.least_squares() if self.init == "least-squares" else self._drawn(ends, identities, seed)

    def _drawn(self, ends: Ends, identities: Sequence[str], seed: int) -> dict[str, Tensor]:
        import torch

        tensors = {}
        for expert, width in enumerate(ends.widths):
            for way, (start, end) in (("in", (ends.width, width)), ("out", (width, ends.width))):
                draw = generator(seed, "bridging", identities[expert], way)
                sizes = [start, *[max(start, end)] * (self.layers - 1), end]
                for layer in range(self.layers):
                    fan, out = sizes[layer], sizes[layer + 1]
                    name = f"{expert}.{way}.{layer}"
                    tensors[f"{name}.weight"] = torch.from_numpy(draw.uniform(-1, 1, (out, fan)) / fan**0.5).float()
                    tensors[f"{name}.bias"] = torch.from_numpy(draw.uniform(-1, 1, out) / fan**0.5).float()
        return tensors
