"""Tables of labelled examples: which column is the label, which tells the part, and the rows of all files in turn."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from harmonia.core.errors import InputError, suggest
from harmonia.data.columns import TEXT_NAMES, Columns, is_label, is_text
from harmonia.data.formats.arrow import ArrowFile
from harmonia.data.formats.base import Reader
from harmonia.data.formats.delimited import DelimitedFile
from harmonia.data.formats.jsonl import JsonLines
from harmonia.data.formats.parquet import ParquetFile
from harmonia.data.inputs import InputFile, find_files, stem
from harmonia.data.labelled.held_out import split_word, told_parts

LABEL_NAMES = ("label", "labels", "class", "target", "y", "category")
IMAGE_NAMES = ("image", "jpeg", "jpg", "png", "img", "picture", "bytes")

_READERS: dict[str, Callable[[InputFile], Reader]] = {
    "parquet": ParquetFile,
    "arrow": ArrowFile,
    "jsonl": JsonLines,
    "csv": DelimitedFile,
    "tsv": DelimitedFile,
}
_ROWS = 4096


@dataclass(frozen=True)
class Piece:
    """Some rows of one file.

    Attributes:
        table: m rows.
        reader: of the file.
        places: (m,) int64, place of each row in the file.
    """

    table: pa.Table
    reader: Reader
    places: np.ndarray

    def where(self, row: int) -> str:
        """Return the file and row of a row of the piece, for messages."""
        path, number = self.reader.where(int(self.places[row]))
        return f"{path} {self.reader.word} {number}"

    def words(self, column: str, missing: str | None = None) -> np.ndarray:
        """Return a column of text, integers or booleans as words: (m,) of str.

        Args:
            column: its name.
            missing: stands where there is no value; None refuses that.

        Raises:
            InputError: a value is missing.
        """
        values = self.table[column]
        if values.null_count and missing is None:
            row = int(np.argmax(np.asarray(pc.is_null(values))))
            raise InputError(f"{self.where(row)}: {column!r} is missing; fill it or leave the row out")
        return np.array([missing if value is None else str(value) for value in values.to_pylist()], dtype=str)

    def parts(self) -> np.ndarray:
        """Return the part that the file's name or folder tells for these rows: (m,) of str, empty where it does not."""
        folders = Path(self.reader.file.name).parts
        told = next((word for word in (stem(folders[-1]), *folders[:-1]) if split_word(word)), "")
        return np.repeat(told, len(self.table))


class Table:
    """The rows of one or several files with the same columns.

    Args:
        place: a file, folder, glob or URL of Parquet, Arrow, JSON lines, CSV or TSV.
        label: the label's column; None for one of the usual names.

    Raises:
        InputError: there is nothing to read, or no column for the label.
    """

    def __init__(self, place: str, label: str | None = None) -> None:
        self.place = place
        files, _ = find_files([place])
        for file in files:
            if file.format not in _READERS:
                raise InputError(
                    f"{file.path}: plain text has no labels; give JSON lines or Parquet with a label column"
                )
        self.readers = [_READERS[file.format](file) for file in files]
        self.label = self._find_label(label)

    @cached_property
    def schema(self) -> pa.Schema:
        """Columns of the first file."""
        return self.readers[0].schema

    @property
    def _path(self) -> str:
        return self.readers[0].file.path

    def image(self) -> str | None:
        """Return the column that holds image files as bytes, plain or as ``{bytes, path}``; None without one."""
        found = [field.name for field in self.schema if _is_image(field.type) and field.name != self.label]
        return next((name for name in IMAGE_NAMES if name in found), found[0] if found else None)

    def text(self) -> str | None:
        """Return the column of texts; None without one of the usual names."""
        names = (name for name in TEXT_NAMES if name in self.schema.names and name != self.label)
        return next((name for name in names if is_text(self.schema.field(name).type)), None)

    def numbers(self) -> tuple[str, ...]:
        """Return the numeric columns besides the label."""
        return tuple(field.name for field in self.schema if is_number(field.type) and field.name != self.label)

    def others(self, used: Iterable[str]) -> tuple[str, ...]:
        """Return the columns of words that are neither used nor the label."""
        taken = {*used, self.label}
        return tuple(field.name for field in self.schema if is_label(field.type) and field.name not in taken)

    def pieces(self, names: Iterable[str]) -> Iterator[Piece]:
        """Yield the rows of all files in order, with some columns.

        Raises:
            InputError: a file lacks a column or has a row that cannot be parsed.
        """
        names = list(dict.fromkeys(names))
        for reader in self.readers:
            for name in names:
                if name not in reader.schema.names:
                    raise InputError(
                        f"{reader.file.path}: no column {name!r}, which {self._path} has"
                        f"{suggest(name, reader.schema.names)}; make the files alike or read them apart"
                    )
            for chunk in reader.chunks(Columns(), names, _ROWS):
                for bad in chunk.bad:
                    path, number = reader.where(bad.place)
                    raise InputError(f"{path} {reader.word} {number}: {bad.field} {bad.reason}; mend it")
                if len(chunk.table):
                    yield Piece(chunk.table, reader, chunk.places)

    def _find_label(self, given: str | None) -> str:
        name = given or next((each for each in LABEL_NAMES if each in self.schema.names), None)
        has = f"it has: {', '.join(self.schema.names) or 'no columns'}"
        if name is None:
            raise InputError(f"{self._path}: no label column recognised ({has}); name it with --label")
        if name not in self.schema.names:
            raise InputError(f"{self._path}: no column {name!r}{suggest(name, self.schema.names)}")
        kind = self.schema.field(name).type
        if not is_label(kind):
            raise InputError(f"{self._path}: column {name!r} is {kind}; a label is text, an integer or a boolean")
        return name


def is_number(kind: pa.DataType) -> bool:
    """Tell whether a type holds numbers."""
    return pa.types.is_integer(kind) or pa.types.is_floating(kind)


def parts_of(pieces_told: list[np.ndarray], columns: dict[str, np.ndarray]) -> np.ndarray | None:
    """Return the part of each row, from a column ``split`` (which is taken out) or from the names of files."""
    if "split" in columns and (told := told_parts(columns["split"])) is not None:
        del columns["split"]
        return told
    return told_parts(np.concatenate(pieces_told))


def _is_image(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        return kind.get_field_index("bytes") >= 0 and _is_image(kind.field("bytes").type)
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)
