"""The pool as the parts of a selection see it: one entry per document, features and texts on demand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from harmonia.core.errors import InputError, suggest
from harmonia.core.seeds import stable_hash

if TYPE_CHECKING:
    from harmonia.maths.rows import Matrix
    from harmonia.select.features.base import Encoder

TextBlocks = Callable[[], Iterator[tuple[slice, list[str]]]]
"""Call it to read the texts once, in row order: yields (rows, texts)."""

TextReader = Callable[[np.ndarray], list[str]]
"""Rows of a pool -> their texts, in the order asked for."""


@dataclass(frozen=True)
class Pool:
    """n documents. Arrays have one entry per document, in row order.

    Attributes:
        keys: (n,) uint64, stable hash of the document's id; every random choice is drawn from it.
        sources: (n,) int32, index into ``source_names``.
        source_names: name of each source.
        tokens: (n,) int64, cost of each document in tokens, at least 1.
        lengths: (n,) int64, length of each text in bytes (UTF-8).
        quality: column name -> (n,) float64.
        features: (n, d) matrix read by blocks (see harmonia.maths.rows), or None when the recipe uses none.
        texts: reads the texts in row order, or None for a pool of plain arrays.
        encoder: builds the encoder that made ``features``, for objectives that compare the pool with other texts.
        name_of: row -> id, for messages.
    """

    keys: np.ndarray
    sources: np.ndarray
    source_names: list[str]
    tokens: np.ndarray
    lengths: np.ndarray
    quality: Mapping[str, np.ndarray] = field(default_factory=dict)
    features: Matrix | None = None
    texts: TextBlocks | None = None
    encoder: Callable[[], Encoder] | None = None
    name_of: Callable[[int], str] = str

    def __len__(self) -> int:
        return len(self.keys)

    @classmethod
    def from_arrays(
        cls,
        features: Matrix | None = None,
        *,
        quality: np.ndarray | Mapping[str, np.ndarray] | None = None,
        sources: np.ndarray | list[str] | None = None,
        tokens: np.ndarray | None = None,
        texts: list[str] | None = None,
        ids: list[str] | None = None,
    ) -> Pool:
        """Build a pool from plain arrays; whatever is left out gets a neutral value.

        >>> pool = Pool.from_arrays(np.eye(3), quality=np.array([.1, .2, .3]))
        >>> len(pool), pool.source_names
        (3, ['all'])
        """
        given = [
            x
            for x in (
                features.shape[0] if features is not None else None,
                len(texts) if texts is not None else None,
                len(ids) if ids is not None else None,
                len(sources) if sources is not None else None,
                len(quality) if isinstance(quality, np.ndarray) else None,
                *(len(q) for q in (quality.values() if isinstance(quality, Mapping) else ())),
            )
            if x is not None
        ]
        if not given or min(given) != max(given):
            raise InputError(
                f"features, quality, sources, texts and ids must have one entry per document; lengths are {given}"
            )
        n = given[0]
        # without ids the row is the identity: of equal rows the lowest goes first
        keys = stable_hash(ids) if ids is not None else np.arange(n, dtype=np.uint64)
        names, codes = (
            np.unique(np.asarray(sources), return_inverse=True)
            if sources is not None
            else (np.array(["all"]), np.zeros(n))
        )
        scores = {"quality": quality} if isinstance(quality, np.ndarray) else dict(quality or {})
        blocks: TextBlocks | None = None
        if texts is not None:

            def blocks() -> Iterator[tuple[slice, list[str]]]:
                for start in range(0, n, 1024):
                    yield slice(start, min(start + 1024, n)), texts[start : start + 1024]

        lengths = np.array([len(t.encode()) for t in texts]) if texts is not None else np.zeros(n)
        tokens = tokens if tokens is not None else np.maximum(lengths // 4, 1)
        return cls(
            keys=keys,
            sources=codes.astype(np.int32),
            source_names=[str(s) for s in names],
            tokens=np.asarray(tokens, np.int64),
            lengths=lengths.astype(np.int64),
            quality={k: np.asarray(v, np.float64) for k, v in scores.items()},
            features=features,
            texts=blocks,
            name_of=ids.__getitem__ if ids is not None else str,
        )

    def need_features(self, what: str) -> Matrix:
        """Return the features.

        Raises:
            InputError: the recipe has no features axis that makes them.
        """
        if self.features is None:
            raise InputError(f"{what} needs feature vectors; choose some with --set features=hashing")
        return self.features

    def need_texts(self, what: str) -> TextBlocks:
        """Return the reader of texts, or raise InputError."""
        if self.texts is None:
            raise InputError(f"{what} needs the documents' texts, but this pool has only arrays")
        return self.texts

    def need_encoder(self, what: str) -> Encoder:
        """Build and return the encoder of the features, or raise InputError."""
        if self.encoder is None:
            raise InputError(
                f"{what} compares the pool with other texts and needs features that can encode them; "
                "choose some with --set features=hashing"
            )
        return self.encoder()

    def need_quality(self, column: str | None, what: str) -> np.ndarray:
        """Return one quality column (the only one when ``column`` is None), checked to be finite.

        Raises:
            InputError: the column is missing, ambiguous or not finite.
        """
        if column is None:
            if len(self.quality) != 1:
                raise InputError(
                    f"{what} needs one quality column; name it with --quality-column"
                    + (
                        f", or in its field column (there are: {', '.join(sorted(self.quality))})"
                        if self.quality
                        else ""
                    )
                )
            column = next(iter(self.quality))
        if column not in self.quality:
            raise InputError(f"no quality column {column!r}{suggest(column, self.quality)}")
        values = self.quality[column]
        bad = np.flatnonzero(~np.isfinite(values))
        if len(bad):
            raise InputError(
                f"quality column {column!r} is not finite at document {self.name_of(int(bad[0]))!r} "
                f"({len(bad)} of {len(values)}); fill or drop these rows"
            )
        return values
