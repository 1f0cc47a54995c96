"""How documents are read: the keyword arguments that every verb over documents shares."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypedDict, Unpack

from harmonia.core.errors import InputError
from harmonia.data.columns import Columns
from harmonia.data.corpus import Corpus
from harmonia.data.rejects import OnBad


class Reading(TypedDict, total=False):
    """Names of columns, and what to do at a bad row; what is left out is detected."""

    text_column: str | None
    """Column of the text."""
    id_column: str | None
    """Column of ids; ids are made from file and row where there is none."""
    source_column: str | None
    """Column of the source; else the folder or file a document lies in."""
    quality_column: str | Sequence[str] | None
    """One or several columns of scores."""
    embedding_column: str | None
    """Column of vectors, for ``features=given``."""
    tokens_column: str | None
    """Column of token counts; estimated from bytes where there is none."""
    on_bad: OnBad
    """``"stop"`` at a bad row, or ``"skip"`` it into ``rejects.parquet``."""


def columns_of(reading: Reading) -> Columns:
    """Return the columns that a reading names."""
    quality = reading.get("quality_column") or ()
    return Columns(
        text=reading.get("text_column"),
        id=reading.get("id_column"),
        source=reading.get("source_column"),
        quality=(quality,) if isinstance(quality, str) else tuple(quality),
        embedding=reading.get("embedding_column"),
        tokens=reading.get("tokens_column"),
    )


def open_corpus(inputs: Any, **reading: Unpack[Reading]) -> Corpus:
    """Open documents as ``Corpus.open`` does, with columns named as on the command line.

    Raises:
        InputError: there is nothing to read, files do not fit together, or ``on_bad`` is neither stop nor skip.
    """
    on_bad = reading.get("on_bad", "stop")
    if on_bad not in ("stop", "skip"):
        raise InputError(f"on-bad {on_bad!r}: choose stop or skip")
    return Corpus.open(inputs, columns_of(reading), on_bad=on_bad)
