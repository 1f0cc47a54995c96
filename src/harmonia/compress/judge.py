"""What a model is worth and what it costs, before and after: score, parameters, multiplications, time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from harmonia.compress.sequences import Sequences
from harmonia.core.errors import InputError

SCORES = {"causal": "perplexity", "classifier": "accuracy", "encoder": "cosine"}
"""Task of a model -> by what it is judged. cosine: to the dense model's embeddings, mean over sequences."""
BETTER = {"perplexity": "lower", "accuracy": "higher", "cosine": "higher"}
"""Direction of each score."""
BATCHES = (1, 8)
"""Sequences of the passes that are timed."""


@dataclass(frozen=True)
class Judge:
    """Judges smaller models beside the dense one.

    Attributes:
        task: of the model.
        dense: the dense model.
        sequences: to judge by; None judges by size alone.
        length: tokens of a sequence for multiplications and time.
        timed: whether passes are timed.
        tasks: of lm-eval, that language models are judged by as well.
        limit: examples of each task, at most.
        tokenizer: of the dense model, for tasks.
    """

    task: str
    dense: Any
    sequences: Sequences | None
    length: int
    timed: bool
    tasks: Sequence[str] = ()
    limit: int | None = None
    tokenizer: Any = None

    @property
    def score_name(self) -> str | None:
        """Name of the score; None where there is nothing to judge by."""
        if self.sequences is None:
            return None
        # a classifier without labels is judged by the embeddings under its head
        return SCORES["encoder" if self.task == "classifier" and self.sequences.labels is None else self.task]

    def of_dense(self) -> dict[str, Any]:
        """Return the record of the dense model."""
        score = 1.0 if self.score_name == "cosine" else self._score(self.dense)
        return {**self._sizes(self.dense), "score": score, **self._answers(self.dense)}

    def of(self, model: Any) -> dict[str, Any]:
        """Return the record of a smaller model; times of both are taken in turns."""
        found = {**self._sizes(model), "score": self._score(model), "seconds_per_token": self._times(model)}
        return {**found, **self._answers(model)}

    def _answers(self, model: Any) -> dict[str, Any]:
        """Return scores of the tasks and which way is better; nothing where there are no tasks."""
        if not self.tasks:
            return {}
        from harmonia.models.lm_eval import scores

        found = scores(model, self.tasks, self.limit, tokenizer=self.tokenizer)
        return {"tasks": {name: {"value": v, "better": found.better.get(name)} for name, v in found.values.items()}}

    def _sizes(self, model: Any) -> dict[str, Any]:
        from harmonia.models.pruned import macs_per_token, parameters

        return {"parameters": parameters(model), "macs": macs_per_token(model, self.length)}

    def _score(self, model: Any) -> float | None:
        if self.sequences is None:
            return None
        if self.score_name == "cosine":
            from harmonia.models.embedding_agreement import embedding_agreement

            return float(embedding_agreement(self._embeddings, model, self.sequences.ids).mean())
        device = next(model.parameters()).device
        if self.score_name == "perplexity":
            from harmonia.models.perplexity import perplexity

            return perplexity(model, self.sequences.batches(1, device))
        return accuracy(model, self.sequences)

    @cached_property
    def _embeddings(self) -> np.ndarray:
        """What the dense model gives, for all smaller ones to be held against."""
        from harmonia.models.embedding_agreement import embeddings

        assert self.sequences is not None
        return embeddings(self.dense, self.sequences.ids)

    def _times(self, model: Any) -> dict[str, dict[str, float]]:
        if not self.timed:
            return {}
        from harmonia.models.pruned import seconds_per_token

        found = {}
        for batch in BATCHES:
            dense, own = seconds_per_token(
                [self.dense, model], batch=batch, length=min(self.length, 128), repeats=3, warm=1
            )
            found[str(batch)] = {"dense": dense, "pruned": own}
        return found


def accuracy(model: Any, sequences: Sequences, size: int = 16) -> float:
    """Return how often a classifier is right.

    Args:
        model: with a classification head.
        sequences: with labels.
        size: sequences of a pass.

    Raises:
        InputError: there are no labels.
    """
    import torch

    if sequences.labels is None:
        raise InputError("accuracy needs labels; name their column with --label")
    right = 0
    device = next(model.parameters()).device
    with torch.inference_mode():
        for batch in sequences.batches(size, device):
            found = model(input_ids=batch.ids, attention_mask=batch.mask).logits.argmax(dim=-1).cpu().numpy()
            right += int(np.sum(found == sequences.labels[batch.rows]))
    return right / len(sequences)
