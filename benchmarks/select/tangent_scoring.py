"""Tangent-kernel scores of texts: one forward-mode pass, or two plain passes, against a backward pass per text.

The baseline forms all logits, sums them, takes the gradient of one text at a time and its inner product with the mean
gradient of the targets. Model: Llama shape, width 128, 2 layers, rank-8 adapters, vocabulary 4,000, texts of 32 tokens.

    python -m benchmarks.select.tangent_scoring --out results
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.record import Record, options, single_threaded
from benchmarks.timing import in_turn


def adapted_model(vocabulary: int) -> Any:
    """Return a small random causal model whose adapters are not zero."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from harmonia.models.lora import add_lora, lora_names

    torch.manual_seed(0)
    model: Any = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=vocabulary,
            hidden_size=128,
            intermediate_size=352,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=4,
        )
    ).eval()
    model.set_attn_implementation("eager")  # fused attention has no forward mode
    add_lora(model, 8, 0)
    parameters = dict(model.named_parameters())
    for name in lora_names(model):
        torch.nn.init.normal_(parameters[name], std=0.02)
    return model


def by_full_logits(model: Any, names: Sequence[str], direction: dict[str, Any], examples: Sequence[Any]) -> np.ndarray:
    """Return <gradient of the summed logits of each text, direction>, one backward pass per text."""
    import torch

    parameters = {name: value for name, value in model.named_parameters() if name in set(names)}
    for value in parameters.values():
        value.requires_grad_(True)
    scores = []
    for example in examples:
        total = model(input_ids=torch.tensor([example.ids]), use_cache=False).logits.sum(-1).mean()
        gradients = torch.autograd.grad(total, list(parameters.values()))
        scores.append(
            sum(
                float((g.double() * direction[f"model.{name}"]).sum())
                for name, g in zip(parameters, gradients, strict=True)
            )
        )
    model.requires_grad_(False)
    return np.array(scores)


def main() -> None:
    """Measure."""
    parser = options(__doc__)
    parser.add_argument("--texts", type=int, default=64)
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--vocabulary", type=int, default=4000)
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    single_threaded(given.threads)
    import torch
    from scipy.stats import spearmanr

    from harmonia.models.lora import lora_names
    from harmonia.models.tangent_lm import Alignment, Example, SummedOutputs, TangentLM

    torch.set_num_threads(given.threads)
    model = adapted_model(given.vocabulary)
    names = lora_names(model)
    random = np.random.default_rng(0)
    texts, targets = (
        [Example(ids, 0) for ids in random.integers(0, given.vocabulary, (n, given.tokens)).tolist()]
        for n in (given.texts, 16)
    )
    tangent = TangentLM(SummedOutputs(model, torch.ones(1, given.vocabulary)), 1, names, 4096)
    scorers = {name: Alignment(tangent, targets, scorer=name) for name in ("forward", "difference", "reverse")}
    direction = scorers["reverse"].directions[0]
    naive = "backward per text, all logits"
    times = in_turn(
        {
            naive: lambda: by_full_logits(model, names, direction, texts),
            "backward per text, no logits": lambda: scorers["reverse"](texts),
            "forward mode": lambda: scorers["forward"](texts),
            "central difference": lambda: scorers["difference"](texts),
        },
        given.repeats,
    )
    exact = times[naive].result
    record = Record("tangent_scoring", "Seconds to score all texts (median)", vars(given))
    for name, timed in times.items():
        record.add(
            scorer=name,
            seconds=timed.median,
            times_faster=times[naive].median / timed.median,
            largest_error=float(np.abs(timed.result - exact).max() / np.abs(exact).max()),
            spearman=float(spearmanr(timed.result, exact)[0]),
        )
    record.save(given.out)


if __name__ == "__main__":
    main()
