"""Which tensors of a Llama-type decoder the experts of a mixture share, by name."""

from __future__ import annotations

import re
from typing import Literal

from harmonia.core.errors import InputError

SharedSet = Literal["non-ffn", "non-ffn-non-attn", "embed-head", "nothing"]
"""non-ffn: all but feed-forward layers. non-ffn-non-attn: also without attention: embedding, all norms, head.
embed-head: embedding, final norm, head. nothing: every expert is whole."""
Kind = Literal["ffn", "attention", "norm", "ends"]
"""What a tensor belongs to; ``ends`` are embedding, final norm and head."""

DECODERS = ("llama", "mistral", "qwen2", "qwen3")
"""Architectures of which mixtures are made, as config.json calls them."""

_SEPARATE: dict[SharedSet, tuple[Kind, ...]] = {
    "non-ffn": ("ffn",),
    "non-ffn-non-attn": ("ffn", "attention"),
    "embed-head": ("ffn", "attention", "norm"),
    "nothing": ("ffn", "attention", "norm", "ends"),
}
_ENDS = re.compile(r"(model\.embed_tokens|model\.norm|lm_head)\.weight")
_INNER = re.compile(r"model\.layers\.\d+\.(?:(mlp)\.|(self_attn)\.|(\w*layernorm)\.)[\w.]+")


def kind_of(name: str) -> Kind:
    """Return what a tensor belongs to.

    Raises:
        InputError: a name that no supported decoder has.

    >>> kind_of("model.layers.3.mlp.up_proj.weight"), kind_of("model.norm.weight")
    ('ffn', 'ends')
    """
    if _ENDS.fullmatch(name):
        return "ends"
    found = _INNER.fullmatch(name)
    if found is None:
        raise InputError(
            f"tensor {name} is not one of a Llama-type decoder ({', '.join(DECODERS)}) with its head: save the experts "
            "as causal language models of one of these"
        )
    return "ffn" if found[1] else "attention" if found[2] else "norm"


def is_shared(name: str, shared: SharedSet) -> bool:
    """Return whether the experts of a mixture have one tensor of this name.

    >>> [is_shared("model.layers.0.self_attn.q_proj.weight", s) for s in ("non-ffn", "embed-head")]
    [True, False]
    """
    return kind_of(name) not in _SEPARATE[shared]
