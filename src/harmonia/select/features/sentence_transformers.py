"""Embeddings of a sentence encoder from the sentence-transformers library (Reimers and Gurevych, 1908.10084)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from harmonia.core.errors import InputError, MissingExtraError
from harmonia.select.features.base import Features


class SentenceTransformers(Features):
    """Unit vectors of a sentence encoder; its own pooling, texts cut at its longest input."""

    kind: Literal["sentence-transformers"] = "sentence-transformers"

    model: str = "minilm"
    """Folder, Hub id (looked up in the local cache before the network), or ``minilm``: all-MiniLM-L6-v2 as
    ``harmonia data get minilm`` fetches it."""
    batch: Annotated[int, Field(ge=1)] = 64
    """Texts per forward pass."""
    device: str = "auto"
    """``auto`` (a GPU when there is one), ``cpu``, ``cuda``, ..."""

    references: ClassVar[tuple[str, ...]] = ("reimers2019sentence",)

    def encoder(self, sample: Sequence[str]) -> SentenceEncoder:
        return SentenceEncoder(self)


class SentenceEncoder:
    """Texts to unit vectors."""

    def __init__(self, settings: SentenceTransformers) -> None:
        self.settings = settings
        self.model = _load(settings.model, None if settings.device == "auto" else settings.device)
        tokenizer = self.model.tokenizer
        if getattr(tokenizer, "pad_token", "") is None:
            # decoders come without one; any token will do, since the attention mask hides it
            tokenizer.pad_token = tokenizer.eos_token or tokenizer.convert_ids_to_tokens(0)

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        if not len(texts):
            width = self.model.encode(["width"], show_progress_bar=False).shape[1]
            return np.zeros((0, width), np.float32)
        vectors = self.model.encode(
            list(texts),
            batch_size=self.settings.batch,
            normalize_embeddings=True,
            show_progress_bar=False,
            convert_to_numpy=True,
        )
        return np.asarray(vectors, np.float32)


def _load(model: str, device: str | None) -> Any:
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError as error:
        raise MissingExtraError("sentence-transformers", "embeddings") from error
    from harmonia.models.pretrained import located, quiet

    model = located(model)
    path = Path(model)
    if path.is_dir():
        if not any(path.rglob("*.safetensors")):
            raise InputError(f"{model} has no weights (*.safetensors)")
    elif path.is_absolute() or model.startswith((".", "~")) or model.count("/") > 1:
        raise InputError(f"no model folder {model}")
    options: dict[str, Any] = {"device": device, "trust_remote_code": False, "model_kwargs": {"use_safetensors": True}}
    try:
        with quiet():
            try:
                return SentenceTransformer(model, local_files_only=True, **options)
            except OSError:
                if path.is_dir():
                    raise
                return SentenceTransformer(model, **options)
    except Exception as error:  # the library raises almost anything for an unusable folder
        raise InputError(f"model {model} cannot be loaded: {' '.join(str(error).split())[:300]}") from error
