"""How far two encoders agree on sentences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from harmonia.core.errors import InputError
from harmonia.models.pretrained import mean_hidden_states


def embedding_agreement(
    first: Any, second: Any, tokens: Sequence[Sequence[int]], tokens_per_batch: int = 4096
) -> np.ndarray:
    """Return the cosine between the embeddings that two encoders give a text, mean over tokens: (n,) float64.

    Args:
        first: transformer, with or without head.
        second: of the same width.
        tokens: token ids of each text.
        tokens_per_batch: most tokens of a pass.

    Raises:
        InputError: no texts, a text without tokens, or encoders of different widths.
    """
    if not len(tokens) or not all(len(text) for text in tokens):
        raise InputError("texts to compare encoders on: give at least one, and none without tokens")
    widths = [int(model.config.hidden_size) for model in (first, second)]
    if widths[0] != widths[1]:
        raise InputError(f"the encoders give embeddings of {widths[0]} and {widths[1]} numbers, which have no cosine")
    a, b = (
        mean_hidden_states(model.base_model, tokens, widths[0], tokens_per_batch).astype(np.float64)
        for model in (first, second)
    )
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    if not (lengths > 0).all():
        raise InputError("an encoder gives an embedding that is zero or not finite, which has no cosine")
    return (a * b).sum(axis=1) / lengths
