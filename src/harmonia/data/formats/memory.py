"""Tables that are already in memory: Arrow, polars, pandas, or a list of records."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from harmonia.core.errors import InputError
from harmonia.data.columns import Columns
from harmonia.data.formats.base import Chunk, Reader
from harmonia.data.inputs import InputFile
from harmonia.data.schema import unviewed


class MemoryTable(Reader):
    """A table in memory."""

    def __init__(self, table: pa.Table, name: str) -> None:
        digest = hashlib.blake2b(digest_size=16)
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as stream:
            stream.write_table(table.combine_chunks(), max_chunksize=1 << 16)
        digest.update(sink.getvalue())
        super().__init__(InputFile(name, name, table.nbytes, "table", source=name, stamp=digest.hexdigest()))
        self._table = table.cast(unviewed(table.schema))

    @property
    def schema(self) -> pa.Schema:
        return self._table.schema

    def count(self) -> int:
        return len(self._table)

    def chunks(self, columns: Columns, names: list[str] | None, rows: int) -> Iterator[Chunk]:
        table = self._table if names is None else self._table.select(names)
        for start in range(0, len(table), rows):
            part = table.slice(start, rows)
            yield Chunk(part, np.arange(start, start + len(part)))

    def take(self, columns: Columns, places: np.ndarray) -> Iterator[pa.Table]:
        yield self._table.take(pa.array(places))


def to_table(given: Any) -> pa.Table:
    """Return an Arrow table from a table of any library, or from a list of records.

    Raises:
        InputError: it is none of these, or its columns have mixed types.
    """
    if isinstance(given, pa.Table):
        return given
    if isinstance(given, pa.RecordBatch):
        return pa.Table.from_batches([given])
    try:
        if isinstance(given, list | tuple) and given and all(isinstance(row, dict) for row in given):
            names = list(dict.fromkeys(name for row in given for name in row))
            return pa.table({name: pa.array([row.get(name) for row in given]) for name in names})
        library = type(given).__module__.split(".")[0]
        if library == "datasets":
            return given.with_format("arrow")[:]
        if library == "pandas":
            return pa.Table.from_pandas(given, preserve_index=False)
        if hasattr(given, "__arrow_c_stream__"):
            return pa.table(given)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise InputError(f"the table in memory cannot be read: {error}") from error
    raise InputError(
        f"cannot read documents from {type(given).__name__}; give a path, a folder, a glob, an Arrow, "
        "polars or pandas table, or a list of records"
    )
