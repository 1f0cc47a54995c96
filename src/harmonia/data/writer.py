"""Parquet that is written whole or not at all, and with the same bytes for the same rows."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from harmonia.core.files import atomic

ROWS_PER_GROUP = 8192


def write_parquet(
    path: str | os.PathLike[str], rows: pa.Table | Iterable[pa.Table | pa.RecordBatch], schema: pa.Schema | None = None
) -> int:
    """Write rows to one Parquet file (zstd) and return how many there were.

    Row groups have a fixed size whatever the pieces, so that equal rows give equal bytes with one version of pyarrow.

    Args:
        path: the file; it appears when all rows are in it.
        rows: a table, or pieces of one, taken as they come.
        schema: columns and types; by default those of the first piece.

    Raises:
        RunError: the disk is full or not writable.
    """
    pieces = iter([rows] if isinstance(rows, pa.Table) else rows)
    first = next(pieces, None)
    if schema is None:
        if first is None:
            raise ValueError("a schema is needed to write no rows")
        schema = first.schema
    schema = schema.remove_metadata()
    count = 0
    with atomic(path) as temporary, pq.ParquetWriter(temporary, schema, compression="zstd", version="2.6") as writer:
        for group in _groups(_chained(first, pieces), schema):
            writer.write_table(group, row_group_size=ROWS_PER_GROUP)
            count += len(group)
    return count


def _chained(
    first: pa.Table | pa.RecordBatch | None,
    rest: Iterator[pa.Table | pa.RecordBatch],
) -> Iterator[pa.Table | pa.RecordBatch]:
    if first is not None:
        yield first
        yield from rest


def _groups(pieces: Iterable[pa.Table | pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.Table]:
    held = schema.empty_table()
    for piece in pieces:
        table = piece if isinstance(piece, pa.Table) else pa.Table.from_batches([piece])
        held = pa.concat_tables([held, table.replace_schema_metadata().select(schema.names).cast(schema)])
        while len(held) >= ROWS_PER_GROUP:
            yield held.slice(0, ROWS_PER_GROUP).combine_chunks()
            held = held.slice(ROWS_PER_GROUP)
    if len(held):
        yield held.combine_chunks()
