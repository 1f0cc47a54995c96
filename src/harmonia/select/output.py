"""The result folder of a selection: picks, what was left, what was rejected, and the summary."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from harmonia.core.citation import entries
from harmonia.core.files import write_json
from harmonia.core.run import Run
from harmonia.data.documents import Corpus
from harmonia.data.writer import write_parquet
from harmonia.select.pool import Pool, TextReader
from harmonia.select.references import REFERENCES
from harmonia.select.settings import Settings
from harmonia.select.solver.base import Picks
from harmonia.select.summary import summarise

if TYPE_CHECKING:
    from harmonia.select.recipe import SelectRecipe

_CHUNK_BYTES = 1 << 28
"""Texts held at a time while the picks are written."""


def write(run: Run, corpus: Corpus, pool: Pool, picks: Picks, scores: np.ndarray | None, asked: Settings) -> None:
    """Write ``picks.parquet`` and, when asked for, ``rejected.parquet`` and ``rejects.parquet``.

    ``scores`` are the documents' own scores where the objective is modular.
    """
    write_parquet(run.result / "picks.parquet", pick_tables(corpus, pool, picks, asked.ids_only))
    if asked.keep_rejected:
        write_parquet(run.result / "rejected.parquet", _left_tables(pool, picks, scores))
    if asked.on_bad == "skip":
        corpus.count()  # a resumed run may not have read every file itself
        write_parquet(run.result / "rejects.parquet", iter([corpus.rejects()]))


def pick_tables(corpus: Corpus, pool: Pool, picks: Picks, ids_only: bool, first_rank: int = 0) -> Iterator[pa.Table]:
    """Yield the picks in order, in pieces of bounded size; ranks count from ``first_rank``."""
    names = np.array(pool.source_names, object)
    for part in _chunks(pool.lengths[picks.rows], ids_only):
        rows = picks.rows[part]
        table = pa.table(
            {
                "id": pa.array([pool.name_of(int(r)) for r in rows], pa.string()),
                "rank": pa.array(np.arange(len(rows)) + part.start + first_rank, pa.int64()),
                "score": pa.array(picks.scores[part], pa.float64()),
                **{name: pa.array(values[part], pa.float64()) for name, values in picks.terms.items()},
                "source": pa.array(names[pool.sources[rows]].tolist(), pa.string()),
            }
        )
        yield table if ids_only else _with_originals(table, corpus, rows)


def _chunks(lengths: np.ndarray, ids_only: bool) -> Iterator[slice]:
    """Cut the picks so that one piece holds a bounded amount of text; there is always one piece, if an empty one."""
    limit = _CHUNK_BYTES if not ids_only else 1 << 62
    start, held = 0, 0
    for i, length in enumerate(lengths):
        if held and held + int(length) > limit:
            yield slice(start, i)
            start, held = i, 0
        held += int(length)
    yield slice(start, len(lengths))


def _with_originals(table: pa.Table, corpus: Corpus, rows: np.ndarray) -> pa.Table:
    order = np.argsort(rows, kind="stable")
    originals = corpus.take(rows[order]).take(pa.array(np.argsort(order, kind="stable")))
    known = set(table.column_names)
    same = {corpus.columns.id, corpus.columns.source} - {None}
    for name in originals.column_names:
        if name in known and name in same:
            continue  # the id and the source stand there already, under the same name
        table = table.append_column(f"original_{name}" if name in known else name, originals.column(name))
    return table


def _left_tables(pool: Pool, picks: Picks, scores: np.ndarray | None) -> Iterator[pa.Table]:
    names = np.array(pool.source_names, object)
    taken = np.zeros(len(pool), bool)
    taken[picks.rows] = True
    for start in range(0, len(pool), 1 << 16):
        rows = np.flatnonzero(~taken[start : start + (1 << 16)]) + start
        score = scores[rows] if scores is not None else np.full(len(rows), np.nan)
        excluded = np.isneginf(score)
        reason = np.where(excluded, "excluded by the objective", "not among the best within the budget")
        yield pa.table(
            {
                "id": pa.array([pool.name_of(int(r)) for r in rows], pa.string()),
                "source": pa.array(names[pool.sources[rows]].tolist(), pa.string()),
                "score": pa.array(
                    np.where(excluded | np.isnan(score), 0.0, score), pa.float64(), mask=excluded | np.isnan(score)
                ),
                "reason": pa.array(reason.tolist(), pa.string()),
            }
        )


def text_reader(corpus: Corpus) -> TextReader:
    """Return a function that reads the texts of some rows, in the order asked for."""

    def read(rows: np.ndarray) -> list[str]:
        once, place = np.unique(np.asarray(rows, np.int64), return_inverse=True)
        texts = [text for part in corpus.take_batches(once) for text in corpus.texts_in(part)]
        return [texts[i] for i in place]

    return read


def summarise_run(
    run: Run,
    corpus: Corpus,
    pool: Pool,
    picks: Picks,
    recipe: SelectRecipe,
    asked: Settings,
    peak: int,
    reader: TextReader | None = None,
) -> None:
    """Write ``summary.json`` and ``sample.parquet``, which the report is drawn from."""
    context = asked.context(run)
    with run.phase("summary"):
        summary, sample = summarise(pool, picks, reader or text_reader(corpus), context)
        write_parquet(run.result / "sample.parquet", iter([sample]))
    rejects: Counter[str] = Counter(corpus.rejects().column("reason").to_pylist())
    summary |= {
        "recipe": {"name": recipe.name, "yaml": recipe.to_yaml()},
        "seed": asked.seed,
        "budget": str(asked.budget),
        "inputs": [file.name for file in corpus.files],
        "rejects": dict(rejects),
        "warnings": run.warnings,
        "seconds": {name: round(value, 3) for name, value in run.seconds.items()},
        "peak_memory_bytes": peak,
        "cite": entries(recipe.references(), REFERENCES),
    }
    write_json(run.result / "summary.json", summary)
