"""Small sets of example texts that a recipe names by path, or holds itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator

from harmonia.core.errors import InputError


def _as_tuple(value: Any) -> Any:
    items = (value,) if isinstance(value, str | Path) else value
    return tuple(str(i) if isinstance(i, Path) else i for i in items) if isinstance(items, tuple | list) else items


Paths = Annotated[tuple[str, ...], BeforeValidator(_as_tuple)]
"""One path or glob, or several."""


def examples(paths: Sequence[str], texts: Sequence[str], what: str) -> list[str]:
    """Return the texts in files of documents (Parquet, JSONL, text, ...) and those given directly.

    Args:
        paths: paths or globs.
        texts: texts.
        what: field that they stand in, e.g. ``"dsir.target"``, for messages.

    Raises:
        InputError: nothing is given, a file cannot be read, or every text is empty.
    """
    from harmonia.data.documents import read_texts

    if not paths and not texts:
        field = what.rpartition(".")[2]
        raise InputError(f"{what} is empty; name a file of example documents with --set objective.{field}=PATH")
    found = [text for path in paths for text in read_texts(path)] + list(texts)
    if not any(text.strip() for text in found):
        where = ", ".join(paths) or "the given list"
        raise InputError(f"{what}: {where} holds no text that is not empty")
    return found
