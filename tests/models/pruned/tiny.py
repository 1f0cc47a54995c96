"""Tiny random transformers, drawn large enough that every unit matters."""

import numpy as np
import torch
import transformers

from harmonia.models.pretrained import TokenBatch

WORDS = 50


def llama(kind="llama", *, layers=2, heads=4, groups=2, size=8, neurons=48, hidden=32, seed=0, **options):
    config = transformers.AutoConfig.for_model(
        kind,
        vocab_size=WORDS,
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=groups,
        head_dim=size,
        intermediate_size=neurons,
        max_position_embeddings=64,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
        **options,
    )
    return drawn(transformers.AutoModelForCausalLM, config, seed)


def gpt2(*, layers=2, heads=4, hidden=32, seed=0, **options):
    config = transformers.GPT2Config(
        vocab_size=WORDS,
        n_embd=hidden,
        n_layer=layers,
        n_head=heads,
        n_positions=64,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
        **options,
    )
    return drawn(transformers.AutoModelForCausalLM, config, seed)


def bert(kind="bert", *, layers=2, heads=4, neurons=48, hidden=32, seed=0, auto=transformers.AutoModel, **options):
    config = transformers.AutoConfig.for_model(
        kind,
        vocab_size=WORDS,
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=neurons,
        max_position_embeddings=64,
        **options,
    )
    return drawn(auto, config, seed)


def drawn(auto, config, seed):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = auto.from_config(config).eval().requires_grad_(False)
        for name, tensor in model.named_parameters():
            if tensor.ndim == 2:
                tensor.normal_(std=0.2)
            elif name.endswith("bias"):
                tensor.normal_(std=0.1)
    return model


def batch(lengths=(7, 5), *, seed=0, first=0):
    """Return one padded batch of random tokens, its rows numbered from ``first``."""
    draw = np.random.default_rng([seed, first])
    ids = np.zeros((len(lengths), max(lengths)), np.int64)
    mask = np.zeros_like(ids)
    for row, length in enumerate(lengths):
        ids[row, :length] = draw.integers(3, WORDS, length)
        mask[row, :length] = 1
    return TokenBatch(np.arange(first, first + len(lengths)), torch.from_numpy(ids), torch.from_numpy(mask))


def output(model, given):
    """Return logits, or hidden states where there is no head."""
    with torch.no_grad():
        out = model(input_ids=given.ids, attention_mask=given.mask)
    return out.logits if "logits" in out else out.last_hidden_state
