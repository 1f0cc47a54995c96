"""What belongs to a model beside its weights: tokenizer, templates, generation settings, licence."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

_ENDINGS = (".json", ".txt", ".model", ".jinja", ".tiktoken", ".vocab", ".spm", ".bpe")
_PREFIXES = ("LICENSE", "LICENCE", "NOTICE", "COPYING")
_OTHERS = ("config.json", "adapter_config.json", "trainer_state.json", "all_results.json", "train_results.json")
"""What describes the weights or their training, and is not true of new ones."""


def small_files(folder: Path) -> list[Path]:
    """Return the files that a model made from this one needs too, relative to the folder, sorted.

    No weights, no code, and no model card, which would describe another model. Folders of sentence-transformers that
    modules.json names are taken along.
    """
    found = [path.name for path in folder.iterdir() if path.is_file() and _belongs(path.name)]
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError, AttributeError):
        modules = json.loads((folder / "modules.json").read_text(encoding="utf-8"))
        for place in (module["path"] for module in modules):
            if place and Path(place).name == place and (folder / place).is_dir():
                found += [f"{place}/{path.name}" for path in (folder / place).iterdir() if _is_module(path)]
    return sorted(Path(name) for name in set(found))


def _belongs(name: str) -> bool:
    described = name in _OTHERS or name.endswith(".index.json") or name.startswith(".")
    return not described and (name.endswith(_ENDINGS) or name.startswith(_PREFIXES))


def _is_module(path: Path) -> bool:
    return path.is_file() and path.name.endswith((*_ENDINGS, ".safetensors"))
