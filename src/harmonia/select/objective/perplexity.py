"""Documents by their loss under a language model: the most fluent, the middle, or the most surprising.

loss = -log P(x) / tokens, in nats per token: perplexity is exp(loss). A baseline of QuRating (arXiv 2402.09739), where
both ends lose to a random choice; Marion et al. 2023 (arXiv 2309.04564) find the middle best.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from harmonia.core.errors import InputError
from harmonia.core.progress import bar
from harmonia.core.seeds import uniforms
from harmonia.maths.ngram_lm import NgramLM
from harmonia.select.context import Context
from harmonia.select.examples import Paths, examples
from harmonia.select.kept_name import kept_name
from harmonia.select.objective.base import Objective
from harmonia.select.objective.quality import scaled
from harmonia.select.pool import Pool
from harmonia.select.set_function import Modular

Judge = Callable[[slice, list[str]], np.ndarray]


class Perplexity(Objective):
    """Mean loss of a document, lowest, nearest to the median, or highest first.

    The model is a byte n-gram model of ``target``; without a target, of the pool itself, cut by id into two halves
    that judge each other; or with ``model`` a causal language model from a folder.
    """

    kind: Literal["perplexity"] = "perplexity"

    band: Literal["lowest", "middle", "highest"] = "middle"
    """Which losses are preferred; "middle" scores minus the distance of the loss's rank from the median rank."""
    target: Paths = ()
    """Files of documents that the n-gram model learns from (Parquet, JSONL, text; globs)."""
    target_texts: tuple[str, ...] = ()
    """Texts that it learns from, beside or instead of files."""
    model: str | None = None
    """Folder of a causal language model in the Hub's layout, instead of the n-gram model (extra ``lm``)."""
    order: Annotated[int, Field(ge=1, le=7)] = 5
    """n of the n-gram model, in bytes."""
    train_bytes: Annotated[int, Field(ge=1)] = 1 << 26
    """Most bytes of the pool that each half learns from."""
    read_chars: Annotated[int, Field(ge=1)] = 1 << 16
    """Only so many characters of a document are read, so that a few huge ones do not cost most of the time."""
    read_tokens: Annotated[int, Field(ge=2)] = 1024
    """Only so many tokens of a document are read by ``model``."""

    references: ClassVar[tuple[str, ...]] = ("wettig2024qurating", "marion2023less", "kneser1995improved")

    def fit(self, pool: Pool, context: Context) -> Modular:
        read = pool.need_texts("perplexity")
        if self.model is not None and (self.target or self.target_texts):
            raise InputError("perplexity: give either a model or a target to learn an n-gram model from, not both")

        def measure() -> dict[str, np.ndarray]:
            judge = self._judge(pool, context)
            losses = np.empty(len(pool))
            with bar("measuring loss", len(pool)) as advance:
                for rows, texts in read():
                    losses[rows] = judge(rows, texts)
                    advance(len(texts))
            return {"loss": losses}

        loss = context.keep(kept_name(self, "loss"), measure)["loss"]
        unknown = np.isnan(loss)
        if unknown.all():
            raise InputError(f"perplexity: none of the {len(pool)} documents has a token to predict")
        if unknown.any():
            context.warn(
                f"perplexity excludes {unknown.sum()} of {len(pool)} documents without a token to predict "
                f"(the first: {pool.name_of(int(np.flatnonzero(unknown)[0]))!r})"
            )
        scores = np.full(len(pool), -np.inf)
        known = loss[~unknown]
        scores[~unknown] = {"lowest": -known, "highest": known, "middle": -np.abs(scaled(known, "rank") - 0.5)}[
            self.band
        ]
        return Modular("perplexity", scores)

    def _judge(self, pool: Pool, context: Context) -> Judge:
        """Return what maps texts to nats per token, nan where there is nothing to predict."""
        if self.model is not None:
            from harmonia.models.hub_lm import HubLM

            lm = HubLM(self.model, self.read_tokens)
            return lambda rows, texts: lm.losses([text[: self.read_chars] for text in texts])
        if self.target or self.target_texts:
            model = NgramLM.train(examples(self.target, self.target_texts, "perplexity.target"), self.order)
            return lambda rows, texts: self._ngram_loss(model, texts, pool.tokens[rows])
        draw = uniforms(pool.keys, context.seed, "halves")
        half = (draw > np.median(draw)).astype(int)
        models = [self._learn_half(pool, half == other, context.seed) for other in (1, 0)]

        def judge(rows: slice, texts: list[str]) -> np.ndarray:
            both = np.stack([self._ngram_loss(model, texts, pool.tokens[rows]) for model in models])
            return both[half[rows], np.arange(len(texts))]

        return judge

    def _learn_half(self, pool: Pool, half: np.ndarray, seed: int) -> NgramLM:
        size = int(pool.lengths[half].sum())
        if not size:
            raise InputError(
                "perplexity: the pool needs two documents that are not empty to judge each other; "
                "name texts to learn from with --set objective.target=PATH"
            )
        learn = half & (uniforms(pool.keys, seed, "learn") * size < self.train_bytes) & (pool.lengths > 0)
        texts = (
            text
            for rows, block in pool.need_texts("perplexity")()
            for text, take in zip(block, learn[rows], strict=True)
            if take
        )
        return NgramLM.train(texts, self.order)

    def _ngram_loss(self, model: NgramLM, texts: list[str], tokens: np.ndarray) -> np.ndarray:
        heads = [text[: self.read_chars] for text in texts]
        sizes = np.array([len(text) for text in texts])
        read = np.array([len(head) for head in heads]) / np.maximum(sizes, 1)
        return np.where(sizes > 0, model.bits(heads) * np.log(2) / (tokens * np.maximum(read, 1e-300)), np.nan)
