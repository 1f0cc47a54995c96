"""Inputs by the name of a known dataset, or as they are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def inputs_of(pool: Sequence[str]) -> list[str]:
    """Replace names of datasets that were fetched with ``harmonia data get`` by their folders; leave paths alone."""
    from harmonia.data.catalogue import is_known, path_of

    return [str(path_of(name)) if is_known(name) and not Path(name).exists() else name for name in pool]
