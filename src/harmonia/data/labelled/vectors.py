"""Vectors with labels: an npz archive with x and y, or a Parquet table of numbers with a label column."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np
import pyarrow.compute as pc

from harmonia.core.errors import InputError, suggest
from harmonia.data.labelled.examples import Labelled
from harmonia.data.labelled.held_out import Gathered, labelled
from harmonia.data.labelled.read_table import gathered
from harmonia.data.labelled.table import Piece, Table


def read_vectors(place: str, *, label: str | None = None, test_share: float = 0.2, seed: int = 0) -> Labelled:
    """Return vectors from an npz archive or a table.

    An archive holds ``x`` (n, d), ``y`` (n,) and columns of words (n,) under any other name. In a table every numeric
    column besides the label is a feature, in the order of the first file, and columns of text are columns.

    Args:
        place: an npz file; or a file, folder, glob or URL of Parquet, Arrow or JSON lines.
        label: the label's column, or its array in an archive; None for the usual.
        test_share: share held out, unless the files say what is the test set.
        seed: of what is held out.

    Raises:
        InputError: no label, no numbers, or a number that is missing or not finite.
    """
    if Path(place).suffix == ".npz":
        return labelled(_archive(Path(place), label or "y"), place, "vector", test_share, seed)
    table = Table(place, label)
    names = table.numbers()
    if not names:
        raise InputError(
            f"{place}: no column of numbers, of texts or of images besides the label {table.label!r} "
            f"(it has: {', '.join(table.schema.names)}); a column of texts is called text, content or sentence"
        )

    def read(piece: Piece) -> tuple[np.ndarray, list[bytes]]:
        rows = np.empty((len(piece.table), len(names)), np.float32)
        for number, name in enumerate(names):
            # nulls become NaN and are refused with it; a value too large for float32 becomes infinite and is as well
            with np.errstate(over="ignore"):
                rows[:, number] = pc.cast(piece.table[name], "float64").to_numpy().astype(np.float32)
        if not np.isfinite(rows).all():
            row, number = np.argwhere(~np.isfinite(rows))[0]
            raise InputError(
                f"{piece.where(row)}: {names[number]!r} is missing or not a finite number; fill it or leave the row out"
            )
        return rows, [row.tobytes() for row in rows]

    return labelled(gathered(table, names, read), place, "vector", test_share, seed)


def _archive(path: Path, label: str) -> Gathered:
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, KeyError) as error:
        if "allow_pickle" in str(error):
            raise InputError(
                f"{path}: holds Python objects (pickle), which are not read because they could run code; "
                "save words as arrays of str and numbers as numbers"
            ) from error
        raise InputError(f"{path}: not a readable npz file ({str(error).splitlines()[0]}); save it again") from error
    for name in ("x", label):
        if name not in arrays:
            raise InputError(f"{path}: no array {name!r}{suggest(name, arrays)}; save with numpy.savez(file, x=, y=)")
    x, y = arrays.pop("x"), arrays.pop(label)
    if x.ndim != 2 or x.dtype.kind not in "fiub":
        raise InputError(f"{path}: x is {x.dtype} {x.shape}; give numbers (n, d)")
    if y.dtype.kind not in "iubUS":
        raise InputError(f"{path}: {label} is {y.dtype}; a label is text or an integer")
    for name, array in {label: y, **arrays}.items():
        if array.shape != (len(x),):
            raise InputError(f"{path}: {name} is {array.shape}, x has {len(x)} rows; give one value for each")
    if not len(x):
        raise InputError(f"{path}: x has no row")
    with np.errstate(over="ignore"):
        rows = np.ascontiguousarray(x, np.float32)
    if not np.isfinite(rows).all():
        row, place = np.argwhere(~np.isfinite(rows))[0]
        raise InputError(f"{path} row {row + 1}: x[{row}, {place}] is not a finite number; mend it or leave it out")
    columns = {name: array.astype(str) for name, array in arrays.items()}
    return Gathered(str(path), rows, [row.tobytes() for row in rows], y.astype(str), columns)
