"""DSIR: documents that look like a target, by the importance weight of their hashed n-grams.

log w(x) = sum over n-grams g of x of log p_target(g) - log p_pool(g) (Xie, Santurkar, Ma and Liang, NeurIPS 2023,
arXiv 2302.03169). With Gumbel noise (solver ``gumbel``) the k largest are a sample from the target.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from harmonia.core.errors import InputError
from harmonia.core.progress import bar
from harmonia.maths.importance import frequencies, log_ratios
from harmonia.maths.word_ngrams import HashedNgrams
from harmonia.select.context import Context
from harmonia.select.examples import Paths, examples
from harmonia.select.kept_name import kept_name
from harmonia.select.objective.base import Objective
from harmonia.select.pool import Pool
from harmonia.select.set_function import Modular


class Dsir(Objective):
    """Log importance weight of a document's hashed n-grams, target against pool.

    The texts are read twice: once for the pool's frequencies, once for the weights. The files of ``target`` form one
    distribution, each counting by its size. For a model and a quota per target, weigh one ``dsir`` term per target by
    the target's size (objective ``weighted``) and solve with ``per-term``.
    """

    kind: Literal["dsir"] = "dsir"

    target: Paths = ()
    """Files of documents like those that are wanted (Parquet, JSONL, text; globs)."""
    target_texts: tuple[str, ...] = ()
    """Texts like those that are wanted, beside or instead of files."""
    n: Annotated[int, Field(ge=1, le=5)] = 2
    """Longest n-gram in words."""
    buckets: Annotated[int, Field(ge=2)] = 10_000
    """Buckets that n-grams are hashed into."""
    smoothing: Annotated[float, Field(ge=0)] = 1.0
    """Added to each bucket's count in the target. The authors' code adds 0: then an n-gram that the target never shows
    costs a document about 18 nats less log p_pool, and unseen n-grams alone decide the order of small targets."""
    min_words: Annotated[int, Field(ge=0)] = 100
    """Documents of fewer words are excluded."""

    references: ClassVar[tuple[str, ...]] = ("xie2023dsir",)

    def fit(self, pool: Pool, context: Context) -> Modular:
        read = pool.need_texts("dsir")
        ngrams = HashedNgrams(self.n, self.buckets)

        def weigh() -> dict[str, np.ndarray]:
            target = ngrams.count(examples(self.target, self.target_texts, "dsir.target"))
            if not target.any():
                raise InputError("dsir.target holds no word")
            raw = np.zeros(self.buckets, np.int64)
            with bar("counting n-grams", len(pool)) as advance:
                for rows, texts in read():
                    raw += ngrams.count(texts)
                    advance(rows.stop - rows.start)
            if not raw.any():
                raise InputError(f"dsir: none of the {len(pool)} documents has a word")
            ratios = log_ratios(frequencies(target, self.smoothing), frequencies(raw))
            weights, sizes = np.zeros(len(pool)), np.zeros(len(pool), np.int64)
            with bar("weighing documents", len(pool)) as advance:
                for rows, texts in read():
                    for row, text in enumerate(texts, rows.start):
                        found = ngrams(text)
                        weights[row], sizes[row] = ratios[found].sum(), ngrams.word_count(len(found))
                    advance(rows.stop - rows.start)
            return {"log_weights": weights, "words": sizes}

        known = context.keep(kept_name(self, "weights"), weigh)
        short = known["words"] < self.min_words
        if short.all():
            raise InputError(
                f"dsir: all {len(pool)} documents have fewer than {self.min_words} words; "
                "lower it with --set objective.min_words=0"
            )
        if short.any():
            context.warn(f"dsir excludes {short.sum()} of {len(pool)} documents of fewer than {self.min_words} words")
        return Modular("dsir", np.where(short, -np.inf, known["log_weights"]))
