"""How large a model is and what a token costs it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from harmonia.core.errors import InputError
from harmonia.models.pruned.families import family_of


def parameters(model: Any) -> int:
    """Return the number of parameters; tied ones count once."""
    return sum(tensor.numel() for tensor in model.parameters())


def weights_applied(model: Any) -> int:
    """Return the number of weights of all linear layers: multiplications of a token that each is applied to once."""
    return sum(int(m.weight.numel()) for m in model.modules() if isinstance(m, nn.Linear | Conv1D))


def macs_per_token(model: Any, length: int) -> float:
    """Return the multiplications per token of a sequence of ``length`` tokens, counted while one is run.

    Those of linear layers, as often as they are applied, and 2 * length per feature of the heads for the two products
    of attention; a causal mask saves none of them here.

    Args:
        model: of a supported family.
        length: s, tokens.

    Raises:
        InputError: a length below one, or a family that is not supported.
    """
    if length < 1:
        raise InputError(f"length={length}: a sequence has at least one token")
    heads = sum(slot.units * slot.run for slot in family_of(model).slots(model) if slot.kind == "heads")
    counted = 0

    def count(module: nn.Module, inputs: tuple[Tensor, ...], _: Any) -> None:
        nonlocal counted
        rows = inputs[0].numel() // inputs[0].shape[-1]
        counted += rows * module.weight.numel()  # type: ignore[operator]

    hooks = [m.register_forward_hook(count) for m in model.modules() if isinstance(m, nn.Linear | Conv1D)]
    try:
        with torch.inference_mode():
            model(input_ids=torch.zeros(1, length, dtype=torch.long, device=next(model.parameters()).device))
    finally:
        for hook in hooks:
            hook.remove()
    return counted / length + 2 * length * heads
