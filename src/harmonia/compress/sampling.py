"""The record of a calibration: how much text is drawn, and what repairs are aimed at."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from harmonia.core.part import Part

TOKENS_PER_INPUT = 32
"""Tokens that are drawn per input of the widest consumer, unless told how many sequences."""
MOST_TOKENS = 262_144
"""Most tokens that are drawn unless told otherwise: 2048 sequences of 128, or 128 of 2048."""
LENGTH = {"causal": 512, "classifier": 128, "encoder": 128}
"""Tokens of a sequence for each task of a model, unless told otherwise."""


class Sampling(Part):
    """Sequences of text are drawn, and a share of them is held out to choose ridges by."""

    kind: Literal["text"] = "text"

    sequences: Annotated[int, Field(ge=2)] | None = None
    """How many are drawn. null: as many as give 32 tokens per input of the widest consumer, at most 262,144 tokens, or
    as many as there are."""
    length: Annotated[int, Field(ge=2)] | None = None
    """Most tokens of a sequence. null: 512 for language models and 128 for encoders, or what the model has positions
    for."""
    held: Annotated[float, Field(ge=0, lt=1)] = 0.15
    """Share of the sequences that repairs are not fitted on; a ridge is chosen by the error there."""
    batch: Annotated[int, Field(ge=1)] = 8
    """Sequences of a pass."""
    target: Literal["dense-input", "dense-output", "dense-stream"] = "dense-input"
    """dense-input: every layer is repaired by what it reads in the dense model, all from one pass. dense-output: layer
    by layer, each reads what the pruned layers before it give and imitates the dense output, so that damage from
    below is repaired along; a pass per ratio. dense-stream: so that the hidden state behind it is the dense one, which
    makes up for damage that never came through the layer."""

    @property
    def in_sequence(self) -> bool:
        """Whether layers are repaired one after another."""
        return self.target != "dense-input"

    def wanted(self, task: str, positions: int, widest: int) -> tuple[int, int]:
        """Return the most tokens of a sequence, and how many tokens to draw when no number of sequences is told.

        Args:
            task: of the model.
            positions: that it has.
            widest: inputs of the widest consumer.

        >>> Sampling().wanted("encoder", 512, 1536), Sampling(length=16).wanted("causal", 2048, 10**6)
        ((128, 49152), (16, 262144))
        """
        length = min(self.length or LENGTH[task], positions)
        return length, min(TOKENS_PER_INPUT * widest, MOST_TOKENS)
