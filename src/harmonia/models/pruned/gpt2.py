"""GPT-2: a decoder whose linear layers are stored transposed, queries, keys and values in one of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from harmonia.core.errors import InputError
from harmonia.models.pruned.family import Family, Producer, Slot, child, divided
from harmonia.models.pruned.linear import matrix


class Gpt2(Family):
    """``h.N`` with ``attn.c_attn``, ``attn.c_proj``, ``mlp.c_fc`` and ``mlp.c_proj``."""

    model_types = ("gpt2",)
    blocks_at = "h"

    def attention(self, block: nn.Module, path: str, layer: int) -> Slot:
        size = int(block.attn.head_dim)  # type: ignore[union-attr, arg-type]
        child(block, path, "attn.c_attn")
        columns = matrix(child(block, path, "attn.c_proj")).shape[1]
        return Slot(
            name=f"{path}.attn.c_proj",
            layer=layer,
            kind="heads",
            units=divided(f"{path}.attn.c_proj", columns, size),
            run=size,
            producers=(Producer(f"{path}.attn.c_attn", size, parts=3),),
            owner=f"{path}.attn",
        )

    def feed_forward(self, block: nn.Module, path: str, layer: int) -> Slot:
        child(block, path, "mlp.c_proj")
        return Slot(
            name=f"{path}.mlp.c_proj",
            layer=layer,
            kind="neurons",
            units=matrix(child(block, path, "mlp.c_fc")).shape[0],
            run=1,
            producers=(Producer(f"{path}.mlp.c_fc", 1),),
            owner=path,
        )

    def resize(self, owner: nn.Module, slot: Slot, units: int) -> None:
        if slot.kind == "heads":
            owner.num_heads = units  # type: ignore[assignment]
            owner.split_size = units * slot.run  # type: ignore[assignment]

    def settings(self, config: Any, heads: Slot, neurons: Slot) -> dict[str, Any]:
        return {"n_inner": neurons.units}  # the size of a head is always width / heads here

    def renumber(self, config: Any, kept: Sequence[int]) -> dict[str, Any]:
        if config.scale_attn_by_inverse_layer_idx and list(kept) != list(range(len(kept))):
            raise InputError(
                "this GPT-2 scales attention by the number of the layer (scale_attn_by_inverse_layer_idx), so that "
                "layers cannot move: only the last ones can be removed"
            )
        return super().renumber(config, kept)
