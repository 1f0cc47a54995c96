"""Llama and its descendants: decoders with rotary positions, grouped key-value heads and gated feed-forward layers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor, nn

from harmonia.models.pruned.family import Family, Producer, Slot, child, divided
from harmonia.models.pruned.skips import is_turned


class Llama(Family):
    """``layers.N`` with ``self_attn.{q,k,v,o}_proj`` and ``mlp.{gate,up,down}_proj``.

    A unit of attention is a key-value head with all query heads that read it, so that every group keeps its size.
    Norms of queries and keys (Qwen3) are per feature of a head and shared by all heads: they stay as they are.
    """

    model_types = ("llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3_text", "granite", "smollm3")
    blocks_at = "layers"
    bias_fields: ClassVar[dict[str, str]] = {"heads": "attention_bias", "neurons": "mlp_bias"}
    embeddings = ("embed_tokens",)
    norms = ("input_layernorm", "post_attention_layernorm")
    last_norm = "norm"

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
            stream=path if _adds_plainly(block) else None,
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
            stream=f"{path}.post_attention_layernorm" if _adds_plainly(block) else None,
        )

    def resize(self, owner: nn.Module, slot: Slot, units: int) -> None:
        if slot.kind == "neurons":
            owner.intermediate_size = units  # type: ignore[assignment]

    def attend(
        self, block: nn.Module, states: Tensor, args: tuple[Any, ...] = (), options: Mapping[str, Any] | None = None
    ) -> Tensor:
        found: Tensor = block.self_attn(hidden_states=block.input_layernorm(states), **(options or {}))[0]  # type: ignore[operator]
        return found

    def feed(self, block: nn.Module, states: Tensor) -> Tensor:
        found: Tensor = block.mlp(block.post_attention_layernorm(states))  # type: ignore[operator]
        return found

    def scale(self, norm: nn.Module) -> Tensor:
        factor = super().scale(norm)
        return 1 + factor if type(norm).__name__.startswith("Gemma") else factor

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


def _adds_plainly(block: nn.Module) -> bool:
    """Return whether outputs are added to the hidden state as they are: no norm (Gemma 2), no factor (Granite).

    Where hidden channels are gone, the hidden state is turned before it is added to.
    """
    factor = getattr(block, "residual_multiplier", 1.0)
    return not hasattr(block, "pre_feedforward_layernorm") and float(factor) == 1.0 and not is_turned(block)
