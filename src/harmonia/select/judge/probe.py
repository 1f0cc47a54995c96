"""The quick judge: a byte n-gram model of each selection, scored on held-out text of every source.

No GPU, no training loop, no tokenizer; seconds instead of minutes. It sees spelling and vocabulary, not meaning: what
it finds equal a language model may tell apart. Kneser and Ney 1995; Chen and Goodman 1999.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import Field

from harmonia.core.errors import InputError
from harmonia.maths.ngram_lm import NgramLM
from harmonia.select.judge.base import Exam, Judge, summary


class Probe(Judge):
    """Counts byte n-grams of the selection (interpolated Kneser-Ney) and reports bits per byte of each source.

    The result depends on the selection alone; seeds matter only through what they select. Unlike ``lm`` it does not
    hold the training tokens equal: a larger selection gives it more to count.
    """

    kind: Literal["probe"] = "probe"
    references: ClassVar[tuple[str, ...]] = ("kneser1995improved", "chen1999empirical")

    order: int = Field(default=5, ge=1, le=7)
    """Longest n-gram in bytes."""

    def judge(self, name: str, texts: Sequence[str], exam: Exam) -> dict[str, float]:
        if not any(texts):
            raise InputError(f"{name}: the selection holds no text to learn from")
        model = NgramLM.train(texts, self.order)
        bits = {source: model.bits_per_byte(held) for source, held in exam.held_out.items()}
        return {**summary(bits), "selected_bytes": float(sum(len(text.encode()) for text in texts))}
