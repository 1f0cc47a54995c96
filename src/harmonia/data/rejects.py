"""Rows that cannot be used: named one by one, and either an error or a record."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

import pyarrow as pa

from harmonia.core.errors import InputError

OnBad = Literal["stop", "skip"]

SCHEMA = pa.schema([("file", pa.string()), ("row", pa.int64()), ("field", pa.string()), ("reason", pa.string())])


class Bad(NamedTuple):
    """One unusable record: its place in the file (0-based), the field at fault and why."""

    place: int
    field: str
    reason: str


def bad_row(file: str, word: str, row: int, bad: Bad) -> InputError:
    """Return the error for a bad row.

    >>> bad_row("a.jsonl", "line", 7, Bad(6, "text", "is missing"))
    InputError('a.jsonl line 7: text is missing; mend it, or leave such rows out with --on-bad skip')
    """
    return InputError(
        f"{file} {word} {row}: {bad.field} {bad.reason}; mend it, or leave such rows out with --on-bad skip"
    )


def as_table(rows: Iterable[tuple[str, int, str, str]]) -> pa.Table:
    """Return rejects as a table: file, row (1-based, the line for JSON lines), field, reason."""
    columns = list(zip(*rows, strict=True)) or [(), (), (), ()]
    return pa.table([pa.array(v, field.type) for v, field in zip(columns, SCHEMA, strict=True)], schema=SCHEMA)
