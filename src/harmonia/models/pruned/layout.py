"""What a configuration says of a pruned model: sizes as any loader reads them, or sizes layer by layer for ours."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch

from harmonia.core.errors import InputError
from harmonia.models.pruned.family import Family, Slot, linears
from harmonia.models.pruned.linear import matrix, replace
from harmonia.models.pruned.skips import RootMeanSquare, is_turned

KEY = "harmonia"
"""Field of ``config.json`` that describes what the architecture's own fields cannot."""


def settle(model: Any, family: Family) -> None:
    """Make the configuration of a model say what its tensors are.

    Where all blocks are of one width and the architecture has a field for it, the fields are set, and any loader reads
    the model. Where consumers gained a bias and the architecture has biases for all layers of that kind or none, the
    others get biases of zeros. Otherwise the fields stay at sizes that every block fits into, and ``config.harmonia``
    says for each block how many heads (key-value heads) and neurons it has, and which consumers have a bias that the
    architecture does not know.
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
    extra = [slot for slot in slots if f"{slot.name}.bias" in shapes and f"{slot.name}.bias" not in stock]
    uniform = len({slot.units for slot in heads}) == 1 and len({slot.units for slot in neurons}) == 1
    if uniform:
        changes = family.settings(model.config, heads[0], neurons[0])
        fields = {family.bias_fields[slot.kind] for slot in extra if slot.kind in family.bias_fields}
        changes |= {field: True for field in fields if hasattr(model.config, field)}
        wanted = _shapes(model, changes) or {}
        lacking = wanted.keys() - shapes.keys()
        if lacking <= _biases(slots) and shapes == {name: wanted[name] for name in wanted if name not in lacking}:
            for name in lacking:
                _fill(model.get_submodule(name.removesuffix(".bias")))
            for name, value in changes.items():
                setattr(model.config, name, value)
            return
    record = {
        "heads": [slot.units for slot in heads],
        "neurons": [slot.units for slot in neurons],
        "biases": [slot.name for slot in extra],
    }
    blocks = family.blocks(model)
    if any(map(is_turned, blocks)):
        record["hidden"] = widths(model, family)
    setattr(model.config, KEY, {"pruned": record})


def widths(model: Any, family: Family) -> list[int | None]:
    """Return how many channels each of the 2 L + 1 hidden states has; None where it was left whole."""
    norms = [block.get_submodule(name) for block in family.blocks(model) for name in family.norms]
    norms.append(model.base_model.get_submodule(family.last_norm))
    slots = family.slots(model)
    readers = [model.get_submodule(slot.producers[0].name) for slot in slots] + [model.get_output_embeddings()]
    return [
        matrix(reader).shape[1] if isinstance(norm, RootMeanSquare) else None
        for norm, reader in zip(norms, readers, strict=True)
    ]


def absent(model: Any) -> list[str]:
    """Return the tensors that a model made from the same configuration has, and this one has not."""
    folded = tuple(f"{name}." for name, module in model.named_modules() if isinstance(module, RootMeanSquare))
    lacking = set(_shapes(model, {}) or {}) - set(model.state_dict())
    return sorted(name for name in lacking if not name.startswith(folded))


def is_stock(config: Any) -> bool:
    """Return whether the architecture's own fields say everything."""
    return not hasattr(config, KEY)


@dataclass(frozen=True)
class Record:
    """What ``settle`` wrote into a configuration.

    Attributes:
        heads: of each block.
        neurons: of each block.
        biases: consumers with a bias of their own.
        hidden: channels of each of the 2 L + 1 hidden states, None for one that is whole; None where all are.
    """

    heads: list[int]
    neurons: list[int]
    biases: list[str]
    hidden: list[int | None] | None = None


def read_record(config: Any, layers: int) -> Record:
    """Return the sizes that a configuration tells of.

    Raises:
        InputError: the record is not one that ``settle`` makes.
    """
    record = getattr(config, KEY)
    record = record.get("pruned") if isinstance(record, dict) else None
    wanted = {"heads", "neurons", "biases"}
    if not isinstance(record, dict) or set(record) - {"hidden"} != wanted:
        raise InputError(f"config.json: {KEY}.pruned must hold {', '.join(sorted(wanted))}; write the model again")
    for name in ("heads", "neurons"):
        sizes = record[name]
        if not (isinstance(sizes, list) and all(isinstance(size, int) and size > 0 for size in sizes)):
            raise InputError(f"config.json: {KEY}.pruned.{name} must be a list of positive sizes")
        if len(sizes) != layers:
            raise InputError(f"config.json: {KEY}.pruned.{name} names {len(sizes)} layers, and the model has {layers}")
    if not (isinstance(record["biases"], list) and all(isinstance(name, str) for name in record["biases"])):
        raise InputError(f"config.json: {KEY}.pruned.biases must be a list of names of layers")
    hidden = record.get("hidden")
    if "hidden" in record:
        most = int(config.hidden_size)
        sizes = hidden if isinstance(hidden, list) else [0]
        if not all(size is None or (isinstance(size, int) and 0 < size <= most) for size in sizes):
            raise InputError(f"config.json: {KEY}.pruned.hidden must be a list of sizes up to {most}, or null")
        if len(sizes) != 2 * layers + 1:
            raise InputError(
                f"config.json: {KEY}.pruned.hidden names {len(sizes)} hidden states, and {layers} layers have "
                f"{2 * layers + 1}"
            )
    return Record(record["heads"], record["neurons"], record["biases"], hidden)


def _biases(slots: list[Slot]) -> set[str]:
    """Return the names that biases of the layers around units have or would have."""
    return {f"{name}.bias" for slot in slots for name in linears(slot)}


def _fill(layer: Any) -> None:
    """Give a linear layer a bias of zeros."""
    weight = matrix(layer)
    replace(layer, weight, torch.zeros(len(weight), dtype=weight.dtype, device=weight.device))


def _shapes(model: Any, changes: dict[str, Any]) -> dict[str, tuple[int, ...]] | None:
    """Return the shapes that the architecture gives with these settings; None where it does not allow them."""
    kind: Any = type(model)
    configuration: Any = type(model.config)
    known = {name: value for name, value in model.config.to_dict().items() if name != KEY}
    return _shapes_of(kind, configuration, json.dumps({**known, **changes}, sort_keys=True, default=str))


@lru_cache(maxsize=64)
def _shapes_of(kind: Any, configuration: Any, settings: str) -> dict[str, tuple[int, ...]] | None:
    """Return ``_shapes``; every ratio of a run asks for the same few models, and making one takes time."""
    try:
        config = configuration.from_dict(json.loads(settings))
        with torch.device("meta"):
            empty = kind(config)
    except Exception:  # configurations validate themselves, each with errors of its own
        return None
    return {name: tuple(tensor.shape) for name, tensor in empty.state_dict().items()}
