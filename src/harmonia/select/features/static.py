"""Static token embeddings: the mean of one table row per token, no network to run.

z = m / |m| with m = 1/T sum_t E[token_t]. The default table is WordLlama (32,000 tokens x 256), trained from the
input embeddings of large language models; any folder with a tokenizer and one two-dimensional tensor in a .safetensors
file will do.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from harmonia.core.errors import InputError, MissingExtraError
from harmonia.select.features.base import Features


class Static(Features):
    """Unit mean of static token vectors (WordLlama unless a folder is given); zero for an empty text."""

    kind: Literal["static"] = "static"

    folder: str | None = None
    """Folder of the table; by default WordLlama, installed or fetched with ``harmonia data get wordllama``."""

    references: ClassVar[tuple[str, ...]] = ("miller2024wordllama",)

    def encoder(self, sample: Sequence[str]) -> StaticEncoder:
        return StaticEncoder(Path(self.folder) if self.folder is not None else _wordllama())


class StaticEncoder:
    """Texts to unit means of token vectors."""

    def __init__(self, folder: Path) -> None:
        self.table = _table(folder)
        self.tokenizer = _tokenizer(folder, len(self.table))

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        encodings = self.tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        out = np.zeros((len(texts), self.table.shape[1]), np.float32)
        for row, encoding in enumerate(encodings):
            if encoding.ids:
                mean = self.table[encoding.ids].mean(axis=0, dtype=np.float64)
                out[row] = mean / (np.linalg.norm(mean) or 1.0)
        return out


def _wordllama() -> Path:
    installed = importlib.util.find_spec("wordllama")
    if installed is not None and installed.submodule_search_locations:
        return Path(next(iter(installed.submodule_search_locations)))
    from harmonia.data.catalogue import path_of

    return path_of("wordllama")


def _table(folder: Path) -> np.ndarray:
    from safetensors import SafetensorError, safe_open

    found = sorted(folder.rglob("*.safetensors"))
    if len(found) != 1:
        what = f"has {len(found)} .safetensors files" if found else "has no .safetensors file"
        raise InputError(f"static features: {folder} {what}; name a folder with exactly one in features.folder")
    try:
        with safe_open(found[0], "numpy") as tensors:
            names = [name for name in tensors.keys() if len(tensors.get_slice(name).get_shape()) == 2]  # noqa: SIM118
            if len(names) != 1:
                raise InputError(f"static features: {found[0]} must hold one table of token vectors, not {len(names)}")
            table = tensors.get_tensor(names[0]).astype(np.float32)
    except (SafetensorError, OSError, TypeError) as error:
        raise InputError(f"static features: {found[0]} cannot be read: {error}") from error
    if not np.isfinite(table).all():
        raise InputError(f"static features: {found[0]} holds values that are not finite")
    return table


def _tokenizer(folder: Path, tokens: int) -> Any:
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise MissingExtraError("tokenizers", "static") from error
    found = sorted(folder.rglob("tokenizer.json")) or sorted(
        p for p in folder.rglob("*tokenizer*.json") if p.name != "tokenizer_config.json"
    )
    if not found:
        raise InputError(f"static features: {folder} has no tokenizer.json")
    try:
        tokenizer = Tokenizer.from_file(str(found[0]))
    except Exception as error:  # the library raises plain Exception
        raise InputError(f"static features: {found[0]} is not a tokenizer: {error}") from error
    if tokenizer.get_vocab_size() > tokens:
        raise InputError(
            f"static features: {found[0]} knows {tokenizer.get_vocab_size()} tokens, but the table has {tokens} rows"
        )
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer
