"""Inputs by the name of a known dataset, or as they are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def inputs_of(pool: Sequence[str]) -> list[str]:
    """Replace names of datasets of the catalogue by their files, fetched when need be; leave paths alone."""
    from harmonia.data.catalogue import ENTRIES, path_of

    return [str(path_of(name)) if name in ENTRIES and not Path(name).exists() else name for name in pool]
