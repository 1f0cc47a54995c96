"""Loading a pruned model: the architecture's own class, its layers at the sizes that config.json says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from torch import nn

from harmonia.core.errors import InputError
from harmonia.models.pretrained import quiet
from harmonia.models.pruned.families import family_of
from harmonia.models.pruned.layout import is_stock, read_record
from harmonia.models.pruned.linear import matrix, replace
from harmonia.models.pruned.slicing import shrink


def load(folder: str | Path, *, kind: Any = None, dtype: Any = "auto", device: str = "cpu") -> Any:
    """Return the model in a folder, pruned or not, in evaluation mode and without gradients.

    Only safetensors are read, and no code of the folder is run.

    Args:
        folder: with config.json and weights.
        kind: class of transformers to load; None takes the one that config.json names.
        dtype: type of the weights; ``"auto"`` as they were saved, so that outputs are the same bit for bit.
        device: where to.

    Raises:
        InputError: not the folder of a model, an unknown architecture, sizes that do not fit, or a tensor that is
            missing, of another shape or of no place.
    """
    path = Path(folder)
    if not (path / "config.json").is_file():
        raise InputError(f"{folder} is not the folder of a model: it has no config.json")
    if not any(path.glob("*.safetensors")):
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
                use_safetensors=True,
                output_loading_info=True,
                dtype=dtype,
            )
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{folder}: its weights cannot be loaded: {_line(error)}") from error
    # transformers draws anew what it does not find, with a warning at most
    for note in ("missing_keys", "mismatched_keys", "unexpected_keys"):
        if notes.get(note) and not (kind is not None and note == "unexpected_keys"):
            raise InputError(f"{folder}: {note.replace('_', ' ')}: {next(iter(sorted(map(str, notes[note]))))}")
    model.__class__ = chosen
    return model.to(device).eval().requires_grad_(False)


def _named(config: Any, folder: str | Path) -> type:
    name = (config.architectures or ["none"])[0]
    found = getattr(transformers, name, None)
    if not (isinstance(found, type) and issubclass(found, transformers.PreTrainedModel)):
        raise InputError(f"{folder}: config.json names the architecture {name}, which transformers does not have")
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
    heads, neurons, biases = read_record(model.config, len(family.blocks(model)))
    for slot in slots:
        size = (heads if slot.kind == "heads" else neurons)[slot.layer]
        if size > slot.units:
            raise InputError(f"config.json: {size} {slot.kind} for {slot.name}, which has at most {slot.units}")
        shrink(model, family, slot, np.arange(size))
    for name in biases:
        if name not in {slot.name for slot in slots}:
            raise InputError(f"config.json: {name} is to have a bias, and is no consumer of the model's units")
        layer = model.get_submodule(name)
        weight = matrix(layer)
        replace(layer, weight, torch.zeros(len(weight), dtype=weight.dtype, device=weight.device))


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
