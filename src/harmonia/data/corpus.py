"""A corpus: documents of many files, read in one order, in bounded memory, as often as needed.

A document is known by its row: its number among the good rows in reading order. Every reading gives the same rows.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from harmonia.core.errors import InputError
from harmonia.core.progress import warn
from harmonia.data import fields, schema
from harmonia.data.batch import Batch
from harmonia.data.columns import ROLES, Columns, leaf_type, resolve, root_of
from harmonia.data.formats.arrow import ArrowFile
from harmonia.data.formats.base import Chunk, Reader
from harmonia.data.formats.delimited import DelimitedFile
from harmonia.data.formats.jsonl import JsonLines
from harmonia.data.formats.memory import MemoryTable, to_table
from harmonia.data.formats.parquet import ParquetFile
from harmonia.data.formats.text import TextFiles
from harmonia.data.inputs import InputFile, find_files, only_paths
from harmonia.data.rejects import Bad, OnBad, as_table, bad_row
from harmonia.data.unique import check_unique_ids

_READERS: dict[str, Callable[[InputFile], Reader]] = {
    "parquet": ParquetFile,
    "arrow": ArrowFile,
    "jsonl": JsonLines,
    "csv": DelimitedFile,
    "tsv": DelimitedFile,
}


@dataclass(frozen=True)
class _Seen:
    """What a complete reading of one input established."""

    count: int
    excluded: np.ndarray
    rejects: pa.Table


class Corpus:
    """Documents to be read; open one with ``Corpus.open``."""

    def __init__(self, readers: list[Reader], columns: Columns, on_bad: OnBad, ignored: list[str]) -> None:
        self.columns = columns
        """The columns in use; id and source are None where they are made up."""
        self.on_bad = on_bad
        self.ignored = ignored
        """Paths in the folders that are not documents."""
        self._readers = readers
        self._seen: list[_Seen | None] = [None] * len(readers)
        self._schemas: list[pa.Schema | None] = [r.schema if r.typed else None for r in readers]
        self._dimension: tuple[int, str] | None = None
        self._settled: set[Reader] = set()
        self._precision: np.dtype[Any] = np.dtype(np.float64)

    @classmethod
    def open(cls, inputs: Any, columns: Columns | None = None, on_bad: OnBad = "stop") -> Corpus:
        """Open a corpus; only names, sizes and schemas are read.

        Args:
            inputs: a path, folder (read recursively), glob or URL of Parquet, Arrow, JSON lines, CSV, TSV or plain text
                files (JSON lines, CSV, TSV and text also as .gz or .zst); a list of these; or a table in memory (Arrow,
                polars, pandas, a list of records). A Hugging Face dataset folder is a folder.
            columns: which column plays which role; what is left out is recognised by usual names.
            on_bad: ``"stop"`` raises at the first unusable row, ``"skip"`` leaves it out and records it.

        Raises:
            InputError: there is nothing to read, or files do not fit together.

        >>> corpus = Corpus.open([{"id": 1, "text": "one"}, {"id": 2, "text": "two"}])
        >>> [batch.ids for batch in corpus.batches()]
        [['1', '2']]
        """
        paths = only_paths(inputs)
        if paths is not None:
            files, ignored = find_files(paths)
            readers = _readers(files)
        else:
            many = isinstance(inputs, list | tuple) and not all(isinstance(i, dict) for i in inputs)
            tables = [to_table(t) for t in inputs] if many else [to_table(inputs)]
            readers = [MemoryTable(t, f"table-{i}" if len(tables) > 1 else "table") for i, t in enumerate(tables)]
            ignored = []
        if ignored:
            warn(f"passed over {len(ignored)} files that hold no documents, for instance {ignored[0]}")
        tabular = [r for r in readers if not isinstance(r, TextFiles)]
        schemas = [(r.file.path, r.schema) for r in tabular if r.schema.names or r.count()]
        found = resolve(columns or Columns(), schemas)
        typed = [(r, r.schema) for r in tabular if r.typed]
        for reader, kinds in typed:
            fields.check_types(reader.file.path, kinds, found, reader.parses_numbers)
        schema.check_same([(r.file.path, kinds) for r, kinds in typed if not r.parses_numbers])
        for reader in readers:
            if isinstance(reader, TextFiles):
                reader.columns = Columns(text=found.text, id=found.id or "id", source=found.source or "source")
        if not tabular:
            found = Columns(**{**vars(found), "id": found.id or "id", "source": found.source or "source"})
        corpus = cls(readers, found, on_bad, ignored)
        corpus._agree_on_dimension()
        return corpus

    @property
    def files(self) -> list[InputFile]:
        """The files in reading order, each with name, size and format."""
        return [file for reader in self._readers for file in reader.files()]

    def fingerprint(self) -> dict[str, Any]:
        """Return what tells whether a later run reads the same input: names, sizes, stamps, columns, treatment."""
        return {
            "files": [[f.name, f.size, f.format, f.stamp] for f in self.files],
            "columns": self.columns.record(),
            "on_bad": self.on_bad,
        }

    def difference(self, earlier: dict[str, Any]) -> str | None:
        """Return in words how the input differs from that of an earlier ``fingerprint()``, or None."""
        now = self.fingerprint()
        if now == earlier:
            return None
        old = {row[0]: row for row in earlier["files"]}
        new = {row[0]: row for row in now["files"]}
        for name in [*old, *new]:
            if name not in new:
                return f"{name} is no longer among the inputs"
            if name not in old:
                return f"{name} is new among the inputs"
            if list(new[name]) != list(old[name]):
                return f"{name} has changed ({old[name][1]} bytes then, {new[name][1]} now)"
        if now["columns"] != earlier["columns"]:
            return f"the columns are {now['columns']}, and were {earlier['columns']}"
        if now["on_bad"] != earlier["on_bad"]:
            return f"bad rows: {now['on_bad']}, was {earlier['on_bad']}"
        return "the files are in another order"

    def batches(self, rows_per_batch: int = 4096, only: Collection[str] | None = None) -> Iterator[Batch]:
        """Read the corpus once, in order.

        Args:
            rows_per_batch: at most this many documents in a batch; long documents make smaller batches.
            only: roles to read (``"text"``, ``"id"``, ``"source"``, ``"quality"``, ``"embedding"``, ``"tokens"``);
                other attributes of a batch are then not to be used. None reads all columns.

        Raises:
            InputError: a bad row (with ``on_bad="stop"``), or no document at all.
            RunError: a file vanished or changed since the corpus was opened.
        """
        if only is not None and (unknown := set(only) - set(ROLES)):
            raise ValueError(f"no role {sorted(unknown)[0]!r}; roles are {', '.join(ROLES)}")
        row = 0
        for number in range(len(self._readers)):
            for chunk, values in self._good(number, rows_per_batch, only):
                yield Batch(self._readers[number].name(int(chunk.places[0])), row, chunk.places, chunk.table, values)
                row += len(chunk.places)
        if row == 0:
            raise InputError(self._nothing())

    def take(self, rows: np.ndarray | Iterable[int]) -> pa.Table:
        """Return the original columns of some documents.

        Args:
            rows: (k,) rows in increasing order.

        Raises:
            InputError: rows are not increasing or out of range.
            RunError: a file vanished or changed since the corpus was opened.
        """
        parts = list(self.take_batches(rows))
        joined = parts[0].schema if parts else self.schema()
        return pa.concat_tables(parts) if parts else joined.empty_table()

    def take_batches(self, rows: np.ndarray | Iterable[int]) -> Iterator[pa.Table]:
        """Yield the original columns of some documents piece by piece, all pieces with one schema, as ``take`` does."""
        wanted = np.asarray(rows if isinstance(rows, np.ndarray) else list(rows), np.int64)
        if len(wanted) and (np.any(np.diff(wanted) <= 0) or wanted[0] < 0):
            raise InputError("rows to take must be increasing and at least 0")
        target = self.schema()
        start = 0
        for number, reader in enumerate(self._readers):
            low = int(np.searchsorted(wanted, start))
            if low == len(wanted):
                return
            count, excluded = self._index(number)
            high = int(np.searchsorted(wanted, start + count))
            if low < high:
                reader.verify()
                places = _places(wanted[low:high] - start, excluded)
                yield from (schema.conform(table, target) for table in reader.take(self.columns, places))
            start += count
        if len(wanted) and wanted[-1] >= start:
            raise InputError(f"row {wanted[-1]} is out of range: the corpus has {start} documents")

    def texts_in(self, table: pa.Table) -> list[str]:
        """Return the texts of a table of original columns, as ``take`` gives them."""
        return fields.texts(table, self.columns.text or "text", {}).to_pylist()

    def schema(self) -> pa.Schema:
        """Return the columns of all files as one schema; files without a schema of their own are read for it once."""
        joined = pa.schema([])
        for number in range(len(self._readers)):
            if self._schemas[number] is None:
                self._scan(number)
            joined = schema.merge(joined, self._schemas[number])
        return joined

    def count(self) -> int:
        """Return the number of documents; files that do not tell are read for it once."""
        return sum(self._index(number)[0] for number in range(len(self._readers)))

    def where(self, row: int) -> str:
        """Return where a document stands, in words: file and row, or line."""
        for number, reader in enumerate(self._readers):
            count, excluded = self._index(number)
            if row < count:
                path, place = reader.where(int(_places(np.array([row]), excluded)[0]))
                return f"{path} {reader.word} {place}"
            row -= count
        raise IndexError(row)

    def check_unique_ids(self, keys: np.ndarray) -> None:
        """Check (n,) uint64 hashes of all ids for repetitions, and confirm these with the ids themselves.

        Raises:
            InputError: an id occurs twice; both places are named.
        """
        check_unique_ids(keys, self._ids_at, self.where)

    def rejects(self) -> pa.Table:
        """Return the rows left out so far: file, row (1-based; the line for JSON lines), field, reason."""
        return pa.concat_tables([as_table([]), *(s.rejects for s in self._seen if s is not None)])

    def _ids_at(self, rows: np.ndarray) -> list[str]:
        found: list[str] = []
        for batch in self.batches(only=("id",)):
            low, high = np.searchsorted(rows, [batch.first_row, batch.first_row + len(batch)])
            if low < high:
                ids = batch.ids
                found += [ids[row - batch.first_row] for row in rows[low:high]]
        return found

    def _good(self, number: int, rows: int, only: Collection[str] | None) -> Iterator[tuple[Chunk, dict[str, Any]]]:
        """Yield the good rows of one input with the values of their roles; note what a complete reading tells."""
        reader, seen = self._readers[number], self._seen[number]
        reader.verify()
        roles = set(ROLES if only is None else only) | {"text"}
        if seen is None and self.on_bad == "skip":
            roles = set(ROLES)  # a row that any role rejects has no number, whichever roles are wanted now
        names = None
        if only is not None and reader.schema.names:
            names = list(
                dict.fromkeys(
                    root
                    for name in self.columns.names(roles)
                    if (root := root_of(name, reader.schema)) in reader.schema.names
                )
            )
        complete = seen is None and roles == set(ROLES)
        count, excluded, rejected = 0, [], []
        met = pa.schema([])
        for raw in reader.chunks(self.columns, names, rows):
            chunk, values, bad = self._checked(reader, raw, roles, seen)
            if bad and self.on_bad == "stop":
                first = min(bad)
                raise bad_row(reader.where(first.place)[0], reader.word, reader.where(first.place)[1], first)
            if complete:
                count += len(chunk.places)
                excluded += [b.place for b in bad] + chunk.blank
                rejected += [(reader.name(b.place), reader.where(b.place)[1], b.field, b.reason) for b in sorted(bad)]
                met = schema.merge(met, chunk.table.schema)
            if len(chunk.places):
                yield chunk, values
        if complete:
            self._seen[number] = _Seen(count, np.unique(np.array(excluded, np.int64)), as_table(rejected))
            if names is None and self._schemas[number] is None:
                self._schemas[number] = met

    def _checked(
        self,
        reader: Reader,
        chunk: Chunk,
        roles: Collection[str],
        seen: _Seen | None,
    ) -> tuple[Chunk, dict[str, Any], list[Bad]]:
        table, places, columns = chunk.table, chunk.places, self.columns
        if seen is not None and len(seen.excluded):
            keep = ~np.isin(places, seen.excluded)
            table, places = (table, places) if keep.all() else (table.filter(pa.array(keep)), places[keep])
        wrong: fields.Wrong = {}
        values: dict[str, Any] = {"text": fields.texts(table, columns.text or "text", wrong)}
        values["id"] = fields.labels(table, columns.id, wrong, True) if "id" in roles and columns.id else None
        values["source"] = self._sources(reader, table, places, wrong) if "source" in roles else None
        values["quality"] = {
            name: fields.numbers(table, name, wrong) for name in (columns.quality if "quality" in roles else ())
        }
        values["embedding"] = (
            self._vectors(reader, table, wrong) if "embedding" in roles and columns.embedding else None
        )
        values["tokens"] = fields.counts(table, columns.tokens, wrong) if "tokens" in roles and columns.tokens else None
        bad = [] if seen is not None and self.on_bad == "skip" else chunk.bad
        if wrong:
            bad = bad + [Bad(int(places[row]), field, reason) for row, (field, reason) in wrong.items()]
            keep = np.ones(len(places), bool)
            keep[list(wrong)] = False
            table, places = table.filter(pa.array(keep)), places[keep]
            values = {role: _filtered(value, keep) for role, value in values.items()}
        if values["id"] is None:
            values["id"] = _Numbered(reader, places)
        return Chunk(table, places, chunk.bad, chunk.blank), values, bad

    def _sources(self, reader: Reader, table: pa.Table, places: np.ndarray, wrong: fields.Wrong) -> pa.Array:
        """Return the source column; where it is absent or null, the file's folder or stem."""
        if self.columns.source is None:
            return reader.own_sources(places)
        return pc.coalesce(fields.labels(table, self.columns.source, wrong, False), reader.own_sources(places))

    def _vectors(self, reader: Reader, table: pa.Table, wrong: fields.Wrong) -> np.ndarray:
        name = self.columns.embedding or ""
        values = fields.column(table, name)
        if reader not in self._settled and not pa.types.is_null(values.type):
            self._settle(reader, fields.first_dimension(values))
        found = fields.vectors(table, name, self._dimension[0] if self._dimension else None, wrong)
        return found.astype(self._precision, copy=False)

    def _agree_on_dimension(self) -> None:
        """Settle one precision for all vectors, and one length where files declare theirs."""
        if self.columns.embedding is None:
            return
        precisions = []
        for reader in self._readers:
            kind: Any = leaf_type(reader.schema, self.columns.embedding)
            if kind is not None and pa.types.is_fixed_size_list(kind):
                self._settle(reader, kind.list_size)
            # Numbers in JSON have no precision of their own: whole ones in one block say nothing about the next.
            known = kind is not None and reader.typed and fields.is_list(kind)
            precisions.append(kind.value_type.to_pandas_dtype() if known else np.float64)
        self._precision = np.result_type(*precisions)

    def _settle(self, reader: Reader, dimension: int | None) -> None:
        """Take the length of a file's first vector for the file; all files must have the same."""
        if dimension is None:
            return
        self._settled.add(reader)
        if self._dimension is None:
            self._dimension = (dimension, reader.file.path)
        elif dimension != self._dimension[0]:
            raise InputError(
                f"{reader.file.path}: column {self.columns.embedding!r} holds vectors of {dimension} "
                f"numbers, but of {self._dimension[0]} in {self._dimension[1]}; embed all documents with "
                "one model"
            )

    def _index(self, number: int) -> tuple[int, np.ndarray]:
        """Return (documents, sorted places that are none) of one input, reading it if it must be."""
        known = self._readers[number].count()
        if self._seen[number] is None and self.on_bad == "stop" and known is not None:
            return known, np.empty(0, np.int64)
        if self._seen[number] is None:
            self._scan(number)
        seen = self._seen[number]
        assert seen is not None
        return seen.count, seen.excluded

    def _scan(self, number: int) -> None:
        self._seen[number] = None
        for _ in self._good(number, 4096, None):
            pass

    def _nothing(self) -> str:
        rejects = self.rejects()
        where = self.files[0].path if len(self.files) == 1 else f"{len(self.files)} files, {self.files[0].path} first"
        if not len(rejects):
            return f"{where}: no documents"
        first = rejects.slice(0, 1).to_pylist()[0]
        return (
            f"{where}: no usable document; {len(rejects)} rows were left out, the first is {first['file']} row "
            f"{first['row']}: {first['field']} {first['reason']}"
        )


class _Numbered:
    """Ids made of file name and place, spelled out only when asked for."""

    def __init__(self, reader: Reader, places: np.ndarray) -> None:
        self._reader, self._places = reader, places

    def __call__(self) -> list[str]:
        return [self._reader.made_up_id(place) for place in self._places.tolist()]


def _filtered(value: Any, keep: np.ndarray) -> Any:
    if isinstance(value, pa.Array):
        return value.filter(pa.array(keep))
    if isinstance(value, np.ndarray):
        return value[keep]
    return {name: column[keep] for name, column in value.items()} if isinstance(value, dict) else value


def _places(rows: np.ndarray, excluded: np.ndarray) -> np.ndarray:
    """Return the place in the file of each document, stepping over the places that hold none."""
    before = excluded - np.arange(len(excluded))
    return rows + np.searchsorted(before, rows, side="right")


def _readers(files: list[InputFile]) -> list[Reader]:
    readers: list[Reader] = []
    run: list[InputFile] = []
    for file in files:
        if file.format == "text":
            run.append(file)
            continue
        if run:
            readers.append(TextFiles(run))
            run = []
        readers.append(_READERS[file.format](file))
    return [*readers, TextFiles(run)] if run else readers
