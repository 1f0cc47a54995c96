"""Small models for tests of the stage: shapes of bare checkpoints, and language models with tokenizer and text."""

from __future__ import annotations

import json
from types import SimpleNamespace

import torch

SHAPES = {
    "model.embed_tokens.weight": (21, 8),
    "model.layers.0.mlp.up_proj.weight": (12, 8),
    "model.layers.1.mlp.up_proj.weight": (12, 8),
    "model.norm.weight": (8,),
    "lm_head.weight": (21, 8),
}


def language_models(root):
    """Write a tiny language model, two fine-tunes of it, and text of two domains."""
    from transformers import LlamaConfig, LlamaForCausalLM

    from harmonia.models.tokenizer import save_tokenizer, train_tokenizer

    texts = {
        "law": [f"the court shall hear party number {i} and the clerk shall write the record " * 4 for i in range(24)],
        "code": [f"def value_{i}(self): return self.list[{i}] if key else error " * 4 for i in range(24)],
    }
    tokenizer = train_tokenizer([*texts["law"], *texts["code"]], vocab_size=300)
    config = LlamaConfig(
        vocab_size=304,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=64,
        tie_word_embeddings=True,
    )
    torch.manual_seed(0)
    base = LlamaForCausalLM(config)
    folders = {}
    for place, name in enumerate(("base", "law", "code")):
        model = LlamaForCausalLM(config)
        model.load_state_dict(base.state_dict())
        generator = torch.Generator().manual_seed(place)
        with torch.no_grad():
            for weight in model.parameters():
                weight.add_(0.02 * place * torch.randn(weight.shape, generator=generator))
        folders[name] = root / name
        model.save_pretrained(folders[name])
        save_tokenizer(tokenizer, folders[name])
    files = {}
    for domain, own in texts.items():
        files[domain] = root / f"{domain}.jsonl"
        files[domain].write_text("".join(json.dumps({"text": text}) + "\n" for text in own))
    return SimpleNamespace(**folders, texts=files)
