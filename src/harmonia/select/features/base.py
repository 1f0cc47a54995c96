"""The features axis: documents as vectors."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from harmonia.core.part import Part


class Encoder(Protocol):
    """Texts to vectors; built once per worker process, so it may hold a model."""

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """Return (len(texts), d) float32; row i depends on texts[i] alone, whatever stands beside it."""
        ...


class Features(Part):
    """Builds the encoder. Anything it must learn from the pool (document frequencies) it learns from a sample."""

    @abstractmethod
    def encoder(self, sample: Sequence[str]) -> Encoder:
        """Return the encoder.

        Args:
            sample: up to ``sample_size`` texts of the pool, the same whatever the order of the files.

        Raises:
            InputError: a model folder without weights, an unknown model.
            MissingExtraError: the library it needs is not installed.
        """

    @property
    def sample_size(self) -> int:
        """How many texts ``encoder`` wants to see; 0 when it learns nothing."""
        return 0
