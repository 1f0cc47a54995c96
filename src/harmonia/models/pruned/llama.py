"""Llama and its descendants: decoders with rotary positions, grouped key-value heads and gated feed-forward layers."""

from __future__ import annotations

from typing import Any

from torch import nn

from harmonia.models.pruned.family import Family, Producer, Slot, child, divided


class Llama(Family):
    """``layers.N`` with ``self_attn.{q,k,v,o}_proj`` and ``mlp.{gate,up,down}_proj``.

    A unit of attention is a key-value head with all query heads that read it, so that every group keeps its size.
    Norms of queries and keys (Qwen3) are per feature of a head and shared by all heads: they stay as they are.
    """

    model_types = ("llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3_text", "granite", "smollm3")
    blocks_at = "layers"

    def attention(self, block: nn.Module, path: str, layer: int) -> Slot:
        size = int(block.self_attn.head_dim)  # type: ignore[union-attr, arg-type]
        query, key = (child(block, path, f"self_attn.{name}_proj") for name in "qk")
        for name in "vo":
            child(block, path, f"self_attn.{name}_proj")
        groups = divided(f"{path}.self_attn.k_proj", key.out_features, size)
        readers = divided(f"{path}.self_attn.q_proj", query.out_features, groups * size)
        return Slot(
            name=f"{path}.self_attn.o_proj",
            layer=layer,
            kind="heads",
            units=groups,
            run=readers * size,
            producers=(
                Producer(f"{path}.self_attn.q_proj", readers * size),
                Producer(f"{path}.self_attn.k_proj", size),
                Producer(f"{path}.self_attn.v_proj", size),
            ),
            owner=f"{path}.self_attn",
        )

    def feed_forward(self, block: nn.Module, path: str, layer: int) -> Slot:
        child(block, path, "mlp.down_proj")
        return Slot(
            name=f"{path}.mlp.down_proj",
            layer=layer,
            kind="neurons",
            units=child(block, path, "mlp.up_proj").out_features,
            run=1,
            producers=(Producer(f"{path}.mlp.gate_proj", 1), Producer(f"{path}.mlp.up_proj", 1)),
            owner=f"{path}.mlp",
        )

    def resize(self, owner: nn.Module, slot: Slot, units: int) -> None:
        if slot.kind == "neurons":
            owner.intermediate_size = units  # type: ignore[assignment]

    def settings(self, config: Any, heads: Slot, neurons: Slot) -> dict[str, Any]:
        changes: dict[str, Any] = {"intermediate_size": neurons.units}
        if heads.units != config.num_key_value_heads:
            size = heads.producers[1].run
            changes |= {
                "num_key_value_heads": heads.units,
                "num_attention_heads": heads.units * heads.run // size,
                "head_dim": size,  # otherwise it would be read as width / heads
            }
        return changes
