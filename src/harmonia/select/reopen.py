"""From the folder of a finished selection back to its recipe, its pool and its picks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from harmonia.core.errors import InputError
from harmonia.core.run import Run
from harmonia.core.seeds import stable_hash
from harmonia.data.documents import Columns, Corpus
from harmonia.maths.rows import Matrix, Rows
from harmonia.select.context import Context
from harmonia.select.features.none import NoFeatures
from harmonia.select.ingest import encoder_of, load_index, open_features, texts_of
from harmonia.select.output import text_reader
from harmonia.select.pool import Pool, TextReader
from harmonia.select.recipes import BOOK


class Finished:
    """A finished selection, opened to be asked or continued.

    Attributes:
        run: its run folder.
        recipe: what was run.
        pool: every document it saw, its own and those of the selections it continues, in this order.
        rows: (k,) int64 rows of its picks, by rank.

    Raises:
        InputError: the folder is not that of a finished selection.
    """

    def __init__(self, folder: str | Path) -> None:
        self.run = Run.at(folder)
        if self.run.request["stage"] != "select" or not (self.run.result / "picks.parquet").exists():
            raise InputError(f"{folder} is not a selection")
        if not self.run.finished:
            raise InputError(f"{folder} is not finished; go on with --resume")
        self.recipe = recipe = BOOK.load(self.run.folder / "recipe.yaml")
        own = load_index(self.run, self._own_texts)
        if not isinstance(recipe.features, NoFeatures):
            own = replace(
                own, features=open_features(recipe.features, self.run), encoder=encoder_of(recipe.features, self.run)
            )
        continues = self.run.request.get("continues")
        self._earlier = Finished(continues["run"]) if continues else None
        self.pool: Pool = joined(self._earlier.pool, own) if self._earlier else own
        ids = pq.read_table(self.run.result / "picks.parquet", columns=["id"]).column("id").to_pylist()
        self.rows = self.rows_of(ids)

    def rows_of(self, ids: list[str]) -> np.ndarray:
        """Return the rows of documents by id.

        Raises:
            InputError: a document is not in the pool.
        """
        order = np.argsort(self.pool.keys, kind="stable")
        wanted = stable_hash(ids)
        places = np.minimum(np.searchsorted(self.pool.keys[order], wanted), len(order) - 1)
        rows = order[places]
        missing = np.flatnonzero(self.pool.keys[rows] != wanted)
        if len(missing):
            raise InputError(f"{self.run.folder}: no document {ids[missing[0]]!r} in this selection's pool")
        return rows.astype(np.int64)

    def context(self) -> Context:
        """Return the context it was run in."""
        return Context(
            seed=self.run.request["seed"], dtype=np.dtype(self.run.request["dtype"]).type, keep=self.run.keep
        )

    def corpus(self) -> Corpus:
        """Open its documents again.

        Raises:
            InputError: they were given in memory, are gone, or are no longer those that were read.
        """
        paths = self.run.request["paths"]
        if paths is None:
            raise InputError(f"{self.run.folder}: its documents were given in memory and cannot be read again")
        corpus = Corpus.open(paths, Columns.from_record(self.run.request["columns"]), on_bad=self.run.request["on_bad"])
        if change := corpus.difference(self.run.request["inputs"]):
            raise InputError(f"{self.run.folder}: its documents have changed since: {change}")
        return corpus

    def read_texts(self, rows: np.ndarray) -> list[str]:
        """Return the texts of some rows of the pool, read again from the documents."""
        own = text_reader(self.corpus())
        if self._earlier is None:
            return own(rows)
        return either_reader(self._earlier.read_texts, len(self._earlier.pool), own)(rows)

    def _own_texts(self) -> Iterator[tuple[slice, list[str]]]:
        yield from texts_of(self.corpus())


def joined(first: Pool, second: Pool) -> Pool:
    """Return two pools end to end.

    Raises:
        InputError: a document is in both, or one has quality columns or vectors that the other lacks.
    """
    both = np.intersect1d(first.keys, second.keys)
    if len(both):
        row = int(np.flatnonzero(second.keys == both[0])[0])
        raise InputError(
            f"document {second.name_of(row)!r} is in the earlier selection's pool already "
            f"({len(both)} such documents); give only new files"
        )
    if sorted(first.quality) != sorted(second.quality):
        raise InputError(f"quality columns differ: {sorted(first.quality)} before, {sorted(second.quality)} now")
    if (first.features is None) != (second.features is None) or (
        first.features is not None
        and second.features is not None
        and first.features.shape[1] != second.features.shape[1]
    ):
        raise InputError("the feature vectors of the new files have another dimension than those before")
    names = sorted({*first.source_names, *second.source_names})
    codes = [np.array([names.index(s) for s in pool.source_names], np.int32)[pool.sources] for pool in (first, second)]
    n = len(first)

    def texts() -> Iterator[tuple[slice, list[str]]]:
        yield from first.need_texts("the objective")()
        for rows, block in second.need_texts("the objective")():
            yield slice(rows.start + n, rows.stop + n), block

    features = None
    if first.features is not None and second.features is not None:
        features = Rows([*_shards(first.features), *_shards(second.features)])
    return replace(
        second,
        keys=np.concatenate([first.keys, second.keys]),
        sources=np.concatenate(codes),
        source_names=names,
        tokens=np.concatenate([first.tokens, second.tokens]),
        lengths=np.concatenate([first.lengths, second.lengths]),
        quality={q: np.concatenate([first.quality[q], second.quality[q]]) for q in first.quality},
        features=features,
        texts=texts,
        name_of=lambda row: first.name_of(row) if row < n else second.name_of(row - n),
    )


def either_reader(first: TextReader, n: int, second: TextReader) -> TextReader:
    """Return a reader of two pools end to end, the first of ``n`` documents."""

    def read(rows: np.ndarray) -> list[str]:
        rows = np.asarray(rows)
        texts = np.empty(len(rows), object)
        for here, reader, shift in ((rows < n, first, 0), (rows >= n, second, n)):
            if here.any():
                texts[here] = reader(rows[here] - shift)
        return [str(text) for text in texts]

    return read


def _shards(features: object) -> list[Matrix]:
    assert isinstance(features, Rows)
    return features.shards
