"""From a table to examples: inputs by a function of the modality; labels, columns and parts the same for all."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from harmonia.core.errors import InputError
from harmonia.data.labelled.held_out import Gathered
from harmonia.data.labelled.table import Piece, Table, parts_of

LONGEST = 200
"""Characters of the longest word in a column; what is longer is text, which tells examples apart and groups none."""

Read = Callable[[Piece], tuple[np.ndarray, list[bytes]]]
"""Rows of a file to their inputs (m, ...) and what identifies each."""


def gathered(table: Table, used: Iterable[str], read: Read) -> Gathered:
    """Read all rows of a table.

    Args:
        table: the files.
        used: columns that the inputs are made of.
        read: makes inputs of rows.

    Raises:
        InputError: there is no row, a label is missing, or an input cannot be read.
    """
    used = list(used)
    others = table.others(used)
    inputs, content, labels, told = [], [], [], []
    columns: dict[str, list[np.ndarray]] = {name: [] for name in others}
    for piece in table.pieces([*used, table.label, *others]):
        here, keys = read(piece)
        inputs.append(here)
        content += keys
        labels.append(piece.words(table.label))
        told.append(piece.parts())
        for name in list(columns):
            words = piece.words(name, missing="")
            if words.dtype.itemsize > LONGEST * words.dtype.alignment:
                del columns[name]
            else:
                columns[name].append(words)
    if not inputs:
        raise InputError(f"{table.place}: no row to read")
    whole = {name: np.concatenate(values) for name, values in columns.items()}
    parts = parts_of(told, whole)
    return Gathered(table.place, np.concatenate(inputs), content, np.concatenate(labels), whole, parts)
