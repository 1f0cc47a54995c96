"""The folder of a pruned model, in the Hub's layout, written whole or not at all."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from harmonia.core.errors import InputError, RunError
from harmonia.models.pretrained import load_tokenizer, quiet
from harmonia.models.pruned.families import check_loaded, family_of
from harmonia.models.pruned.layout import absent, is_stock, settle
from harmonia.models.pruned.slicing import twin

TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "sentencepiece.bpe.model",
    "spiece.model",
    "chat_template.jinja",
    # how sentence-transformers pools hidden states
    "modules.json",
    "sentence_bert_config.json",
    "config_sentence_transformers.json",
    "1_Pooling/config.json",
)
"""What is copied from the folder of the dense model, where it is there."""


def save(model: Any, folder: str | Path, source: str | Path | None = None) -> bool:
    """Write a model that :func:`harmonia.models.pruned.load` reads: config.json, safetensors and tokenizer.

    Args:
        model: as :func:`harmonia.models.pruned.sliced` returns it.
        folder: does not exist yet, or is empty.
        source: folder or .gguf file of the dense model, whose tokenizer comes along; None writes none.

    Returns:
        Whether any loader of the architecture reads the folder; otherwise ours is needed.

    Raises:
        InputError: the folder holds something, or is the source; the model is not a supported one or has no values.
        RunError: the disk is too small, full or not writable.
    """
    target = Path(folder)
    if source is not None and target.resolve() == Path(source).resolve():
        raise InputError(f"{folder} is the folder of the dense model; write the pruned one elsewhere")
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise InputError(f"{folder} exists and is not an empty folder; name another, or remove it")
    check_loaded(model)
    own = twin(model)  # the record is written into its configuration, not into the caller's
    settle(own, family_of(model))
    if lacking := absent(own):
        raise InputError(
            f"the model has no {lacking[0]}, which a {type(own).__name__} made from its configuration has; it would be "
            "drawn at random when the folder is loaded: load the dense model by the class that its config.json names"
        )
    partial = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _check_room(own, target.parent)
        with quiet():
            # by the names that the tensors have in memory, not those of the file that they were read from
            own.save_pretrained(partial, save_original_format=False)
        if source is not None:
            _tokenizer(source, partial)
        for file in partial.rglob("*"):
            if file.is_file():
                with file.open("rb") as handle:
                    os.fsync(handle.fileno())
        partial.replace(target)
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise RunError(f"cannot write {folder}: {reason}; nothing was left there") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return is_stock(own.config)


def _tokenizer(source: str | Path, folder: Path) -> None:
    if Path(source).suffix == ".gguf":
        with quiet():
            load_tokenizer(str(source)).save_pretrained(folder)
        return
    for name in TOKENIZER_FILES:
        file = Path(source) / name
        if file.is_file():
            (folder / name).parent.mkdir(exist_ok=True)
            shutil.copyfile(file, folder / name)


def _check_room(model: Any, folder: Path) -> None:
    needed = sum(tensor.numel() * tensor.element_size() for tensor in model.parameters())
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise RunError(f"{folder} has {free / 2**20:.0f} MiB free, and the model takes {needed / 2**20:.0f}: make room")
