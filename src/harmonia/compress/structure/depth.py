"""Whole layers, those first that change their input least."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from harmonia.compress.structure.base import Structure
from harmonia.core.errors import InputError

if TYPE_CHECKING:
    from harmonia.models.pretrained import TokenBatch


class Depth(Structure):
    """Whole layers, those first that change the direction of their input least.

    BI_l = 1 - mean over tokens of cos(h_l, h_(l+1)), the block influence, with h_l the input of block l and h_(l+1) its
    output, padding left out. A share of the layers goes, floor(ratio * L) of them; of equal ones the earlier stays.
    Nothing is repaired. ShortGPT: Men et al. 2024 (arXiv 2403.03853).
    """

    kind: Literal["depth"] = "depth"
    references: ClassVar[tuple[str, ...]] = ("men2024shortgpt",)

    def sites(self, model: Any, length: int) -> list[Any]:
        from harmonia.models.pruned import check_removable

        check_removable(model)
        return []

    def staying(self, influence: np.ndarray, ratio: float) -> np.ndarray:
        """Return the numbers of the layers that stay, ascending.

        Args:
            influence: (L,) of each layer.
            ratio: share of the layers that is removed, at most.

        Raises:
            InputError: a ratio outside [0, 1), or more layers than are not spared.
        """
        if not 0 <= ratio < 1:
            raise InputError(f"ratio={ratio:g}: the share of the layers that is removed lies in [0, 1)")
        candidates = np.array(self.within(len(influence)))
        fewer = min(int(ratio * len(influence) + 1e-9), len(influence) - 1)
        if fewer > len(candidates):
            raise InputError(
                f"ratio={ratio:g} removes {fewer} of {len(influence)} layers, and only {len(candidates)} are not "
                "spared: lower the ratio, structure.spare_first or structure.spare_last"
            )
        # by influence, and among equals the later first
        order = np.lexsort((-candidates, influence[candidates]))
        return np.setdiff1d(np.arange(len(influence)), candidates[order[:fewer]])


def block_influence(model: Any, batches: Sequence[TokenBatch]) -> np.ndarray:
    """Return 1 - mean cosine of each block's input and output over all tokens: (L,) float64.

    Args:
        model: a transformer of a supported family, in evaluation mode.
        batches: of tokens; padding does not count.

    Raises:
        InputError: no tokens, or hidden states that are not finite; the message names the block.
    """
    from torch.nn.functional import cosine_similarity

    from harmonia.models.pruned import check_loaded, family_of, walk

    check_loaded(model)
    path = family_of(model).blocks_path(model)
    count = sum(int(batch.mask.sum()) for batch in batches)
    if not count:
        raise InputError("no tokens to calibrate on: every token is masked as padding")
    found = []
    for step in walk(model, batches):
        total = 0.0
        for batch, before, after in step.run():
            valid = batch.mask.bool()
            total += float(cosine_similarity(before[valid].double(), after[valid].double(), dim=-1).sum())
        if not np.isfinite(total):
            raise InputError(f"{path}.{step.layer}: hidden states are not finite; load the model in float32")
        found.append(1 - total / count)
    return np.array(found)
