"""Hidden channels: directions of the hidden state, between all layers at once."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from harmonia.compress.structure.base import Structure
from harmonia.core.errors import InputError


class Hidden(Structure):
    """Channels of the hidden state, which run through all layers; each state is turned first, so that few are needed.

    Each of the 2 L + 1 hidden states of L layers is written in a basis of its own, of which the first k directions
    stay; everything that reads or adds to it is turned along, and beside attention and feed-forward layer of every
    block there is a matrix of k x k from one basis to the next. k is (1 - ratio) D, rounded down to a ``multiple``. The
    matrices in between cost 2 L k^2 parameters, which is much where models are small.
    SliceGPT: Ashkboos et al. 2024 (arXiv 2401.15024).
    """

    kind: Literal["hidden"] = "hidden"
    references: ClassVar[tuple[str, ...]] = ("ashkboos2024slicegpt",)
    main: ClassVar[str] = "multiple"

    multiple: int = Field(8, ge=1)
    """k is a multiple of this, as fast products want it."""
    spare_embeddings: bool = False
    """Whether embeddings keep all channels."""
    spare_head: bool = True
    """Whether the head over words, or over classes, reads all channels, as in the released code. With both ends spared,
    embeddings and head may still share their weight; otherwise they need one each."""

    def sites(self, model: Any, length: int) -> list[Any]:
        from harmonia.models.pruned import check_loaded, check_narrow

        check_loaded(model)
        check_narrow(model)
        return []

    def widths(self, channels: int, layers: int, ratio: float) -> list[int | None]:
        """Return how many channels stay of each of the 2 L + 1 hidden states; None for one that is left whole.

        Those that a spared layer reads or gives are whole.

        Args:
            channels: D.
            layers: L.
            ratio: share of the channels that is removed, at least.

        Raises:
            InputError: a ratio outside [0, 1), none stays, or every layer is spared.

        >>> Hidden().widths(576, 2, 0.2)
        [456, 456, 456, 456, None]
        """
        if not 0 <= ratio < 1:
            raise InputError(f"ratio={ratio:g}: the share of the channels that is removed lies in [0, 1)")
        cut = self.within(layers)
        stays = int((1 - ratio) * channels / self.multiple + 1e-9) * self.multiple if ratio else channels
        if not stays:
            raise InputError(
                f"ratio={ratio:g} leaves less than structure.multiple={self.multiple} of {channels} channels: lower one"
            )
        whole = {0} if self.spare_embeddings else set()
        whole |= {2 * layers} if self.spare_head else set()
        for layer in range(layers):
            whole |= set() if layer in cut else {2 * layer, 2 * layer + 1, 2 * layer + 2}
        return [None if place in whole else stays for place in range(2 * layers + 1)]
