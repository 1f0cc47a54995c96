"""BERT and its descendants: post-norm or pre-norm encoders with separate queries, keys and values."""

from __future__ import annotations

from typing import Any

from torch import nn

from harmonia.models.pruned.family import Family, Producer, Slot, child, divided


class Bert(Family):
    """``encoder.layer.N`` with ``attention.self``, ``attention.output``, ``intermediate`` and ``output``."""

    model_types = (
        "bert",
        "roberta",
        "xlm-roberta",
        "xlm-roberta-xl",
        "camembert",
        "electra",
        "ernie",
        "data2vec-text",
        "roberta-prelayernorm",
    )
    blocks_at = "encoder.layer"

    def attention(self, block: nn.Module, path: str, layer: int) -> Slot:
        size = int(block.attention.self.attention_head_size)  # type: ignore[union-attr, arg-type]
        query = child(block, path, "attention.self.query")
        for name in ("key", "value"):
            child(block, path, f"attention.self.{name}")
        child(block, path, "attention.output.dense")
        return Slot(
            name=f"{path}.attention.output.dense",
            layer=layer,
            kind="heads",
            units=divided(f"{path}.attention.self.query", query.out_features, size),
            run=size,
            producers=tuple(Producer(f"{path}.attention.self.{name}", size) for name in ("query", "key", "value")),
            owner=f"{path}.attention.self",
            stream=path,
        )

    def feed_forward(self, block: nn.Module, path: str, layer: int) -> Slot:
        child(block, path, "output.dense")
        return Slot(
            name=f"{path}.output.dense",
            layer=layer,
            kind="neurons",
            units=child(block, path, "intermediate.dense").out_features,
            run=1,
            producers=(Producer(f"{path}.intermediate.dense", 1),),
            owner=path,
            # where norms come first, the layer reads the hidden state through one
            stream=f"{path}.intermediate" if hasattr(block.intermediate, "LayerNorm") else f"{path}.intermediate.dense",
        )

    def resize(self, owner: nn.Module, slot: Slot, units: int) -> None:
        if slot.kind == "heads":
            owner.num_attention_heads = units  # type: ignore[assignment]
            owner.all_head_size = units * slot.run  # type: ignore[assignment]

    def settings(self, config: Any, heads: Slot, neurons: Slot) -> dict[str, Any]:
        return {"intermediate_size": neurons.units}  # the size of a head is always width / heads here
