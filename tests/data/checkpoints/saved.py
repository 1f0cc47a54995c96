"""Small checkpoints for tests."""

from __future__ import annotations

import json

import torch
from safetensors.torch import save_file

SHAPES = {
    "model.embed_tokens.weight": (13, 6),
    "model.layers.0.mlp.up_proj.weight": (10, 6),
    "model.layers.0.input_layernorm.weight": (6,),
    "model.layers.1.mlp.up_proj.weight": (10, 6),
    "model.norm.weight": (6,),
    "lm_head.weight": (13, 6),
}


def drawn(seed=0, shapes=None, dtype=torch.float32, scale=1.0):
    generator = torch.Generator().manual_seed(seed)
    return {n: (scale * torch.randn(s, generator=generator)).to(dtype) for n, s in (shapes or SHAPES).items()}


def saved(folder, tensors=None, shards=1, config=None, **more):
    """Write a model's folder; ``tensors`` or those drawn with ``more``."""
    tensors = drawn(**more) if tensors is None else tensors
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(
        json.dumps({"model_type": "llama", "tie_word_embeddings": False, **(config or {})})
    )
    if shards == 1:
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
        return folder
    places = {}
    for i in range(shards):
        name = f"model-{i + 1:05d}-of-{shards:05d}.safetensors"
        part = dict(list(tensors.items())[i::shards])
        save_file(part, folder / name, metadata={"format": "pt"})
        places |= dict.fromkeys(part, name)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))
    return folder


def moved(tensors, seed, scale=0.1):
    """Return a fine-tune: the tensors and a little noise, in their own type."""
    noise = drawn(seed, {name: tuple(t.shape) for name, t in tensors.items()}, scale=scale)
    return {name: (t.float() + noise[name]).to(t.dtype) for name, t in tensors.items()}
