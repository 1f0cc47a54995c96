"""Documents in, documents out: the names that the rest of harmonia uses."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from harmonia.core.errors import InputError
from harmonia.data.batch import Batch
from harmonia.data.columns import Columns
from harmonia.data.corpus import Corpus
from harmonia.data.writer import write_parquet

__all__ = ["Batch", "Columns", "Corpus", "read_texts", "write_parquet"]


def read_texts(given: Any, text: str | None = None) -> list[str]:
    """Return the texts of a small set, for instance of target examples.

    Args:
        given: a list of texts, taken as they are; or anything that ``Corpus.open`` reads (a path, a glob,
            a list of ``Path``, a table).
        text: the text column, when ``given`` has columns and it is not recognised.

    Raises:
        InputError: a text is empty or not a string, or the input cannot be read.

    >>> read_texts(["one", "two"])
    ['one', 'two']
    """
    if isinstance(given, Iterable) and not isinstance(given, str | Path):
        items = list(given) if isinstance(given, list | tuple) else None
        if items and all(isinstance(item, str) for item in items):
            for row, item in enumerate(items):
                if not item.strip():
                    raise InputError(f"text {row} of the list is empty")
            return items
    return [t for batch in Corpus.open(given, Columns(text=text)).batches(only=("text",)) for t in batch.texts]
