"""The axis ``bridging``: how experts of several widths are joined."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from harmonia.core.part import Part

if TYPE_CHECKING:
    from torch import Tensor

    from harmonia.merge.mixture.bridged import Ends

Average = Literal["experts", "contributors"]


class Bridging(Part):
    """Between one embedding and head and experts of other widths."""

    bridges: ClassVar[bool] = True
    """Whether experts may differ in width."""

    @property
    def draws(self) -> bool:
        """Whether projectors depend on the seed."""
        return False

    def projectors(self, ends: Ends, identities: Sequence[str], seed: int) -> dict[str, Tensor]:
        """Return the tensors of In_i and Out_i, ``{expert}.in.{layer}.weight`` and ``{expert}.out.{layer}.weight``.

        Args:
            ends: embeddings and heads, the shared ones and the experts'.
            identities: what tells the experts apart: draws follow it.
            seed: of what is drawn.
        """
        raise NotImplementedError

    def check(self, widths: Sequence[int]) -> None:
        """Refuse experts that it cannot join; nothing by default."""
