"""CSV and TSV: every column is kept as text, so that what is written back is what was read."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pcsv

from harmonia.core.errors import InputError
from harmonia.data.columns import Columns
from harmonia.data.formats.base import Chunk, Reader
from harmonia.data.formats.compression import DamagedError, plain
from harmonia.data.rejects import Bad

_BLOCK = 1 << 24


class DelimitedFile(Reader):
    """A table with a header line; quotes follow RFC 4180 and may hold line ends. The header is not counted as a row."""

    parses_numbers: ClassVar[bool] = True

    @cached_property
    def schema(self) -> pa.Schema:
        with self._open({}, lambda row: "skip") as (reader, _):
            names = reader.schema.names
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise InputError(f"{self.file.path}: column {twice[0]!r} occurs twice in the header; rename one")
        return pa.schema([(name, pa.string()) for name in names])

    def chunks(self, columns: Columns, names: list[str] | None, rows: int) -> Iterator[Chunk]:
        wrong: list[tuple[int, str]] = []

        def note_row(row: Any) -> str:
            wrong.append((row.number - 2, f"has {row.actual_columns} fields, the header has {row.expected_columns}"))
            return "skip"

        place = 0
        if not self.schema.names:
            return
        with self._open(dict.fromkeys(self.schema.names, pa.binary()), note_row) as (reader, source):
            for batch in self._batches(reader):
                table, broken = _decoded(pa.Table.from_batches([batch]), self.schema)
                places, gone = _places(place, len(table), [number for number, _ in wrong])
                bad = [Bad(number, "row", reason) for number, reason in wrong if number in gone]
                wrong = [pair for pair in wrong if pair[0] not in gone]
                bad += [Bad(int(places[row]), field, "is not valid UTF-8") for row, field in broken.items()]
                if broken:
                    keep = np.ones(len(table), bool)
                    keep[list(broken)] = False
                    table, places = table.filter(pa.array(keep)), places[keep]
                place += len(batch) + len(gone)
                table = table if names is None else table.select(names)
                for start in range(0, max(len(table), 1), rows):
                    yield Chunk(table.slice(start, rows), places[start : start + rows], bad if start == 0 else [])
            rest = [Bad(number, "row", reason) for number, reason in wrong]
            place += len(rest)
            if source.damage:
                rest.append(Bad(place, "file", source.damage))
            if rest:
                yield Chunk(self.schema.empty_table(), np.empty(0, np.int64), rest)

    def _batches(self, reader: pcsv.CSVStreamingReader) -> Iterator[pa.RecordBatch]:
        try:
            yield from reader
        except pa.ArrowInvalid as error:
            raise self._unreadable(error) from error

    @contextmanager
    def _open(self, types: dict[str, pa.DataType], on_wrong: Any) -> Iterator[tuple[pcsv.CSVStreamingReader, _Source]]:
        delimiter = "\t" if self.file.format == "tsv" else ","
        with self.file.open() as stream:
            source = _Source(plain(stream, self.file.packing))
            try:
                reader = pcsv.open_csv(
                    pa.PythonFile(source, mode="r"),
                    pcsv.ReadOptions(block_size=_BLOCK, use_threads=False),
                    pcsv.ParseOptions(delimiter=delimiter, newlines_in_values=True, invalid_row_handler=on_wrong),
                    pcsv.ConvertOptions(column_types=types, strings_can_be_null=False, check_utf8=False),
                )
            except (pa.ArrowInvalid, UnicodeDecodeError) as error:
                if source.damage:
                    raise InputError(f"{self.file.path}: file {source.damage}; fetch or write it again") from error
                raise self._unreadable(error) from error
            yield reader, source

    def _unreadable(self, error: Exception) -> InputError:
        reason = str(error).splitlines()[0]
        if "Empty CSV" in reason:
            reason = "it is empty, not even a header line"
        return InputError(
            f"{self.file.path}: not a readable {self.file.format.upper()} file ({reason}); "
            "check the header, the delimiter and the quotes"
        )


class _Source(io.RawIOBase):
    """Decompressed bytes as a file; damage ends it at the last whole line and is remembered."""

    def __init__(self, parts: Iterator[bytes]) -> None:
        self._parts = parts
        self._held = b""
        self.damage = ""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        waiting, length = [self._held], len(self._held)
        while length < size or size < 0:
            try:
                waiting.append(next(self._parts))
                length += len(waiting[-1])
            except StopIteration:
                break
            except DamagedError as error:
                self.damage = str(error)
                self._parts = iter(())
                whole = b"".join(waiting)
                waiting = [whole[: whole.rfind(b"\n") + 1]]
                break
        whole = b"".join(waiting)
        most = len(whole) if size < 0 else size
        # A line that is not whole yet waits, so that damage never leaves half a row behind.
        cut = whole.rfind(b"\n", 0, most) + 1 or most
        self._held = whole[cut:]
        return whole[:cut]


def _decoded(table: pa.Table, schema: pa.Schema) -> tuple[pa.Table, dict[int, str]]:
    """Return the table as text, and row -> column where the bytes are not UTF-8 (these become null)."""
    broken: dict[int, str] = {}
    columns = []
    for field in schema:
        column = table[field.name]
        try:
            columns.append(column.cast(pa.string()))
        except pa.ArrowInvalid:
            values = []
            for row, value in enumerate(column.to_pylist()):
                try:
                    values.append(value.decode())
                except UnicodeDecodeError:
                    values.append(None)
                    broken.setdefault(row, field.name)
            columns.append(pa.chunked_array([pa.array(values, pa.string())]))
    return pa.table(columns, schema=schema), broken


def _places(start: int, count: int, wrong: list[int]) -> tuple[np.ndarray, set[int]]:
    """Return places of ``count`` rows from ``start`` on, and which of the wrong places lie before their end."""
    gone: set[int] = set()
    end = start + count
    for number in sorted(wrong):
        if number >= end:
            break
        gone.add(number)
        end += 1
    places = np.arange(start, end)
    return places[~np.isin(places, list(gone))] if gone else places, gone


def parse_numbers(column: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:
    """Return (float64 values, which of them are numbers) of a text column; surrounding blanks are ignored."""
    trimmed = pc.utf8_trim_whitespace(column)
    try:
        return trimmed.cast(pa.float64()).to_numpy(), np.ones(len(column), bool)
    except pa.ArrowInvalid:
        values = np.full(len(column), np.nan)
        fits = np.zeros(len(column), bool)
        for row, text in enumerate(trimmed.to_pylist()):
            try:
                values[row] = float(text)
                fits[row] = True
            except (TypeError, ValueError):
                continue
        return values, fits
