"""A model whose weights are pickles, pytorch_model.bin or shards of it, read only where the user allows it.

torch unpickles with a closed list of types, so that nothing in a file is run; whatever is not a table of tensors is
refused. The files are mapped, not read: what a mapping has in memory the system takes back when it needs room. Files
from before torch 1.6 cannot be mapped and are in memory as a whole.
"""

from __future__ import annotations

import pickle
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from harmonia.core.errors import InputError, require
from harmonia.data.checkpoints.checkpoint import CONFIG, Checkpoint, check_held, indexed, read_object
from harmonia.data.checkpoints.header import Stored

if TYPE_CHECKING:
    from torch import Tensor

PICKLED = "pytorch_model.bin"
PICKLED_INDEX = "pytorch_model.bin.index.json"

_AGAIN = "copy or download it again"


class PickledCheckpoint(Checkpoint):
    """Tensors of pickles; everything that a checkpoint can do.

    Args:
        folder: where the model is.
        config: its config.json.
        held: file -> its tensors.
    """

    def __init__(self, folder: Path, config: dict[str, Any], held: Mapping[Path, Mapping[str, Tensor]]) -> None:
        tensors: dict[str, Stored] = {}
        self._held: dict[tuple[Path, int], Tensor] = {}
        for path, own in held.items():
            end = 0
            for name, tensor in own.items():
                stored = Stored(name, _dtype(tensor, name, path), tuple(tensor.shape), path, end)
                tensors[name] = stored
                self._held[path, end] = tensor
                end += max(1, stored.bytes)  # an empty tensor needs a place of its own too
        super().__init__(folder, config, tensors)

    @classmethod
    def at(cls, folder: Path) -> Self:
        """Open a folder of pickles.

        Raises:
            InputError: not a model's folder, files that are missing or damaged, or that hold more than tensors.
        """
        config = read_object(folder / CONFIG, f"{folder} is not the folder of a model: it has no {CONFIG}")
        if (folder / PICKLED).is_file():
            return cls(folder, config, {folder / PICKLED: unpickled(folder / PICKLED)})
        places = indexed(folder / PICKLED_INDEX)
        held = {shard: unpickled(folder / shard) for shard in sorted(set(places.values()))}
        check_held(folder / PICKLED_INDEX, places, held)
        return cls(
            folder,
            config,
            {
                folder / shard: {name: tensor for name, tensor in own.items() if places.get(name, shard) == shard}
                for shard, own in held.items()
            },
        )

    def close(self) -> None:
        """Do nothing: the files stay mapped as long as the checkpoint is there."""

    def _fill(self, stored: Stored, start: int, into: memoryview) -> None:
        import torch

        raw = self._held[stored.path, stored.start].detach().reshape(-1).view(torch.uint8)
        into[:] = raw[start : start + len(into)].numpy().data


def is_pickled(folder: Path) -> bool:
    """Return whether a folder has weights that ``PickledCheckpoint`` reads."""
    return any((folder / name).is_file() for name in (PICKLED, PICKLED_INDEX))


def unpickled(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a file.

    Raises:
        InputError: it holds anything else, or is damaged.
        MissingExtraError: torch is not installed.
    """
    require("torch", "compress")
    import torch

    try:
        with warnings.catch_warnings(action="ignore"):
            try:
                found = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
            except RuntimeError as error:
                if "mmap can only be used" not in str(error):
                    raise
                found = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        told = re.search(r"(?:GLOBAL|global) (\S+)", str(error))
        if told is None:
            raise InputError(f"{path} is not a file of torch, or damaged: {_AGAIN}") from error
        raise InputError(
            f"{path} holds {told[1].rstrip('.')}, which is no tensor and could run code: it is not loaded; take a copy "
            "of the model as safetensors"
        ) from error
    except (PermissionError, FileNotFoundError) as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    except Exception as error:  # a file that is cut off makes torch raise almost anything
        raise InputError(f"{path} is cut off or damaged: {_AGAIN}") from error
    if not isinstance(found, dict):
        raise InputError(f"{path} holds a {type(found).__name__}, not a table of tensors by name")
    for name, tensor in found.items():
        if not isinstance(name, str) or not isinstance(tensor, torch.Tensor) or tensor.layout != torch.strided:
            raise InputError(
                f"{path} holds {name!r}, which is no plain tensor: save the model alone, with save_pretrained"
            )
    return found


def _dtype(tensor: Tensor, name: str, path: Path) -> str:
    """Return what safetensors calls a tensor's type."""
    import torch

    known = {
        torch.float32: "F32",
        torch.bfloat16: "BF16",
        torch.float16: "F16",
        torch.float64: "F64",
        torch.int64: "I64",
        torch.int32: "I32",
        torch.int16: "I16",
        torch.int8: "I8",
        torch.uint8: "U8",
        torch.bool: "BOOL",
    }
    if tensor.dtype not in known:
        raise InputError(f"{path}: {name} is {tensor.dtype}: save the model in another type")
    return known[tensor.dtype]
