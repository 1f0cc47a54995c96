"""What a configuration says of a pruned model: sizes as any loader reads them, or sizes layer by layer for ours."""

from __future__ import annotations

from typing import Any

import torch

from harmonia.core.errors import InputError
from harmonia.models.pruned.family import Family

KEY = "harmonia"
"""Field of ``config.json`` that describes what the architecture's own fields cannot."""


def settle(model: Any, family: Family) -> None:
    """Make the configuration of a model say what its tensors are.

    Where all blocks are of one width and the architecture has a field for it, the fields are set, and any loader reads
    the model. Otherwise they stay at sizes that every block fits into, and ``config.harmonia`` says for each block how
    many heads (key-value heads) and neurons it has, and which consumers have a bias that the architecture does not
    know.
    """
    if hasattr(model.config, KEY):
        delattr(model.config, KEY)
    slots = family.slots(model)
    heads = [slot for slot in slots if slot.kind == "heads"]
    neurons = [slot for slot in slots if slot.kind == "neurons"]
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    stock = _shapes(model, {}) or {}
    if stock == shapes:
        return
    uniform = len({slot.units for slot in heads}) == 1 and len({slot.units for slot in neurons}) == 1
    if uniform:
        changes = family.settings(model.config, heads[0], neurons[0])
        if _shapes(model, changes) == shapes:
            for name, value in changes.items():
                setattr(model.config, name, value)
            return
    extra = [slot.name for slot in slots if f"{slot.name}.bias" in shapes and f"{slot.name}.bias" not in stock]
    record = {"heads": [slot.units for slot in heads], "neurons": [slot.units for slot in neurons], "biases": extra}
    setattr(model.config, KEY, {"pruned": record})


def absent(model: Any) -> list[str]:
    """Return the tensors that a model made from the same configuration has, and this one has not."""
    return sorted(set(_shapes(model, {}) or {}) - set(model.state_dict()))


def is_stock(config: Any) -> bool:
    """Return whether the architecture's own fields say everything."""
    return not hasattr(config, KEY)


def read_record(config: Any, layers: int) -> tuple[list[int], list[int], list[str]]:
    """Return heads and neurons of each block, and the consumers with a bias of their own.

    Raises:
        InputError: the record is not one that ``settle`` makes.
    """
    record = getattr(config, KEY)
    record = record.get("pruned") if isinstance(record, dict) else None
    wanted = {"heads", "neurons", "biases"}
    if not isinstance(record, dict) or set(record) != wanted:
        raise InputError(f"config.json: {KEY}.pruned must hold {', '.join(sorted(wanted))}; write the model again")
    for name in ("heads", "neurons"):
        sizes = record[name]
        if not (isinstance(sizes, list) and all(isinstance(size, int) and size > 0 for size in sizes)):
            raise InputError(f"config.json: {KEY}.pruned.{name} must be a list of positive sizes")
        if len(sizes) != layers:
            raise InputError(f"config.json: {KEY}.pruned.{name} names {len(sizes)} layers, and the model has {layers}")
    if not (isinstance(record["biases"], list) and all(isinstance(name, str) for name in record["biases"])):
        raise InputError(f"config.json: {KEY}.pruned.biases must be a list of names of layers")
    return record["heads"], record["neurons"], record["biases"]


def _shapes(model: Any, changes: dict[str, Any]) -> dict[str, tuple[int, ...]] | None:
    """Return the shapes that the architecture gives with these settings; None where it does not allow them."""
    known = model.config.to_dict()
    try:
        config = type(model.config).from_dict({**known, **changes})
        with torch.device("meta"):
            empty = type(model)(config)
    except Exception:  # configurations validate themselves, each with errors of its own
        return None
    return {name: tuple(tensor.shape) for name, tensor in empty.state_dict().items()}
