"""The mean over tokens of a transformer's last hidden state, z = 1/T sum_t h_t.

Any model folder or id with a trunk will do, encoder or decoder; one forward pass per document.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from harmonia.core.errors import InputError
from harmonia.select.features.base import Features


class MeanHidden(Features):
    """Mean over tokens of the last hidden state of a transformer."""

    kind: Literal["mean-hidden"] = "mean-hidden"

    model: str | None = None
    """Folder in the Hub's layout, .gguf file, Hub id (looked up in the local cache before the network), or a name of
    the catalogue: ``minilm``, ``smollm2``."""
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    """Texts are cut here; by default at the longest input of the model, at most 4096."""
    batch_tokens: Annotated[int, Field(ge=1)] = 8192
    """Most tokens in one forward pass, padding included."""
    device: str = "auto"
    """``auto`` (a GPU when there is one), ``cpu``, ``cuda``, ..."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Type of the weights; the mean is taken in float32."""

    def encoder(self, sample: Sequence[str]) -> MeanHiddenEncoder:
        if self.model is None:
            raise InputError("features mean-hidden: name a model with --set features.model=FOLDER")
        return MeanHiddenEncoder(self, self.model)


class MeanHiddenEncoder:
    """Texts to mean hidden states."""

    def __init__(self, settings: MeanHidden, model: str) -> None:
        from harmonia.models.pretrained import load_model, load_tokenizer, longest_input

        self.settings = settings
        self.tokenizer = load_tokenizer(model)
        self.trunk = load_model(model, causal=False, device=settings.device, dtype=settings.dtype)
        self.longest = longest_input(self.tokenizer, self.trunk, settings.max_tokens)

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        from harmonia.models.pretrained import mean_hidden_states

        if not len(texts):
            return np.zeros((0, self.trunk.config.hidden_size), np.float32)
        tokens = self.tokenizer(list(texts), truncation=True, max_length=self.longest)["input_ids"]
        return mean_hidden_states(self.trunk, tokens, self.trunk.config.hidden_size, self.settings.batch_tokens)
