"""Vectors that the documents already carry, in a column of their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from harmonia.core.errors import InputError
from harmonia.select.features.base import Encoder, Features


class Given(Features):
    """A column of vectors that comes with the documents, kept in its own precision."""

    kind: Literal["given"] = "given"

    def encoder(self, sample: Sequence[str]) -> Encoder:
        raise InputError(
            "features 'given' are read from a column and cannot encode a text; "
            "choose features that encode, for instance --set features=hashing"
        )
