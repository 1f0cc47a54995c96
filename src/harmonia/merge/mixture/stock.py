"""Configurations of transformers' own mixtures, for what they can express."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harmonia.models.mixture.record import Layout

_LAYOUTS: dict[str, Layout] = {"llama": "mixtral", "mistral": "mixtral", "qwen3": "qwen3_moe"}
_CLASSES = {"mixtral": "MixtralForCausalLM", "qwen3_moe": "Qwen3MoeForCausalLM"}


def stock_config(config: Mapping[str, Any], experts: int, top_k: int) -> tuple[Layout, dict[str, Any]] | None:
    """Return the layout and config.json of a stock mixture that computes the same; None where there is none.

    It shares all but feed-forward layers, and a gate in every layer chooses K experts for each token. Mixtral has no
    biases and scales rotary positions in no special way that Llama does not; Qwen2 has no stock mixture without an
    expert that always works.

    Args:
        config: of a dense expert.
        experts: l.
        top_k: K.
    """
    from harmonia.models.mixture.dense import dense_config

    layout = _LAYOUTS.get(str(config.get("model_type")))
    odd = config.get("attention_bias") or config.get("mlp_bias") or config.get("hidden_act", "silu") != "silu"
    if layout is None or odd:
        return None
    whole = dense_config(config).to_dict()
    if layout == "qwen3_moe" and whole.get("use_sliding_window"):
        return None
    dropped = ("mlp_bias", "attention_bias", "pretraining_tp", "layer_types", "transformers_version", "_name_or_path")
    plain = {key: value for key, value in whole.items() if key not in dropped}
    plain |= {
        "model_type": layout,
        "architectures": [_CLASSES[layout]],
        "num_experts_per_tok": top_k,
        "sliding_window": whole.get("sliding_window") if layout == "mixtral" else None,
    }
    if layout == "mixtral":
        plain |= {"num_local_experts": experts}
    else:
        plain |= {
            "num_experts": experts,
            "moe_intermediate_size": whole["intermediate_size"],
            "norm_topk_prob": True,
            "decoder_sparse_step": 1,
            "attention_bias": False,
        }
    return layout, plain
