"""Orange's tab-separated tables: three header lines (names, types, flags), then rows."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

_LONGEST_FIELD = 1 << 27


def rows(raw: bytes) -> Iterator[dict[str, str]]:
    r"""Yield the rows of a table as name -> text.

    >>> list(rows(b"Category\tText\nd\tstring\nclass\t\n\nnews\ta story\n"))
    [{'Category': 'news', 'Text': 'a story'}]
    """
    before = csv.field_size_limit(_LONGEST_FIELD)
    try:
        lines = csv.reader(io.StringIO(raw.decode("utf-8-sig"), newline=""), delimiter="\t")
        names = next(lines)
        for _ in range(2):
            next(lines)
        for line in lines:
            if line:
                yield dict(zip(names, line, strict=True))
    finally:
        csv.field_size_limit(before)
