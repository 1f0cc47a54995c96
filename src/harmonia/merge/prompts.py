"""Text of each expert's own domain, beside the weights: what routers are fitted to."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from harmonia.core.errors import InputError, suggest
from harmonia.merge.texts import texts_of

if TYPE_CHECKING:
    from harmonia.merge.routing.examples import Examples
    from harmonia.models.pretrained import TokenBatch

BATCH = 4096
"""Most tokens of a batch, padding included."""


@dataclass(frozen=True)
class Prompts:
    """Where text of the experts is found.

    Attributes:
        positive: name of an expert -> text that it should take: files, a data set of the catalogue, a list of texts.
        negative: name of an expert -> text that it should not take; none or some.
        most: windows of each text.
        length: tokens of a window; text shorter than it is a window, too.
        text_column: column of the text, where it is a table.
    """

    positive: Mapping[str, Any] = field(default_factory=dict)
    negative: Mapping[str, Any] = field(default_factory=dict)
    most: int = 256
    length: int = 256
    text_column: str | None = None

    def __bool__(self) -> bool:
        return bool(self.positive)

    def check(self, experts: Sequence[str]) -> None:
        """Refuse text of nobody, and experts without text where others have some.

        Raises:
            InputError: says which.
        """
        if self.most < 1 or self.length < 2:
            raise InputError(f"prompts: {self.most} windows of {self.length} tokens; at least 1 of 2 is needed")
        for name in (*self.positive, *self.negative):
            if name not in experts:
                raise InputError(f"prompts of {name!r}: no expert is called so{suggest(name, experts)}")
        without = [name for name in experts if name not in self.positive]
        if without and (self.positive or self.negative):
            raise InputError(
                f"no prompts of {', '.join(without)}: give text of every expert, --prompts {without[0]}=FILE"
            )

    def windows(self, experts: Sequence[str], tokenizer: Any, seed: int) -> Windows:
        """Return token ids, drawn by the seed and the tokens alone.

        Args:
            experts: what the experts are called.
            tokenizer: of the experts.
            seed: of the draw.

        Raises:
            InputError: there is no text of two tokens.
        """
        from harmonia.models.windows import windows

        def of(texts: Mapping[str, Any], name: str) -> list[list[int]]:
            if name not in texts:
                return []
            place = texts[name]
            named = f"prompts {name}={place}" if isinstance(place, str) else f"the prompts of {name}"
            found = texts_of(place, self.text_column)
            return windows(found, tokenizer, self.length, self.most, seed, "prompts", named=named, least=2)

        return Windows([of(self.positive, name) for name in experts], [of(self.negative, name) for name in experts])


@dataclass(frozen=True)
class Windows:
    """Token ids of windows of each expert's text.

    Attributes:
        positive: for each expert, what it should take.
        negative: for each expert, what it should not take; maybe nothing.
    """

    positive: list[list[list[int]]]
    negative: list[list[list[int]]]

    def fingerprint(self) -> str:
        """Return what tells whether the same windows are read."""
        return hashlib.blake2b(json.dumps([self.positive, self.negative]).encode(), digest_size=16).hexdigest()

    def examples(self) -> Examples:
        """Return them as batches."""
        from harmonia.merge.routing.examples import Examples

        negative = [batches(own) for own in self.negative]
        return Examples([batches(own) for own in self.positive], negative if any(negative) else ())


def batches(windows: Sequence[Sequence[int]]) -> list[TokenBatch]:
    """Return windows of similar length together, padded on the right."""
    from harmonia.models.pretrained import batches_by_length, padded

    found = [list(ids) for ids in windows]
    return [padded(rows, found, "cpu") for rows in batches_by_length(np.array([len(ids) for ids in found]), BATCH)]
