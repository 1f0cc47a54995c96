"""A checkpoint by folder, name or Hub id, whether it is a model or an adapter on one."""

from __future__ import annotations

from pathlib import Path

from harmonia.core.errors import InputError
from harmonia.data.checkpoints import adapter
from harmonia.data.checkpoints.checkpoint import INDEX, SINGLE, Checkpoint, read_object
from harmonia.data.checkpoints.location import located


def open_checkpoint(model: str | Path, base: Checkpoint | None = None) -> Checkpoint:
    """Open a model; a folder with a LoRA adapter is opened folded into its base.

    Args:
        model: folder, name of the catalogue, or Hub id.
        base: what an adapter is folded into; None for the base that the adapter names.

    Raises:
        InputError: nothing there, or nothing that can be read as weights.
    """
    folder = located(model)
    is_model = any((folder / name).is_file() for name in (SINGLE, INDEX))
    if is_model or not (folder / adapter.CONFIG).is_file():
        return Checkpoint.at(folder)
    if base is None:
        named = read_object(folder / adapter.CONFIG, "").get("base_model_name_or_path")
        if not named or not isinstance(named, str):
            raise InputError(f"{folder} is an adapter that names no base: say which model it belongs to")
        base = Checkpoint.at(located(named))
    return adapter.fold(folder, base)
