"""Where a model is: a folder, a name of the catalogue, or a Hub id, looked up in the local cache before the network."""

from __future__ import annotations

from pathlib import Path

from harmonia.core.errors import InputError, require
from harmonia.data.checkpoints.checkpoint import INDEX, SINGLE

WANTED = ("*.safetensors", "*.json", "*.txt", "*.model", "*.jinja", "LICENSE*", "NOTICE*")
"""What is fetched of a repository: never code, and pickle only where it is allowed and all there is."""
_SUFFICIENT = (SINGLE, INDEX, "adapter_model.safetensors")
_PICKLED = ("pytorch_model*.bin",)


def located(model: str | Path, allow_pytorch_bin: bool = False) -> Path:
    """Return the folder of a model.

    Args:
        model: folder, name of the catalogue, or Hub id.
        allow_pytorch_bin: of a Hub id without safetensors, fetch pytorch_model.bin.

    Raises:
        InputError: there is no such folder, and no such repository.
        MissingExtraError: a Hub id without huggingface_hub.
    """
    path, name = Path(model), str(model)
    if path.is_dir():
        return path
    if path.exists():
        raise InputError(f"{model} is a file: name the folder of the model, with its config.json")
    from harmonia.data import catalogue  # with tables of documents, which reading a folder needs nothing of

    if name in catalogue.names():
        return catalogue.path_of(name)
    if isinstance(model, Path) or path.is_absolute() or name.startswith((".", "~")) or name.count("/") > 1:
        raise InputError(f"no model folder {model}")
    require("huggingface_hub", "lm")
    return _cached(name, allow_pytorch_bin) or _fetched(name, allow_pytorch_bin)


def _cached(name: str, pickled: bool) -> Path | None:
    """Return the snapshot in the cache of the Hub, where it has weights."""
    from huggingface_hub import snapshot_download

    try:
        folder = Path(snapshot_download(name, local_files_only=True))
    except Exception:  # not in the cache, or not the form of an id, which the fetch will say
        return None
    return folder if _has_weights(folder, pickled) else None


def _has_weights(folder: Path, pickled: bool) -> bool:
    if any((folder / file).is_file() for file in _SUFFICIENT):
        return True
    return pickled and any(path for pattern in _PICKLED for path in folder.glob(pattern))


def _fetched(name: str, pickled: bool) -> Path:
    from huggingface_hub import snapshot_download

    try:
        folder = Path(snapshot_download(name, allow_patterns=list(WANTED)))
        if pickled and not _has_weights(folder, pickled):
            folder = Path(snapshot_download(name, allow_patterns=[*WANTED, *_PICKLED]))
        return folder
    except Exception as error:  # the Hub's client raises almost anything: no network, no such id, not allowed
        line = " ".join(str(error).split())[:200]
        raise InputError(f"no model folder {name}, and as a Hub id it cannot be fetched: {line}") from error
