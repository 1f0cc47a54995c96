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
        first: transformer, with or without head; or the embeddings that it gave.
        second: of the same width.
        tokens: token ids of each text.
        tokens_per_batch: most tokens of a pass.

    Raises:
        InputError: no texts, a text without tokens, or encoders of different widths.
    """
    if not len(tokens) or not all(len(text) for text in tokens):
        raise InputError("texts to compare encoders on: give at least one, and none without tokens")
    known = isinstance(first, np.ndarray)
    width, other = first.shape[1] if known else int(first.config.hidden_size), int(second.config.hidden_size)
    if width != other:
        raise InputError(f"the encoders give embeddings of {width} and {other} numbers, which have no cosine")
    a = first if known else embeddings(first, tokens, tokens_per_batch)
    b = embeddings(second, tokens, tokens_per_batch)
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    if not (lengths > 0).all():
        raise InputError("an encoder gives an embedding that is zero or not finite, which has no cosine")
    return (a * b).sum(axis=1) / lengths


def embeddings(model: Any, tokens: Sequence[Sequence[int]], tokens_per_batch: int = 4096) -> np.ndarray:
    """Return the mean over tokens of the last hidden states of each text: (n, D) float64."""
    width = int(model.config.hidden_size)
    return mean_hidden_states(model.base_model, tokens, width, tokens_per_batch).astype(np.float64)
