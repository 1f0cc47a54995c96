"""Dense decoders of transformers around tensors that exist already, so that several can share them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
import transformers
from torch import Tensor, nn

from harmonia.core.errors import InputError
from harmonia.models.mixture.parts import DECODERS
from harmonia.models.pretrained import quiet


def dense_config(record: Mapping[str, Any], where: object = "the mixture") -> Any:
    """Return the configuration of a dense decoder.

    Raises:
        InputError: another architecture, or settings that transformers does not take.
    """
    kind = record.get("model_type")
    if kind not in DECODERS:
        raise InputError(f"{where} is a {kind!r}: mixtures are made of {', '.join(DECODERS)}")
    try:
        with quiet():
            return transformers.AutoConfig.for_model(**record)
    except Exception as error:  # transformers raises almost anything for settings that do not fit
        raise InputError(f"{where}: its config.json cannot be used: {' '.join(str(error).split())[:200]}") from error


def dense(config: Any, tensors: Mapping[str, Tensor], *, ends: bool = True) -> Any:
    """Return a causal decoder on tensors, which are not copied: parameters given to several are one.

    Args:
        config: of ``dense_config``.
        tensors: by the names of the dense model; the head may be left out where it is tied.
        ends: whether it has an embedding and a head; without, it takes hidden states and gives some.

    Raises:
        InputError: a tensor is missing, of another shape, or of no place.
    """
    # a twin's own settings: transformers notes the attention it chose in them
    config = type(config).from_dict(config.to_dict())
    with torch.device("meta"), quiet():
        model = transformers.AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    held = dict(tensors)
    if not ends:
        model.model.embed_tokens = model.lm_head = None
    elif config.tie_word_embeddings:
        held["lm_head.weight"] = held["model.embed_tokens.weight"]
    try:
        model.load_state_dict(held, strict=True, assign=True)
    except RuntimeError as error:
        line = " ".join(str(error).split())
        raise InputError(f"the tensors do not fit the configuration: {re.sub('^.*?: ', '', line)[:300]}") from error
    # frequencies are no weights, and were made without numbers
    model.model.rotary_emb = type(model.model.rotary_emb)(config=config)
    return model.eval()


def parameters(tensors: Mapping[str, Tensor]) -> dict[str, nn.Parameter]:
    """Return tensors as frozen parameters."""
    return {
        name: t if isinstance(t, nn.Parameter) else nn.Parameter(t, requires_grad=False) for name, t in tensors.items()
    }
