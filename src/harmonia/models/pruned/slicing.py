"""A physically smaller model: producers lose rows, the consumer gets the weights it was repaired with."""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from harmonia.core.errors import InputError
from harmonia.models.pruned.families import check_loaded, family_of
from harmonia.models.pruned.family import Family, Slot
from harmonia.models.pruned.layout import settle
from harmonia.models.pruned.linear import matrix, replace
from harmonia.models.pruned.skips import is_turned


@dataclass(frozen=True)
class Cut:
    """What stays of the units of a consumer, and how it reads them.

    Attributes:
        kept: (s,) units that stay, ascending.
        weight: (d_out, s run) of the consumer; None leaves its columns as they are.
        bias: (d_out,) of the consumer; None leaves it as it is.
    """

    kept: np.ndarray
    weight: np.ndarray | None = None
    bias: np.ndarray | None = None


def sliced(model: Any, cuts: Mapping[str, Cut], *, fold_bias: bool = True) -> Any:
    """Return a smaller model; the given one stays as it is, and tensors that nothing was cut from are shared with it.

    Args:
        model: of a supported family, in memory.
        cuts: by name of the consumer; other consumers keep all units.
        fold_bias: whether a consumer without bias may gain one. Where the architecture has a field for biases of
            such layers and all blocks are of one width, the others gain biases of zeros, and any loader reads the
            model; else it is loaded by :func:`harmonia.models.pruned.load`.

    Raises:
        InputError: an unknown consumer, units that do not exist, weights of another shape or not finite, a bias where
            none may come, a family that is not supported, or a model on the meta device.
    """
    check_loaded(model)
    family = family_of(model)
    slots = {slot.name: slot for slot in family.slots(model)}
    for name, cut in cuts.items():
        if name not in slots:
            raise InputError(f"the model has no consumer of units {name!r}; it has {', '.join(list(slots)[:2])}, ...")
        _check(model, slots[name], cut, fold_bias)
    smaller = twin(model)
    for name, cut in cuts.items():
        slot, consumer = slots[name], smaller.get_submodule(name)
        weight = None if cut.weight is None else torch.as_tensor(cut.weight).to(consumer.weight)
        bias = None if cut.bias is None else torch.as_tensor(cut.bias).to(consumer.weight)
        shrink(smaller, family, slot, cut.kept, weight, bias)
    settle(smaller, family)
    return smaller


def outline(model: Any, kept: Mapping[str, int], biased: Collection[str] = ()) -> Any:
    """Return a model of the sizes that ``sliced`` would give, without numbers: on the meta device.

    Args:
        model: of a supported family.
        kept: name of a consumer -> how many of its units stay.
        biased: consumers that gain a bias where they have none.
    """
    family = family_of(model)
    slots = {slot.name: slot for slot in family.slots(model)}
    smaller = emptied(model)
    for name, units in kept.items():
        consumer = smaller.get_submodule(name)
        gains = name in biased and consumer.bias is None
        bias = torch.empty(len(matrix(consumer)), device="meta") if gains else None
        shrink(smaller, family, slots[name], np.arange(units), None, bias)
    settle(smaller, family)
    return smaller


def shallower(model: Any, kept: Sequence[int]) -> Any:
    """Return a model of fewer blocks; the given one stays as it is, and all tensors are shared with it.

    Args:
        model: of a supported family.
        kept: numbers of the blocks that stay, ascending.

    Raises:
        InputError: no block stays, blocks that do not exist, or blocks that do not compute the same elsewhere.
    """
    check_loaded(model)
    family = family_of(model)
    chosen = [int(layer) for layer in kept]
    _check_ascending(np.array(chosen, np.int64), len(family.blocks(model)), "layers of the model")
    check_removable(model)
    changes = family.renumber(model.config, chosen)
    smaller = twin(model)
    path = family.blocks_path(smaller)
    blocks = smaller.get_submodule(path)
    parent, _, name = path.rpartition(".")
    setattr(smaller.get_submodule(parent), name, nn.ModuleList(blocks[layer] for layer in chosen))
    for layer, block in enumerate(family.blocks(smaller)):
        for module in block.modules():
            if hasattr(module, "layer_idx"):
                setattr(module, "layer_idx", layer)  # noqa: B010 - the place of its keys and values in the cache
    for field, value in changes.items():
        setattr(smaller.config, field, value)
    settle(smaller, family)
    return smaller


def check_removable(model: Any) -> None:
    """Refuse a model whose layers do not pass hidden states on in the channels in which they get them.

    Raises:
        InputError: hidden channels are gone from it.
    """
    if any(map(is_turned, family_of(model).blocks(model))):
        raise InputError(
            "hidden channels of this model are turned and cut, in each layer others, so that no layer can be left out: "
            "remove layers from the dense model"
        )


def emptied(model: Any) -> Any:
    """Return a copy of a model without numbers: on the meta device."""
    return copy.deepcopy(
        model,
        {
            id(tensor): nn.Parameter(tensor.detach().to("meta"), requires_grad=False)
            if isinstance(tensor, nn.Parameter)
            else tensor.to("meta")
            for tensor in (*model.parameters(), *model.buffers())
        },
    )


def twin(model: Any) -> Any:
    """Return a copy of the modules that shares every tensor with the original.

    A model that was read from a quantised file (GGUF) into plain numbers does not remember it in the copy.
    """
    shared: dict[int, Any] = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
    if getattr(model, "hf_quantizer", None) is not None:
        shared[id(model.hf_quantizer)] = None
    copied = copy.deepcopy(model, shared)
    if hasattr(copied.config, "quantization_config"):
        del copied.config.quantization_config
    return copied


def shrink(
    model: Any, family: Family, slot: Slot, kept: np.ndarray, weight: Tensor | None = None, bias: Tensor | None = None
) -> None:
    """Cut a slot of a model in place, on whatever device it is."""
    consumer = model.get_submodule(slot.name)
    whole = len(kept) == slot.units
    if weight is None and not whole:
        columns = (np.asarray(kept)[:, None] * slot.run + np.arange(slot.run)).reshape(-1)
        weight = matrix(consumer)[:, torch.from_numpy(columns).to(consumer.weight.device)]
    if weight is not None or bias is not None:
        old = None if consumer.bias is None else consumer.bias.detach()
        replace(consumer, matrix(consumer) if weight is None else weight, old if bias is None else bias)
    if whole:
        return
    for producer in slot.producers:
        layer = model.get_submodule(producer.name)
        rows = torch.from_numpy(producer.rows(kept, slot.units)).to(layer.weight.device)
        replace(layer, matrix(layer)[rows], None if layer.bias is None else layer.bias.detach()[rows])
    family.resize(model.get_submodule(slot.owner), slot, len(kept))


def _check(model: Any, slot: Slot, cut: Cut, fold_bias: bool) -> None:
    kept = np.asarray(cut.kept)
    _check_ascending(kept, slot.units, f"{slot.kind} of {slot.name}")
    consumer = model.get_submodule(slot.name)
    width = matrix(consumer).shape[0]
    for given, shape, what in (
        (cut.weight, (width, len(kept) * slot.run), "weight"),
        (cut.bias, (width,), "bias"),
    ):
        if given is None:
            continue
        if tuple(given.shape) != shape:
            raise InputError(f"{slot.name}: a new {what} of shape {tuple(given.shape)}; {shape} are needed")
        if not np.isfinite(np.asarray(given)).all():
            raise InputError(f"{slot.name}: the new {what} holds numbers that are not finite; raise the ridge")
    if cut.bias is not None and consumer.bias is None and not fold_bias:
        raise InputError(
            f"{slot.name} has no bias and would gain one: allow fold_bias, or take a reconstruction without intercept, "
            "as ls"
        )


def _check_ascending(kept: np.ndarray, count: int, what: str) -> None:
    if not len(kept):
        raise InputError(f"no {what} stay; remove less, or whole layers with structure=depth")
    if kept[0] < 0 or kept[-1] >= count or (np.diff(kept) <= 0).any():
        raise InputError(f"{what}: name those that stay in ascending order, each once, from 0 to {count - 1}")
