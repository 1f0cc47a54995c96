"""Texts that a merge is measured or judged on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harmonia.core.errors import InputError
from harmonia.data.catalogue import ENTRIES, path_of
from harmonia.data.reading import open_corpus


def texts_of(place: Any, text_column: str | None = None) -> Iterator[str]:
    """Yield the documents of a file, folder, glob or data set of the catalogue, or of a list of texts.

    Raises:
        InputError: there is nothing to read, or no text in it.
    """
    if isinstance(place, list | tuple) and all(isinstance(text, str) for text in place):
        yield from place
        return
    if isinstance(place, str) and place in ENTRIES and not Path(place).exists():
        place = path_of(place)
    if isinstance(place, str | Path) and Path(place).is_file() and not Path(place).stat().st_size:
        raise InputError(f"{place} is empty: give a file with text")
    for batch in open_corpus(str(place), text_column=text_column).batches(only=("text",)):
        yield from batch.texts
