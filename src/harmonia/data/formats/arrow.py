"""Arrow files, as streams (what Hugging Face ``save_to_disk`` writes) or with a footer (Feather)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property

import numpy as np
import pyarrow as pa

from harmonia.core.errors import InputError
from harmonia.data.columns import Columns
from harmonia.data.formats.base import Chunk, Reader
from harmonia.data.schema import unviewed


class ArrowFile(Reader):
    """An Arrow IPC stream or file."""

    @cached_property
    def schema(self) -> pa.Schema:
        with self._open() as (schema, _):
            return unviewed(schema)

    def chunks(self, columns: Columns, names: list[str] | None, rows: int) -> Iterator[Chunk]:
        place = 0
        with self._open() as (_, batches):
            for batch in batches:
                whole = pa.Table.from_batches([batch])
                whole = whole.cast(unviewed(whole.schema))
                whole = whole if names is None else whole.select(names)
                for start in range(0, len(whole), rows):
                    table = whole.slice(start, rows)
                    yield Chunk(table, np.arange(place, place + len(table)))
                    place += len(table)

    @contextmanager
    def _open(self) -> Iterator[tuple[pa.Schema, Iterator[pa.RecordBatch]]]:
        try:
            with self.file.open() as stream:
                magic = stream.read(6)
                stream.seek(0)
                if magic == b"ARROW1":
                    file = pa.ipc.open_file(stream)
                    yield file.schema, (file.get_batch(i) for i in range(file.num_record_batches))
                else:
                    reader = pa.ipc.open_stream(stream)
                    yield reader.schema, iter(reader)
        except (pa.ArrowException, OSError) as error:
            raise InputError(
                f"{self.file.path}: not a readable Arrow file ({str(error).splitlines()[0]}); "
                "write it again or leave it out"
            ) from error
