"""The families of architectures that can be pruned."""

from __future__ import annotations

from typing import Any

from harmonia.core.errors import InputError
from harmonia.models.pruned.bert import Bert
from harmonia.models.pruned.family import Family
from harmonia.models.pruned.gpt2 import Gpt2
from harmonia.models.pruned.llama import Llama

FAMILIES: tuple[Family, ...] = (Bert(), Gpt2(), Llama())


def family_of(model: Any) -> Family:
    """Return the family of a model.

    Raises:
        InputError: none is known; the message names those that are.
    """
    kind = getattr(getattr(model, "config", None), "model_type", None)
    for family in FAMILIES:
        if kind in family.model_types:
            return family
    known = ", ".join(name for family in FAMILIES for name in family.model_types)
    raise InputError(f"a model of type {kind or type(model).__name__!r} cannot be pruned; supported: {known}")


def check_loaded(model: Any) -> None:
    """Refuse a model whose weights are not plain numbers in memory.

    Raises:
        InputError: a tensor is on the meta device, or quantised; the message names it.
    """
    for name, tensor in model.named_parameters():
        if tensor.is_meta:
            raise InputError(f"{name} is on the meta device, without values: load the model into memory first")
        if not tensor.is_floating_point():
            raise InputError(f"{name} is quantised ({tensor.dtype}): load the model without quantisation")
