"""What a format must offer: a schema, chunks of rows in file order, and some rows again."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pyarrow as pa

from harmonia.data.rejects import Bad

if TYPE_CHECKING:
    from harmonia.data.columns import Columns
    from harmonia.data.inputs import InputFile

CHUNK_BYTES = 1 << 26
"""Readers keep a chunk near or below this many bytes, whatever the number of rows."""


@dataclass(frozen=True)
class Chunk:
    """Rows that could be parsed, and those that could not.

    Attributes:
        table: m rows with their original columns.
        places: (m,) int64, 0-based place of each row in its file (the line, for JSON lines).
        bad: records that could not be parsed.
        blank: places that hold no record at all (empty lines).
    """

    table: pa.Table
    places: np.ndarray
    bad: list[Bad] = field(default_factory=list)
    blank: list[int] = field(default_factory=list)


class Reader(ABC):
    """One input (a file, a table in memory, or a run of plain text files)."""

    word: ClassVar[str] = "row"
    """What a place in this format is called in messages."""

    typed: ClassVar[bool] = True
    """Whether the schema holds for the whole file, rather than for its first rows."""

    parses_numbers: ClassVar[bool] = False
    """Whether numbers arrive as text, as in CSV."""

    def __init__(self, file: InputFile) -> None:
        self.file = file

    @property
    @abstractmethod
    def schema(self) -> pa.Schema:
        """Columns and types, of the first rows where the format has no schema of its own."""

    def count(self) -> int | None:
        """Return the number of records when the file tells it without being read, else None."""
        return None

    @abstractmethod
    def chunks(self, columns: Columns, names: list[str] | None, rows: int) -> Iterator[Chunk]:
        """Yield the file in order.

        Args:
            columns: the roles, for formats that check types row by row.
            names: top-level columns to read, or None for all.
            rows: at most this many rows in a chunk, as far as the format can tell beforehand.
        """

    def take(self, columns: Columns, places: np.ndarray) -> Iterator[pa.Table]:
        """Yield the rows at ``places`` (sorted, 0-based) in order, in one or more tables with all columns."""
        for chunk in self.chunks(columns, None, 1 << 16):
            here = np.isin(chunk.places, places, assume_unique=True)
            if here.any():
                yield chunk.table.filter(pa.array(here))
            if len(chunk.places) and chunk.places[-1] >= places[-1]:
                return

    def where(self, place: int) -> tuple[str, int]:
        """Return (path, 1-based row) of a place, for messages."""
        return self.file.path, place + 1

    def name(self, place: int) -> str:
        """Return the short name of the file that holds a place."""
        return self.file.name

    def made_up_id(self, place: int) -> str:
        """Return the id of a document without one: file name and 1-based row."""
        return f"{self.file.name}:{place + 1}"

    def own_sources(self, places: np.ndarray) -> pa.Array:
        """Return the source that the files themselves tell, for the documents at some places."""
        return pa.repeat(pa.scalar(self.file.source or "all", pa.large_string()), len(places))

    def files(self) -> list[InputFile]:
        """Return the files behind this reader."""
        return [self.file]

    def verify(self) -> None:
        """Check that the input is what it was when it was opened.

        Raises:
            RunError: it has vanished or changed.
        """
        for file in self.files():
            file.verify()
