"""A checkpoint by folder, name or Hub id, whether it is a model or an adapter on one."""

from __future__ import annotations

from pathlib import Path

from harmonia.core.errors import InputError
from harmonia.data.checkpoints import adapter
from harmonia.data.checkpoints.checkpoint import INDEX, SINGLE, Checkpoint, read_object
from harmonia.data.checkpoints.location import located
from harmonia.data.checkpoints.pickled import PickledCheckpoint, is_pickled


def open_checkpoint(
    model: str | Path, base: Checkpoint | None = None, *, allow_pytorch_bin: bool = False
) -> Checkpoint:
    """Open a model; a folder with a LoRA adapter is opened folded into its base.

    Args:
        model: folder, name of the catalogue, or Hub id.
        base: what an adapter is folded into; None for the base that the adapter names.
        allow_pytorch_bin: read pytorch_model.bin where there are no safetensors, and of the pickle only tensors.

    Raises:
        InputError: nothing there, or nothing that can be read as weights.
    """
    folder = located(model, allow_pytorch_bin)
    is_model = any((folder / name).is_file() for name in (SINGLE, INDEX))
    if is_model or not (folder / adapter.CONFIG).is_file():
        return opened(folder, allow_pytorch_bin)
    if base is None:
        named = read_object(folder / adapter.CONFIG, "").get("base_model_name_or_path")
        if not named or not isinstance(named, str):
            raise InputError(f"{folder} is an adapter that names no base: say which model it belongs to")
        base = opened(located(named, allow_pytorch_bin), allow_pytorch_bin)
    return adapter.fold(folder, base)


def opened(folder: Path, allow_pytorch_bin: bool = False) -> Checkpoint:
    """Open the folder of a model.

    Raises:
        InputError: nothing that can be read as weights.
    """
    safe = any((folder / name).is_file() for name in (SINGLE, INDEX))
    if allow_pytorch_bin and not safe and is_pickled(folder):
        return PickledCheckpoint.at(folder)
    return Checkpoint.at(folder)
