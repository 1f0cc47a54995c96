"""From a table's columns to what each role needs, with the rows that do not fit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from harmonia.core.errors import InputError
from harmonia.data.columns import Columns, is_label, is_text, leaf_type
from harmonia.data.formats.delimited import parse_numbers

Wrong = dict[int, tuple[str, str]]
"""Row -> (field, reason), the first fault of each row."""


def column(table: pa.Table, name: str) -> pa.Array:
    """Return a column, or a field inside a nested column (``a.b``), as one array; all null when there is none."""
    if leaf_type(table.schema, name) is None:
        return pa.nulls(len(table))
    if name in table.schema.names:
        return _one(table[name])
    first, *rest = name.split(".")
    values = table[first]
    for step in rest:
        values = pc.struct_field(values, step)
    return _one(values)


def _one(values: pa.ChunkedArray) -> pa.Array:
    values = values.combine_chunks()
    return (
        values.chunk(0)
        if isinstance(values, pa.ChunkedArray) and values.num_chunks
        else (pa.array([], values.type) if isinstance(values, pa.ChunkedArray) else values)
    )


def check_types(file: str, schema: pa.Schema, columns: Columns, numbers_as_text: bool) -> None:
    """Check the types of the roles' columns in a file whose schema holds throughout.

    Raises:
        InputError: a column has a type that its role cannot use.
    """

    def number(kind: pa.DataType) -> bool:
        return (
            pa.types.is_integer(kind)
            or pa.types.is_floating(kind)
            or pa.types.is_boolean(kind)
            or pa.types.is_decimal(kind)
            or (numbers_as_text and is_text(kind))
        )

    def vector(kind: pa.DataType) -> bool:
        return is_list(kind) and (pa.types.is_integer(kind.value_type) or pa.types.is_floating(kind.value_type))

    wanted = {
        "text": (is_text, "text"),
        "id": (is_label, "text or integers"),
        "source": (is_label, "text or integers"),
        "quality": (number, "numbers"),
        "embedding": (vector, "lists of numbers"),
        "tokens": (number, "integers"),
    }
    for role, (fits, words) in wanted.items():
        for name in columns.names((role,)):
            kind = leaf_type(schema, name)
            if kind is not None and not fits(kind) and not pa.types.is_null(kind):
                raise InputError(
                    f"{file}: {role} column {name!r} holds {kind}, but should hold {words}; "
                    f"convert it or name another with --{role}-column"
                )


def texts(table: pa.Table, name: str, wrong: Wrong) -> pa.Array:
    """Return the texts as large_string; null, empty and undecodable ones are put into ``wrong``."""
    values = _as_text(column(table, name), name, wrong)
    blank = pc.or_(pc.equal(pc.binary_length(values), 0), pc.utf8_is_space(values))
    _mark(wrong, blank, name, "is empty")
    return values


def labels(table: pa.Table, name: str, wrong: Wrong, required: bool) -> pa.Array:
    """Return ids or sources as text; nulls and empty ones are wrong when ``required``, and null otherwise."""
    values = column(table, name)
    if required and values.type.equals(pa.null()):
        values = values.cast(pa.large_string())
    ignored: Wrong = {}
    out = _as_text(values, name, wrong if required else ignored)
    blank = pc.utf8_trim_whitespace(out)
    if required:
        _mark(wrong, pc.equal(blank, ""), name, "is empty")
    else:
        out = pc.if_else(pc.equal(blank, ""), pa.scalar(None, out.type), out)
    wrong.update({row: why for row, why in ignored.items() if why[1] != _MISSING and row not in wrong})
    return out


def numbers(table: pa.Table, name: str, wrong: Wrong) -> np.ndarray:
    """Return (n,) float64; missing, non-numeric and non-finite values are put into ``wrong``."""
    values = column(table, name)
    missing = values.is_null().to_numpy(zero_copy_only=False)
    _mark(wrong, missing, name, _MISSING)
    if is_text(values.type):
        out, fits = parse_numbers(pa.chunked_array([values.cast(pa.string())]))
        _mark(wrong, ~fits & ~missing, name, "should be a number, not text")
    else:
        out = values.cast(pa.float64()).to_numpy(zero_copy_only=False).astype(np.float64)
        fits = ~missing
    _mark(wrong, ~np.isfinite(out) & fits, name, "is not finite")
    return out


def counts(table: pa.Table, name: str, wrong: Wrong) -> np.ndarray:
    """Return (n,) int64, at least 1; all else is put into ``wrong``."""
    values = numbers(table, name, wrong)
    finite = np.isfinite(values)
    _mark(wrong, finite & (values < 1), name, "is below 1")
    _mark(wrong, finite & ((values != np.floor(values)) | (values > 2**53)), name, "is not an integer")
    return np.where(finite, values, 1).astype(np.int64)


def vectors(table: pa.Table, name: str, dimension: int | None, wrong: Wrong) -> np.ndarray:
    """Return (n, d) in the column's own precision; missing, short, long and non-finite ones are put into ``wrong``.

    Args:
        table: n rows.
        name: a column of lists.
        dimension: d, or None to take it from the first vector.
        wrong: receives the faults; such rows of the result hold zeros.
    """
    values = column(table, name)
    if pa.types.is_null(values.type):
        _mark(wrong, np.ones(len(table), bool), name, _MISSING)
        return np.zeros((len(table), dimension or 0), np.float32)
    kind = values.type.value_type
    values = values.cast(pa.large_list(kind))
    lengths = pc.list_value_length(values)
    missing = lengths.is_null().to_numpy(zero_copy_only=False)
    sizes = pc.fill_null(lengths, -1).to_numpy(zero_copy_only=False)
    if dimension is None:
        dimension = first_dimension(values) or 0
    _mark(wrong, missing, name, _MISSING)
    fits = sizes == dimension
    for size in np.unique(sizes[~fits & ~missing]):
        _mark(wrong, sizes == size, name, f"has {size} numbers, expected {dimension}")
    if dimension == 0:
        _mark(wrong, fits, name, "is an empty list")
    flat = values.filter(pa.array(fits)).flatten()
    if flat.null_count:
        holes = flat.is_null().to_numpy(zero_copy_only=False).reshape(-1, dimension).any(1)
        _mark(wrong, _spread(fits, holes), name, "holds a null")
        flat = pc.fill_null(flat, pa.scalar(0, kind))
    block = flat.to_numpy(zero_copy_only=False).reshape(int(fits.sum()), dimension)
    if block.dtype.kind == "f":
        _mark(wrong, _spread(fits, ~np.isfinite(block).all(1)), name, "is not finite (NaN or infinity)")
        if float(np.finfo(block.dtype).max) > _LARGEST:
            large = (np.abs(block) > _LARGEST).any(1)
            _mark(wrong, _spread(fits, large), name, f"holds a number beyond {_LARGEST:.0e}")
    if fits.all():
        return block
    out = np.zeros((len(table), dimension), block.dtype)
    out[fits] = block
    return out


def first_dimension(values: pa.Array) -> int | None:
    """Return the length of the first vector that is not null."""
    if pa.types.is_fixed_size_list(values.type):
        return int(values.type.list_size)
    lengths = pc.list_value_length(values).drop_null()
    return int(lengths[0].as_py()) if len(lengths) else None


_MISSING = "is missing or null"
_LARGEST = 1e15
"""Largest entry of a vector: sums of squares of larger ones leave the range of float32."""


def _as_text(values: pa.Array, name: str, wrong: Wrong) -> pa.Array:
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if not is_text(values.type):
        out = values.cast(pa.large_string())
    else:
        try:
            values.validate(full=True)  # Parquet and Arrow promise UTF-8 but do not check it
            out = values.cast(pa.large_string())
        except pa.ArrowInvalid:
            out = _decoded(values, name, wrong)
    _mark(wrong, out.is_null(), name, _MISSING)
    return out


def _decoded(values: pa.Array, name: str, wrong: Wrong) -> pa.Array:
    out: list[str | None] = []
    for row, raw in enumerate(values.cast(pa.large_binary()).to_pylist()):
        try:
            out.append(None if raw is None else raw.decode())
        except UnicodeDecodeError as error:
            wrong.setdefault(row, (name, f"is not valid UTF-8 (byte {error.start})"))
            out.append("")
    return pa.array(out, pa.large_string())


def _mark(wrong: Wrong, where: Any, name: str, reason: str) -> None:
    flags = where if isinstance(where, np.ndarray) else pc.fill_null(where, False).to_numpy(zero_copy_only=False)
    for row in np.flatnonzero(flags):
        wrong.setdefault(int(row), (name, reason))


def _spread(rows: np.ndarray, flags: np.ndarray) -> np.ndarray:
    out = np.zeros(len(rows), bool)
    out[rows] = flags
    return out


def is_list(kind: pa.DataType | None) -> bool:
    """Tell whether a type is a list of any layout."""
    if kind is None:
        return False
    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
