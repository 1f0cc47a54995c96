"""The features axis: documents as vectors."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from harmonia.core.part import Part


class Encoder(Protocol):
    """Texts to vectors; built once per worker process, so it may hold a model."""

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """Return (len(texts), d) float32; row i depends on texts[i] alone, whatever stands beside it."""
        ...


Scores = Callable[[Sequence[str]], np.ndarray]
"""Texts to one number each: (n,) float64."""


@runtime_checkable
class AligningEncoder(Encoder, Protocol):
    """An encoder that can also score texts against targets without making their vectors: by a model's tangent."""

    targets: tuple[str, ...]
    """Target texts that the encoder itself was tuned on; empty when there are none."""

    def alignment(self, targets: Sequence[str]) -> Scores:
        """Return the function s(x) = mean_i k(x_i, x) over target texts x_i.

        Raises:
            InputError: there is no target, or their mean gradient is zero or not finite.
        """
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

    def identity(self) -> dict[str, Any]:
        """Return what decides the vectors, as a JSON record: the settings, and stamps of the files that they name.

        Stored vectors are used again only while it stays the same: a model or a target that changes under its path
        is embedded anew.
        """
        settings = self.model_dump(mode="json")
        named = [
            Path(value) for value in settings.values() if isinstance(value, str) and value and Path(value).exists()
        ]
        files = sorted(
            file for path in named for file in (path.rglob("*") if path.is_dir() else [path]) if file.is_file()
        )
        stamps = [[str(file), file.stat().st_size, file.stat().st_mtime_ns] for file in files]
        return {**settings, "files": stamps}

    @property
    def sample_size(self) -> int:
        """How many texts ``encoder`` wants to see; 0 when it learns nothing."""
        return 0
