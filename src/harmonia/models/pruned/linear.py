"""Linear layers as a matrix (d_out, d_in), whether they are stored so (Linear) or transposed (GPT-2's Conv1D)."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from harmonia.core.errors import InputError


def check_linear(module: Any, name: str) -> None:
    """Refuse what is not a plain linear layer of floating-point weights.

    Raises:
        InputError: another type of layer, quantised or wrapped by an adapter; the message names it.
    """
    plain = type(module) is nn.Linear or type(module) is Conv1D
    if not plain or not module.weight.is_floating_point():
        raise InputError(
            f"{name} is a {type(module).__module__.partition('.')[0]} {type(module).__name__}, not a plain linear "
            "layer: load the model without quantisation, and merge adapters into it first"
        )


def matrix(module: Any) -> Tensor:
    """Return the weight as (d_out, d_in): a view."""
    weight: Tensor = module.weight
    return weight.detach().T if isinstance(module, Conv1D) else weight.detach()


def replace(module: Any, weight: Tensor, bias: Tensor | None) -> None:
    """Give a linear layer other weights, of whatever size.

    Args:
        module: Linear or Conv1D.
        weight: (d_out, d_in).
        bias: (d_out,), or None.
    """
    # one layout in memory, whatever it was cut from: the same numbers read from a file then give the same products
    stored = weight.T if isinstance(module, Conv1D) else weight
    learns = module.weight.requires_grad
    module.weight = nn.Parameter(stored.contiguous(), requires_grad=learns)
    module.bias = None if bias is None else nn.Parameter(bias.contiguous(), requires_grad=learns)
    if isinstance(module, Conv1D):
        module.nf, module.nx = weight.shape
    else:
        module.out_features, module.in_features = weight.shape
