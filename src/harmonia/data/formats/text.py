"""Plain text: one document per file; files that follow each other are read as one run."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from harmonia.data.columns import Columns
from harmonia.data.formats.base import CHUNK_BYTES, Chunk, Reader
from harmonia.data.formats.compression import DamagedError, plain
from harmonia.data.inputs import InputFile
from harmonia.data.rejects import Bad


class TextFiles(Reader):
    """Text files; columns are the names of the id, text and source roles.

    Without named roles the columns are ``id`` (the file's name), ``text`` and ``source``.
    """

    def __init__(self, files: list[InputFile]) -> None:
        super().__init__(files[0])
        self._files = files
        self.columns = Columns(text="text", id="id", source="source")

    @property
    def schema(self) -> pa.Schema:
        return pa.schema(
            [
                (name, pa.large_string() if name == self.columns.text else pa.string())
                for name in (self.columns.id, self.columns.text, self.columns.source)
            ]
        )

    def count(self) -> int:
        return len(self._files)

    def chunks(self, columns: Columns, names: list[str] | None, rows: int) -> Iterator[Chunk]:
        places: list[int] = []
        texts: list[str] = []
        bad: list[Bad] = []
        size = 0
        for place, file in enumerate(self._files):
            try:
                text = self._read(file)
                places.append(place)
                texts.append(text)
                size += len(text)
            except UnicodeDecodeError as error:
                bad.append(Bad(place, "text", f"is not valid UTF-8 (byte {error.start})"))
            except DamagedError as error:
                bad.append(Bad(place, "file", str(error)))
            if len(places) + len(bad) >= rows or size >= CHUNK_BYTES or place == len(self._files) - 1:
                yield Chunk(self._table(places, texts, names), np.array(places, np.int64), bad)
                places, texts, bad, size = [], [], [], 0

    def take(self, columns: Columns, places: np.ndarray) -> Iterator[pa.Table]:
        chosen = TextFiles([self._files[place] for place in places])
        chosen.columns = self.columns
        yield from (chunk.table for chunk in chosen.chunks(columns, None, 1024))

    def _read(self, file: InputFile) -> str:
        with file.open() as stream:
            return b"".join(plain(stream, file.packing)).decode("utf-8-sig")

    def _table(self, places: list[int], texts: list[str], names: list[str] | None) -> pa.Table:
        files = [self._files[place] for place in places]
        values = [[file.name for file in files], texts, [file.source for file in files]]
        columns = [pa.array(v, field.type) for v, field in zip(values, self.schema, strict=True)]
        table = pa.table(columns, schema=self.schema)
        return table if names is None else table.select(names)

    def where(self, place: int) -> tuple[str, int]:
        return self._files[place].path, 1

    def name(self, place: int) -> str:
        return self._files[place].name

    def made_up_id(self, place: int) -> str:
        return self.name(place)

    def own_sources(self, places: np.ndarray) -> pa.Array:
        return pa.array([self._files[place].source for place in places], pa.large_string())

    def files(self) -> list[InputFile]:
        return self._files
