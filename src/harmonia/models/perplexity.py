"""Perplexity of a causal language model on batches of tokens."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from harmonia.core.errors import InputError
from harmonia.models.pretrained import TokenBatch


def next_token_nats(logits: Tensor, batch: TokenBatch) -> Tensor:
    """Return the nats of each predicted token, 0 at padding: (b, t, V) -> (b, t - 1) float32."""
    nats = functional.cross_entropy(logits[:, :-1].float().transpose(1, 2), batch.ids[:, 1:], reduction="none")
    return nats * batch.mask[:, 1:]


def perplexity(model: Any, batches: Iterable[TokenBatch], after: int = 1) -> float:
    """Return exp of the mean nats per predicted token, over all tokens of all batches.

    Args:
        model: causal, in evaluation mode.
        batches: padded on the right; the logits take 4 bytes for each of their tokens and each word of the vocabulary.
        after: tokens at the beginning of a text that are read and not judged; the first never is.

    Raises:
        InputError: no token is predicted, or the model gives numbers that are not finite.
    """
    total, count = 0.0, 0
    with torch.inference_mode():
        for batch in batches:
            nats = next_token_nats(model(input_ids=batch.ids, attention_mask=batch.mask).logits, batch)
            total += float(nats[:, after - 1 :].double().sum())
            count += int(batch.mask[:, after:].sum())
    if not count:
        raise InputError("no token to predict: perplexity needs a sequence of at least two tokens")
    if not np.isfinite(total):
        raise InputError("the model gives losses that are not finite, so that it has no perplexity")
    return float(np.exp(total / count))
