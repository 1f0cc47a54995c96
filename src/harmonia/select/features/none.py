"""No vectors: for recipes whose objective reads scores, texts or nothing at all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from harmonia.core.errors import InputError
from harmonia.select.features.base import Encoder, Features


class NoFeatures(Features):
    """No feature vectors; nothing is embedded."""

    kind: Literal["none"] = "none"

    def encoder(self, sample: Sequence[str]) -> Encoder:
        raise InputError("features 'none' make no vectors; choose some with --set features=hashing")
