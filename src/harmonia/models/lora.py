"""Low-rank adapters on the linear layers of a pretrained model, y = W x + (alpha / r) B A x, and their short training.

Hu et al. 2022 (arXiv 2106.09685). The layers are those of the peft library, put into the model in place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from harmonia.core.errors import InputError, MissingExtraError
from harmonia.core.progress import track
from harmonia.core.seeds import generator


def add_lora(model: Any, rank: int, seed: int) -> None:
    """Put adapters of rank r on every linear layer except the head; A is random, B is zero, alpha is 2 r.

    Raises:
        MissingExtraError: peft is not installed.
        InputError: the model has no linear layer that could take an adapter.
    """
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError as error:
        raise MissingExtraError("peft", "lm") from error
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            inject_adapter_in_model(LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear"), model)
        except ValueError as error:
            raise InputError(f"this model cannot take LoRA adapters: {' '.join(str(error).split())[:200]}") from error
    model.requires_grad_(False)


def lora_names(model: Any) -> list[str]:
    """Return the names of the adapters' parameters."""
    return [name for name, _ in model.named_parameters() if ".lora_A." in name or ".lora_B." in name]


def merge_lora(model: Any) -> None:
    """Add the adapters to the weights and take them out: every parameter has its original name again."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    for name, module in list(model.named_modules()):
        if isinstance(module, BaseTunerLayer):
            module.merge()
            parent, _, leaf = name.rpartition(".")
            setattr(model.get_submodule(parent), leaf, module.get_base_layer())


def train(
    model: Any,
    names: Sequence[str],
    loss: Callable[[np.ndarray], Tensor],
    examples: int,
    *,
    epochs: int,
    learning_rate: float,
    batch: int,
    seed: int,
) -> None:
    """Train some parameters with AdamW at a constant rate; the model stays in evaluation mode (no dropout).

    Args:
        model: holds the parameters.
        names: which to train.
        loss: rows of a batch -> mean loss.
        examples: how many there are.
        epochs: passes.
        learning_rate: of AdamW, without weight decay.
        batch: examples per step.
        seed: seed of the order.

    Raises:
        InputError: the loss is not finite.
    """
    chosen = [parameter for name, parameter in model.named_parameters() if name in set(names)]
    for parameter in chosen:
        parameter.requires_grad_(True)
    optimizer = torch.optim.AdamW(chosen, lr=learning_rate, weight_decay=0.0)
    with torch.enable_grad():
        for epoch in track(range(epochs), "warm-up"):
            order = generator(seed, "warm-up", epoch).permutation(examples)
            for start in range(0, examples, batch):
                optimizer.zero_grad()
                value = loss(order[start : start + batch])
                if not torch.isfinite(value):
                    raise InputError(
                        f"the warm-up diverged in epoch {epoch + 1}: its loss is {float(value.detach())}; "
                        "lower features.warmup.learning_rate"
                    )
                value.backward()
                torch.nn.utils.clip_grad_norm_(chosen, 1.0)
                optimizer.step()
    model.requires_grad_(False)
