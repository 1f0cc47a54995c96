"""Texts with labels, as ids of hashed n-grams of words and characters (Joulin et al. 2017, arXiv 1607.01759)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from harmonia.core.errors import InputError
from harmonia.data.columns import TEXT_NAMES
from harmonia.data.labelled.examples import Labelled
from harmonia.data.labelled.held_out import labelled
from harmonia.data.labelled.read_table import gathered
from harmonia.data.labelled.table import Piece, Table
from harmonia.maths.sketch import Counts, ngram_counts, pieces

BUCKETS = 1 << 16
LENGTH = 256


def ngram_ids(
    texts: Sequence[str], length: int = LENGTH, buckets: int = BUCKETS, words: int = 2, characters: int = 4
) -> np.ndarray:
    """Return the ids of the different n-grams of each text: (n, T) int64 from 1 to ``buckets``, 0 for none.

    N-grams of words come first and those of characters fill what is left. Where a text has more than fit, those with
    the smallest hashes stay, the same ones in every text. Buckets are a power of two, so that a smaller table takes
    the remainder of an id and loses no evenness.

    Args:
        texts: n texts.
        length: T.
        buckets: how many ids there are.
        words: longest n-gram of words; 0 for none.
        characters: length of n-grams of bytes, at most 8; 0 for none.

    Raises:
        InputError: buckets are no power of two, or there is no room.
    """
    if buckets < 2 or buckets & (buckets - 1):
        raise InputError(f"buckets={buckets}: give a power of two, such as {BUCKETS}")
    if length < 1:
        raise InputError(f"length={length}: give room for one n-gram at least")
    ids = np.zeros((len(texts), length), np.int64)
    for piece in pieces(texts):
        rows = ids[piece]
        filled = np.zeros(len(rows), np.int64)
        for counts in _kinds(texts[piece], words, characters):
            first = np.searchsorted(counts.text, np.arange(len(rows)))
            place = filled[counts.text] + np.arange(len(counts.text)) - first[counts.text]
            fits = place < length
            rows[counts.text[fits], place[fits]] = 1 + (counts.ngram[fits] & np.uint64(buckets - 1)).astype(np.int64)
            filled += np.bincount(counts.text, minlength=len(rows))
    return ids


def _kinds(texts: Sequence[str], words: int, characters: int) -> list[Counts]:
    kinds = [ngram_counts(texts, words, 0)] if words else []
    return [*kinds, ngram_counts(texts, 0, characters)] if characters else kinds


def read_texts(
    place: str,
    *,
    label: str | None = None,
    text: str | None = None,
    test_share: float = 0.2,
    seed: int = 0,
    length: int = LENGTH,
    buckets: int = BUCKETS,
    name: str | None = None,
    licence: str = "as its owner says",
) -> Labelled:
    """Return texts from JSON lines, Parquet, Arrow, CSV or TSV.

    Args:
        place: a file, folder, glob or URL.
        label: the label's column; None for one of the usual names.
        text: the column of texts; None for one of the usual names.
        test_share: share held out, unless the files say what is the test set.
        seed: of what is held out.
        length: n-grams kept of a text.
        buckets: how many ids there are, a power of two.
        name: of the data set; None for the place.
        licence: of the data set.

    Raises:
        InputError: no text or label column, a row without one, or a text without a word.
    """
    table = Table(place, label)
    column = text or table.text()
    if column is None:
        raise InputError(
            f"{place}: no text column recognised (it has: {', '.join(table.schema.names)}); call it {TEXT_NAMES[0]!r}"
        )

    def read(piece: Piece) -> tuple[np.ndarray, list[bytes]]:
        found = piece.words(column).tolist()
        ids = ngram_ids(found, length, buckets)
        if not ids[:, 0].all():
            row = int(np.argmin(ids[:, 0]))
            raise InputError(f"{piece.where(row)}: {column!r} holds no word; fill it or leave the row out")
        return ids, [each.encode("utf-8", "surrogatepass") for each in found]

    return labelled(gathered(table, [column], read), name or place, "text", test_share, seed, licence)
