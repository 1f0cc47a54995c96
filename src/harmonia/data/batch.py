"""A batch: some documents of a corpus with the values of their roles, each computed when it is first asked for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


@dataclass(frozen=True, eq=False)
class Batch:
    """b documents of one file (or of one run of text files), in reading order.

    Attributes:
        file: name of the file of the first document.
        first_row: row of the first document in the corpus; the others follow without gaps.
        places: (b,) int64, 0-based place of each document in its file.
        table: the original columns of exactly these documents; only those asked for, when ``only`` was given.
    """

    file: str
    first_row: int
    places: np.ndarray
    table: pa.Table
    _values: dict[str, Any]

    def __len__(self) -> int:
        return len(self.places)

    @cached_property
    def ids(self) -> list[str]:
        """The b ids."""
        return self._values["id"]() if callable(self._values["id"]) else self._values["id"].to_pylist()

    @cached_property
    def texts(self) -> list[str]:
        """The b texts."""
        return self._values["text"].to_pylist()

    @cached_property
    def sources(self) -> list[str]:
        """The b sources."""
        return self._values["source"].to_pylist()

    @property
    def quality(self) -> dict[str, np.ndarray]:
        """Column name -> (b,) float64, finite."""
        return self._values["quality"]

    @property
    def embedding(self) -> np.ndarray | None:
        """(b, d) in the column's own precision (the widest of the files'), finite; None without such a column."""
        return self._values["embedding"]

    @cached_property
    def lengths(self) -> np.ndarray:
        """(b,) int64, bytes of each text in UTF-8."""
        return pc.binary_length(self._values["text"]).to_numpy(zero_copy_only=False).astype(np.int64)

    @cached_property
    def tokens(self) -> np.ndarray:
        """(b,) int64: the tokens column, or a quarter of the bytes, at least 1."""
        given = self._values["tokens"]
        return given if given is not None else np.maximum(self.lengths // 4, 1)
