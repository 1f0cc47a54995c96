"""Loading a pruned model: the architecture's own class, its layers at the sizes that config.json says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from torch import nn

from harmonia.core.errors import InputError
from harmonia.data.checkpoints.pickled import PICKLED
from harmonia.models.pretrained import quiet
from harmonia.models.pruned.families import FAMILIES, family_of
from harmonia.models.pruned.layout import is_stock, read_record
from harmonia.models.pruned.linear import matrix, replace
from harmonia.models.pruned.narrowing import check_narrow, make_room
from harmonia.models.pruned.slicing import shrink

_CONSTANTS = (".masked_bias",)
"""Tensors in the blocks of old checkpoints that nothing is learned in."""


def load(
    folder: str | Path, *, kind: Any = None, dtype: Any = "auto", device: str = "cpu", allow_pytorch_bin: bool = False
) -> Any:
    """Return the model in a folder, pruned or not, in evaluation mode and without gradients.

    No code of the folder is run. Tensors that are none of the blocks' and that the class has no place for, as heads of
    other tasks, are left out.

    Args:
        folder: with config.json and weights.
        kind: class of transformers to load; None takes the one that config.json names.
        dtype: type of the weights; ``"auto"`` as they were saved, so that outputs are the same bit for bit.
        device: where to.
        allow_pytorch_bin: read pytorch_model.bin where there are no safetensors, and of the pickle only tensors.

    Raises:
        InputError: not the folder of a model, an unknown architecture, sizes that do not fit, or a tensor that is
            missing, of another shape or of no place in the blocks.
    """
    path = Path(folder)
    if not (path / "config.json").is_file():
        raise InputError(f"{folder} is not the folder of a model: it has no config.json")
    safe = any(path.glob("*.safetensors"))
    if not safe and not (allow_pytorch_bin and any(path.glob(f"{PICKLED}*"))):
        raise InputError(f"{folder} has no weights (*.safetensors); save the model with save_pretrained")
    try:
        with quiet():
            config = transformers.AutoConfig.from_pretrained(path, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # transformers raises almost anything for an unusable folder
        raise InputError(f"{folder}: config.json cannot be read: {_line(error)}") from error
    chosen = kind or _named(config, folder)
    made: Any = chosen if is_stock(config) else _resized(chosen)
    try:
        with quiet():
            model, notes = made.from_pretrained(
                path,
                config=config,
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=safe,
                weights_only=True,
                ignore_mismatched_sizes=True,  # named below, which transformers does not
                output_loading_info=True,
                dtype=dtype,
            )
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{folder}: its weights cannot be loaded: {_line(error)}") from error
    # transformers draws anew what it does not find or what does not fit, with a warning at most
    for name, stored, wanted in sorted(notes.get("mismatched_keys") or ()):
        raise InputError(
            f"{folder}: {name} has the shape {list(stored)}, and config.json wants {list(wanted)}; its config.json and "
            "its weights are not of one model"
        )
    for note in ("missing_keys", "unexpected_keys"):
        wrong = sorted(map(str, notes.get(note) or ()))
        if note == "unexpected_keys":
            wrong = [] if kind is not None else [name for name in wrong if _in_blocks(name, model)]
        if wrong:
            raise InputError(
                f"{folder}: {note.replace('_', ' ')}: {wrong[0]}; its config.json and its weights are not of one model"
            )
    model.__class__ = chosen
    return model.to(device).eval().requires_grad_(False)


def _in_blocks(name: str, model: Any) -> bool:
    """Return whether a tensor is named as one of the blocks, which a family is known by."""
    if name.endswith(_CONSTANTS):
        return False
    kinds = [family for family in FAMILIES if model.config.model_type in family.model_types]
    return not kinds or any(f".{family.blocks_at}." in f".{name}" for family in kinds)


def _named(config: Any, folder: str | Path) -> type:
    names = config.architectures
    if not isinstance(names, list) or not names:
        raise InputError(
            f'{folder}: config.json names no architecture; say of which class the model is, "architectures": '
            '["LlamaForCausalLM"] for instance'
        )
    found = getattr(transformers, str(names[0]), None)
    if not (isinstance(found, type) and issubclass(found, transformers.PreTrainedModel)):
        raise InputError(f"{folder}: config.json names the architecture {names[0]}, which transformers does not have")
    if not isinstance(config, found.config_class or object):
        raise InputError(
            f"{folder}: config.json names the architecture {names[0]}, which is none of its type {config.model_type}"
        )
    return found


def _resized(kind: Any) -> type:
    """Return the class whose models are made with the sizes in their configuration."""

    def made(self: Any, config: Any, *inputs: Any, **options: Any) -> None:
        kind.__init__(self, config, *inputs, **options)
        _resize(self)

    # its name decides what transformers looks up and writes
    return type(kind.__name__, (kind,), {"__init__": made, "__module__": kind.__module__})


def _resize(model: nn.Module) -> None:
    family = family_of(model)
    slots = family.slots(model)
    record = read_record(model.config, len(family.blocks(model)))
    for slot in slots:
        size = (record.heads if slot.kind == "heads" else record.neurons)[slot.layer]
        if size > slot.units:
            raise InputError(f"config.json: {size} {slot.kind} for {slot.name}, which has at most {slot.units}")
        shrink(model, family, slot, np.arange(size))
    for name in record.biases:
        if name not in {slot.name for slot in slots}:
            raise InputError(f"config.json: {name} is to have a bias, and is no consumer of the model's units")
        layer = model.get_submodule(name)
        weight = matrix(layer)
        replace(layer, weight, torch.zeros(len(weight), dtype=weight.dtype, device=weight.device))
    if record.hidden is not None:
        check_narrow(model, record.hidden)
        make_room(model, record.hidden)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
