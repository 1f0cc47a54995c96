"""Parquet: row groups are streamed, and skipped when none of their rows is wanted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property, partial
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from harmonia.core.errors import InputError
from harmonia.data.columns import Columns
from harmonia.data.formats.base import CHUNK_BYTES, Chunk, Reader
from harmonia.data.schema import unviewed

T = TypeVar("T")


class ParquetFile(Reader):
    """A Parquet file, local or remote."""

    @cached_property
    def _metadata(self) -> pq.FileMetaData:
        with self._open() as file:
            return file.metadata

    @cached_property
    def schema(self) -> pa.Schema:
        return unviewed(self._metadata.schema.to_arrow_schema())

    def count(self) -> int:
        return int(self._metadata.num_rows)

    def chunks(self, columns: Columns, names: list[str] | None, rows: int) -> Iterator[Chunk]:
        place = 0
        with self._open() as file:
            for group in range(file.num_row_groups):
                about = file.metadata.row_group(group)
                width = max(about.total_byte_size // max(about.num_rows, 1), 1)
                size = max(min(rows, CHUNK_BYTES // width), 1)
                batches = file.iter_batches(size, [group], names)
                while (batch := self._guarded(partial(next, batches, None))) is not None:
                    table = _plain(pa.Table.from_batches([batch]))
                    yield Chunk(table, np.arange(place, place + len(table)))
                    place += len(table)

    def take(self, columns: Columns, places: np.ndarray) -> Iterator[pa.Table]:
        start = 0
        with self._open() as file:
            for group in range(file.num_row_groups):
                stop = start + file.metadata.row_group(group).num_rows
                low, high = np.searchsorted(places, [start, stop])
                if low < high:
                    table = self._guarded(partial(file.read_row_group, group))
                    yield _plain(table).take(pa.array(places[low:high] - start))
                start = stop

    def _open(self) -> pq.ParquetFile:
        try:
            return pq.ParquetFile(self.file.key if self.file.local else self.file.open())
        except FileNotFoundError as error:
            raise self.file.vanished() from error
        except PermissionError as error:
            raise InputError(f"{self.file.path}: cannot be read: permission denied") from error
        except (pa.ArrowException, OSError) as error:
            raise self._damaged(error) from error

    def _guarded(self, read: Callable[[], T]) -> T:
        try:
            return read()
        except FileNotFoundError as error:
            raise self.file.vanished() from error
        except (pa.ArrowException, OSError) as error:
            raise self._damaged(error) from error

    def _damaged(self, error: Exception) -> InputError:
        return InputError(
            f"{self.file.path}: not a readable Parquet file ({str(error).splitlines()[0]}); "
            "write it again or leave it out"
        )


def _plain(table: pa.Table) -> pa.Table:
    return table.cast(unviewed(table.schema))
