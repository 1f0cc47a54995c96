"""GPT-2: a decoder whose linear layers are stored transposed, queries, keys and values in one of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from harmonia.core.errors import InputError
from harmonia.models.pruned.family import Family, Producer, Slot, child, divided
from harmonia.models.pruned.linear import matrix
from harmonia.models.pruned.skips import is_turned

_CROSS = ("encoder_hidden_states", "encoder_attention_mask")
"""What a block is called with for attention to another model."""


class Gpt2(Family):
    """``h.N`` with ``attn.c_attn``, ``attn.c_proj``, ``mlp.c_fc`` and ``mlp.c_proj``."""

    model_types = ("gpt2",)
    blocks_at = "h"
    embeddings = ("wte", "wpe")
    norms = ("ln_1", "ln_2")
    last_norm = "ln_f"

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
            stream=None if is_turned(block) else path,
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
            stream=None if is_turned(block) else f"{path}.ln_2",
        )

    def resize(self, owner: nn.Module, slot: Slot, units: int) -> None:
        if slot.kind == "heads":
            owner.num_heads = units  # type: ignore[assignment]
            owner.split_size = units * slot.run  # type: ignore[assignment]

    def attend(
        self, block: nn.Module, states: Tensor, args: tuple[Any, ...] = (), options: Mapping[str, Any] | None = None
    ) -> Tensor:
        named = dict(zip(("past_key_values", "attention_mask", *_CROSS), args, strict=False)) | dict(options or {})
        own = {name: value for name, value in named.items() if name not in _CROSS}
        found: Tensor = block.attn(block.ln_1(states), **own)[0]  # type: ignore[operator]
        return found

    def feed(self, block: nn.Module, states: Tensor) -> Tensor:
        found: Tensor = block.mlp(block.ln_2(states))  # type: ignore[operator]
        return found

    def settings(self, config: Any, heads: Slot, neurons: Slot) -> dict[str, Any]:
        return {"n_inner": neurons.units}  # the size of a head is always width / heads here

    def renumber(self, config: Any, kept: Sequence[int]) -> dict[str, Any]:
        if config.scale_attn_by_inverse_layer_idx and list(kept) != list(range(len(kept))):
            raise InputError(
                "this GPT-2 scales attention by the number of the layer (scale_attn_by_inverse_layer_idx), so that "
                "layers cannot move: only the last ones can be removed"
            )
        return super().renumber(config, kept)
