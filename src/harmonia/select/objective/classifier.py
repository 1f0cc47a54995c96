"""A classifier trained on examples of what is wanted and of what is not; documents score their log-odds.

This is how DCLM (Li et al. 2024, arXiv 2406.11794) keeps the top 10 %: a fastText model that tells good examples from
random documents of the pool. Such scores often grow with length: look at the mean length of what is chosen.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from harmonia.core.progress import bar
from harmonia.maths.text_classifier import TextClassifier
from harmonia.select.context import Context
from harmonia.select.examples import Paths, examples
from harmonia.select.kept_name import kept_name
from harmonia.select.keyed_sample import keyed_sample
from harmonia.select.objective.base import Objective
from harmonia.select.pool import Pool
from harmonia.select.set_function import Modular


class FromExamples(Objective):
    """Base of objectives that learn from positive and negative examples."""

    kind: str

    positive: Paths = ()
    """Files of documents like those that are wanted (Parquet, JSONL, text; globs)."""
    negative: Paths = ()
    """Files of documents unlike them; without any, random documents of the pool, as many as there are positive ones."""
    positive_texts: tuple[str, ...] = ()
    """Texts that are wanted, beside or instead of files."""
    negative_texts: tuple[str, ...] = ()
    """Texts that are not."""
    n: Annotated[int, Field(ge=1, le=5)] = 2
    """Longest n-gram in words."""
    buckets: Annotated[int, Field(ge=2)] = 1 << 18
    """Buckets that n-grams are hashed into."""
    strength: Annotated[float, Field(gt=0)] = 10.0
    """C, inverse strength of the L2 penalty."""

    def log_odds(self, pool: Pool, context: Context) -> np.ndarray:
        """Return log p/(1 - p) of each document being wanted: (n,) float64; trained once, kept with the run."""
        read = pool.need_texts(self.kind)

        def score() -> dict[str, np.ndarray]:
            positive = examples(self.positive, self.positive_texts, f"{self.kind}.positive")
            if self.negative or self.negative_texts:
                negative = examples(self.negative, self.negative_texts, f"{self.kind}.negative")
            else:
                negative = _pick(pool, keyed_sample(pool.keys, len(positive), context.seed, "negative examples"))
            model = TextClassifier(positive, negative, n=self.n, buckets=self.buckets, strength=self.strength)
            scores = np.empty(len(pool))
            with bar("classifying", len(pool)) as advance:
                for rows, texts in read():
                    scores[rows] = model.log_odds(texts)
                    advance(len(texts))
            return {"log_odds": scores}

        return context.keep(kept_name(self, "scores"), score)["log_odds"]


def _pick(pool: Pool, rows: np.ndarray) -> list[str]:
    wanted = np.zeros(len(pool), bool)
    wanted[rows] = True
    return [
        text
        for here, texts in pool.need_texts("classifier")()
        for text, take in zip(texts, wanted[here], strict=True)
        if take
    ]


class Classifier(FromExamples):
    """Log-odds of a document being like the positive examples: logistic regression on hashed word n-grams."""

    kind: Literal["classifier"] = "classifier"

    references: ClassVar[tuple[str, ...]] = ("li2024dclm", "joulin2017bag")

    def fit(self, pool: Pool, context: Context) -> Modular:
        return Modular("classifier", self.log_odds(pool, context))
