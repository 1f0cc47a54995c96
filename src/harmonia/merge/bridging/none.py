"""No bridges: experts of one shape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from harmonia.core.errors import InputError
from harmonia.merge.bridging.base import Bridging

if TYPE_CHECKING:
    from torch import Tensor

    from harmonia.merge.mixture.bridged import Ends


class NoBridging(Bridging):
    """Experts have one shape, and nothing stands between them and what they share."""

    kind: Literal["none"] = "none"
    bridges: ClassVar[bool] = False

    def projectors(self, ends: Ends, identities: Sequence[str], seed: int) -> dict[str, Tensor]:
        return {}

    def check(self, widths: Sequence[int]) -> None:
        if len(set(widths)) > 1:
            raise InputError(
                f"experts of widths {', '.join(map(str, widths))}: take bridging=projector with "
                "routing=sequence-linear or ppl"
            )
