"""JSON lines: blocks of lines are parsed at once, and line by line only where a block does not parse.

The fast parser tells neither which line is wrong nor mixes types within a column; the slow one does both.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.json as pj

from harmonia.core.errors import InputError
from harmonia.data.columns import ROLES, Columns, is_label, is_text, leaf_type, root_of
from harmonia.data.formats.base import Chunk, Reader
from harmonia.data.formats.compression import DamagedError, plain
from harmonia.data.rejects import Bad

_BLOCK = 1 << 24
_PARSE = 1 << 22
_PEEK = 1 << 20
_LONGEST = 1 << 30
_HUGE = 1 << 1000  # beyond it an integer is no float
_BOM = b"\xef\xbb\xbf"


class JsonLines(Reader):
    """One JSON object per line; empty lines are passed over.

    Columns of mixed types become text, with other values than text written as JSON. Strings stay strings, also where
    they look like dates.
    """

    word: ClassVar[str] = "line"
    typed: ClassVar[bool] = False

    def __init__(self, file: Any) -> None:
        super().__init__(file)
        self._dates = pa.schema([])  # columns that the parser would take for dates
        self._types: dict[str, pa.DataType] = {}

    @cached_property
    def schema(self) -> pa.Schema:
        for _, block in self._blocks(_PEEK):
            if isinstance(block, bytes):
                if block.lstrip()[:1] == b"[":
                    raise InputError(
                        f"{self.file.path}: is a JSON array, not JSON lines; write one object per line, "
                        "for instance with: jq -c '.[]' in.json > out.jsonl"
                    )
                table = self._parse(block, Columns(), 0)[0]
                if table.num_columns:
                    return table.schema
        return pa.schema([])

    def chunks(self, columns: Columns, names: list[str] | None, rows: int) -> Iterator[Chunk]:
        for first, block in self._blocks(_BLOCK):
            if isinstance(block, str):
                yield Chunk(pa.table({}), np.empty(0, np.int64), [Bad(first, "file", block)])
                return
            table, places, bad, blank = self._parse(block, columns, first, names)
            for start in range(0, max(len(table), 1), rows):
                part = places[start : start + rows]
                yield Chunk(table.slice(start, len(part)), part, bad, blank)
                bad, blank = [], []

    def take(self, columns: Columns, places: np.ndarray) -> Iterator[pa.Table]:
        for first, block in self._blocks(_BLOCK):
            if isinstance(block, str):
                return
            low, high = np.searchsorted(places, [first, first + _lines_in(block)])
            if low < high:
                lines = block.split(b"\n")
                yield self._parse(b"\n".join(lines[place - first] for place in places[low:high]), columns, 0)[0]
            if high == len(places):
                return

    def _blocks(self, size: int) -> Iterator[tuple[int, bytes | str]]:
        """Yield (number of the first line, whole lines); at damage, (line, what is wrong) as the last."""
        held: list[bytes] = []
        line, total, start = 0, 0, True
        with self.file.open() as stream:
            parts = plain(stream, self.file.packing)
            while True:
                try:
                    part = next(parts, None)
                except DamagedError as error:
                    whole = b"".join(held)
                    whole = whole[: whole.rfind(b"\n") + 1]
                    if whole:
                        yield line, whole
                    yield line + _lines_in(whole), str(error)
                    return
                if part is None:
                    break
                if start:
                    part, start = part.removeprefix(_BOM), False
                held.append(part)
                total += len(part)
                if total >= size and b"\n" in part:
                    whole = b"".join(held)
                    cut = whole.rfind(b"\n") + 1
                    yield line, whole[:cut]
                    line += _lines_in(whole[:cut])
                    held = [whole[cut:]]
                    total = len(held[0])
                elif total > _LONGEST:
                    raise InputError(
                        f"{self.file.path} line {line + 1}: longer than {_LONGEST >> 20} MiB; "
                        "is this one object per line?"
                    )
        if total:
            yield line, b"".join(held)

    def _parse(
        self,
        block: bytes,
        columns: Columns,
        first: int,
        names: list[str] | None = None,
    ) -> tuple[pa.Table, np.ndarray, list[Bad], list[int]]:
        """Return (table, places, bad rows, blank lines) of a block whose first line is ``first``."""
        lines = _lines_in(block)
        if block.isascii() or _is_utf8(block):
            table = self._fast(block, names)
            if table is not None and len(table) == lines and _suits(table.schema, columns, names):
                return table, np.arange(first, first + lines), [], []
        return self._slow(block, columns, first, names)

    def _fast(self, block: bytes, names: list[str] | None) -> pa.Table | None:
        """Return the block as the fast parser reads it, or None when it cannot."""
        known = {name: self._types[name] for name in names or () if not _has_null(self._types.get(name, pa.null()))}
        if names is not None and len(known) == len(names):
            table = _read(block, pa.schema(known.items()), "ignore")
            if table is not None:
                return table
        table = _read(block, self._dates, "infer") if len(self._dates) else _read(block, None, "infer")
        if table is None and len(self._dates):
            table = _read(block, None, "infer")
        if table is None:
            return None
        order = table.schema.names
        undated = [f.with_type(_undated(f.type)) for f in table.schema if _undated(f.type) != f.type]
        if undated:
            table = _read(block, pa.schema(undated), "infer")
            if table is None or any(_undated(f.type) != f.type for f in table.schema):
                return None
            table = table.select(order)
            self._dates = pa.schema([*(f for f in self._dates if f.name not in {u.name for u in undated}), *undated])
        self._types.update({field.name: field.type for field in table.schema})
        present = set(table.schema.names)
        return table.select([name for name in (self._types if names is None else names) if name in present])

    def _slow(
        self,
        block: bytes,
        columns: Columns,
        first: int,
        names: list[str] | None,
    ) -> tuple[pa.Table, np.ndarray, list[Bad], list[int]]:
        records: list[dict[str, Any]] = []
        lines: list[bytes] = []
        places: list[int] = []
        bad: list[Bad] = []
        blank: list[int] = []
        for place, line in enumerate(_split(block), first):
            if not line.strip():
                blank.append(place)
                continue
            record = _object(line)
            wrong = record if isinstance(record, tuple) else check_record(record, columns, names)
            if wrong is not None:
                bad.append(Bad(place, *wrong))
                continue
            records.append(record)  # type: ignore[arg-type]
            lines.append(line)
            places.append(place)
        if not lines:
            # no column at all: what refused rows hold says nothing about the types of the others
            return pa.table({}), np.empty(0, np.int64), bad, blank
        table = self._fast(b"\n".join(lines), names)
        if table is None or len(table) != len(lines) or not _suits(table.schema, columns, names):
            table = _from_records(records, columns, names)
        return table, np.array(places, np.int64), bad, blank


def check_record(record: dict[str, Any], columns: Columns, names: list[str] | None = None) -> tuple[str, str] | None:
    """Return (field, reason) when a role of a record has the wrong type, else None."""
    for role in ROLES:
        for name in columns.names((role,)):
            if names is not None and name not in names and name.split(".", maxsplit=1)[0] not in names:
                continue
            value, odd = _value(record, name)
            if odd:
                return odd
            if value is None and role == "source":
                continue
            if value is None:
                return name, "is missing or null"
            wrong = _WRONG[role](value)
            if wrong:
                return name, wrong
    return None


def _value(record: dict[str, Any], name: str) -> tuple[Any, tuple[str, str] | None]:
    """Return (value or None, fault), where a nested name that leads through a mere value is a fault."""
    if name in record:
        return record[name], None
    node: Any = record
    steps = name.split(".")
    for depth, step in enumerate(steps):
        if node is None:
            return None, None
        if not isinstance(node, dict):
            return None, (".".join(steps[:depth]), f"should be an object, not {_kind(node)}")
        node = node.get(step)
    return node, None


def _not_text(value: Any) -> str | None:
    if not isinstance(value, str):
        return f"should be text, not {_kind(value)}"
    try:
        value.encode()
    except UnicodeEncodeError:
        return "holds half a surrogate pair, which is not valid Unicode"
    return None


def _not_label(value: Any) -> str | None:
    if isinstance(value, str):
        return _not_text(value)
    return None if isinstance(value, bool | int) else f"should be text or an integer, not {_kind(value)}"


def _not_number(value: Any) -> str | None:
    if not isinstance(value, bool | int | float):
        return f"should be a number, not {_kind(value)}"
    return "is too large" if isinstance(value, int) and abs(value) >= _HUGE else None


def _not_vector(value: Any) -> str | None:
    if not isinstance(value, list):
        return f"should be a list of numbers, not {_kind(value)}"
    odd = [v for v in value if isinstance(v, bool) or not isinstance(v, int | float)]
    return f"should hold numbers only, not {_kind(odd[0])}" if odd else None


_WRONG = {
    "text": _not_text,
    "id": _not_label,
    "source": _not_label,
    "quality": _not_number,
    "embedding": _not_vector,
    "tokens": _not_number,
}


def _kind(value: Any) -> str:
    names = {str: "text", bool: "true or false", int: "a number", float: "a number", list: "a list", dict: "an object"}
    return names.get(type(value), "null")


def _object(line: bytes) -> dict[str, Any] | tuple[str, str]:
    try:
        record = json.loads(line.decode())
    except UnicodeDecodeError as error:
        return "line", f"is not valid UTF-8 (byte {error.start})"
    except json.JSONDecodeError as error:
        return "line", f"is not valid JSON ({error.msg} at character {error.pos + 1})"
    except (ValueError, RecursionError):
        return "line", "is not valid JSON (nested or numbers too long)"
    return record if isinstance(record, dict) else ("line", f"should be a JSON object, not {_kind(record)}")


def _suits(schema: pa.Schema, columns: Columns, names: list[str] | None) -> bool:
    """Tell whether the inferred types are those the roles need, so that no row has to be looked at."""
    fits = {
        "text": is_text,
        "id": is_label,
        "source": is_label,
        "quality": _is_number,
        "embedding": _is_vector,
        "tokens": _is_number,
    }
    for role in ROLES:
        for name in columns.names((role,)):
            if names is not None and root_of(name, schema) not in names:
                continue
            kind = leaf_type(schema, name)
            if kind is None or not (fits[role](kind) or (role == "source" and pa.types.is_null(kind))):
                return False
    return True


def _is_number(kind: pa.DataType) -> bool:
    return pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)


def _is_vector(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) and (pa.types.is_integer(kind.value_type) or pa.types.is_floating(kind.value_type))


def _read(block: bytes, schema: pa.Schema | None, unexpected: str) -> pa.Table | None:
    try:
        return pj.read_json(
            pa.BufferReader(block),
            pj.ReadOptions(block_size=max(_PARSE, _longest(block) + 2)),
            pj.ParseOptions(explicit_schema=schema, unexpected_field_behavior=unexpected),
        )
    except (pa.ArrowException, UnicodeDecodeError):
        return None


def _longest(block: bytes) -> int:
    """Return a bound on the length of a line: the parser refuses lines longer than its block."""
    if len(block) <= _PARSE:
        return len(block)
    longest, start = 0, 0
    while start < len(block):
        # A window of half a block that holds a line end cannot be inside one line of a whole block.
        end = block.rfind(b"\n", start, start + _PARSE // 2)
        if end < 0:
            end = block.find(b"\n", start)
            end = len(block) if end < 0 else end
            longest = max(longest, end - start)
        start = end + 1
    return longest


def _undated(kind: pa.DataType) -> pa.DataType:
    """Return the type with text where the parser saw dates."""
    if pa.types.is_temporal(kind):
        return pa.string()
    if pa.types.is_list(kind):
        return pa.list_(_undated(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([f.with_type(_undated(f.type)) for f in kind])
    return kind


def _has_null(kind: pa.DataType) -> bool:
    if pa.types.is_list(kind):
        return _has_null(kind.value_type)
    return pa.types.is_null(kind) or (pa.types.is_struct(kind) and any(_has_null(f.type) for f in kind))


def _from_records(records: list[dict[str, Any]], columns: Columns, names: list[str] | None) -> pa.Table:
    found = dict.fromkeys(name for record in records for name in record)
    numeric = set(columns.names(("quality", "tokens")))
    return pa.table(
        {
            name: _array([record.get(name) for record in records], name, numeric)
            for name in (found if names is None else [n for n in names if n in found])
        }
    )


def _array(values: list[Any], path: str, numeric: set[str]) -> pa.Array:
    """Return values of any types as one array: records stay records, other mixtures become text."""
    present = [value for value in values if value is not None]
    if path in numeric:
        return pa.array([None if value is None else float(value) for value in values], pa.float64())
    if present and all(isinstance(value, dict) for value in present):
        names = list(dict.fromkeys(name for value in present for name in value))
        inner = [_array([(value or {}).get(name) for value in values], f"{path}.{name}", numeric) for name in names]
        return pa.StructArray.from_arrays(inner, names, mask=pa.array([value is None for value in values]))
    try:
        return pa.array(values)
    except (pa.ArrowException, OverflowError, UnicodeEncodeError):
        return pa.array([_as_text(value) for value in values], pa.string())


def _as_text(value: Any) -> str | None:
    if value is None or (isinstance(value, str) and _not_text(value) is None):
        return value
    return json.dumps(value)


def _split(block: bytes) -> list[bytes]:
    return block.removesuffix(b"\n").split(b"\n")


def _lines_in(block: bytes) -> int:
    return block.count(b"\n") + (not block.endswith(b"\n") and bool(block))


def _is_utf8(block: bytes) -> bool:
    try:
        block.decode()
    except UnicodeDecodeError:
        return False
    return True
