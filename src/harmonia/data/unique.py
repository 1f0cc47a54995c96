"""Documents must have ids of their own: two with one id would share every random choice."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from harmonia.core.errors import InputError


def check_unique_ids(
    keys: np.ndarray, ids_of: Callable[[np.ndarray], list[str]], place_of: Callable[[int], str] = "document {}".format
) -> None:
    """Check that no two documents have one id.

    Equal hashes alone prove nothing: the ids behind them are compared.

    Args:
        keys: (n,) uint64, hash of each document's id.
        ids_of: sorted rows -> their ids; called only for rows whose hashes meet.
        place_of: row -> words for the message, for instance ``a.jsonl line 7``.

    Raises:
        InputError: an id occurs twice; the first repetition and both places are named.
    """
    order = np.argsort(keys, kind="stable")
    same = keys[order][1:] == keys[order][:-1]
    if not same.any():
        return
    rows = np.unique(np.concatenate([order[1:][same], order[:-1][same]]))
    first: dict[str, int] = {}
    twice: list[tuple[int, int, str]] = []
    for row, name in zip(rows.tolist(), ids_of(rows), strict=True):
        if name in first:
            twice.append((first[name], row, name))
        first.setdefault(name, row)
    if twice:
        earlier, later, name = twice[0]
        more = f" ({len(twice)} repetitions in all)" if len(twice) > 1 else ""
        raise InputError(
            f"id {name!r} occurs twice: {place_of(earlier)} and {place_of(later)}{more}; "
            "make ids unique, or name another column with --id-column"
        )
