"""``harmonia select --continue RUN``: add new files to a selection without redoing it.

The picks of RUN stay as they are and in their order; only documents of the new files can be added, and what they add is
judged against the picks that are there. Nothing that RUN embedded is embedded again, and the new documents are
embedded by the same encoder, with the document frequencies it learned then.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from harmonia.core.errors import HarmoniaError, InputError
from harmonia.core.executor import executor
from harmonia.core.files import read_json, write_json
from harmonia.core.measure import peak_memory_bytes, reset_peak_memory
from harmonia.core.run import Run
from harmonia.data.documents import Columns, Corpus
from harmonia.data.writer import write_parquet
from harmonia.select import output
from harmonia.select.budget import Budget
from harmonia.select.context import Context
from harmonia.select.engine import Inputs, check_unchanged, paths_of, with_features
from harmonia.select.ingest import index
from harmonia.select.pool import Pool, TextReader
from harmonia.select.reopen import Finished, either_reader, joined
from harmonia.select.result import SelectResult
from harmonia.select.settings import Settings
from harmonia.select.solver.base import Picks, Problem
from harmonia.select.subset import restrict, subpool


def continue_selection(
    earlier: str | Path,
    inputs: Inputs,
    *,
    budget: str | float,
    floors: Mapping[str, float] | None = None,
    ceilings: Mapping[str, float] | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    engine: str = "local",
    workers: int | None = 1,
) -> SelectResult:
    """Add documents of new files to the picks of an earlier selection.

    Args:
        earlier: run folder of the selection to build on; recipe, seed and columns are those of that run.
        inputs: the new files alone.
        budget: how much of the new files to add.
        floors: source -> smallest share of this budget; for sources left out that of the earlier run holds.
        ceilings: source -> largest share of this budget, likewise.
        out: run folder of the joint selection.
        resume: go on with an interrupted run in ``out``.
        engine: ``"local"`` or ``"ray"``.
        workers: worker processes.

    Returns:
        The joint selection: the earlier picks first, then the new ones.

    Raises:
        InputError: a new document is in the earlier pool already, or the solver cannot build on picks.
    """
    before = Finished(earlier)
    asked_before = before.run.request
    asked = Settings(
        budget=budget,
        seed=asked_before["seed"],
        columns=Columns.from_record(asked_before["columns"]),
        on_bad=asked_before["on_bad"],
        floors={**asked_before["floors"], **(floors or {})},
        ceilings={**asked_before["ceilings"], **(ceilings or {})},
        dtype=asked_before["dtype"],
        ids_only=asked_before["ids_only"],
    )
    corpus = Corpus.open(inputs, asked.columns, on_bad=asked.on_bad)
    folder = Path(out) if out is not None else Path(tempfile.mkdtemp(prefix="harmonia-select-"))
    if folder.resolve() == before.run.folder.resolve():
        raise InputError("--out must be another folder than the selection that is continued")
    request = {
        **asked.request(),
        "inputs": corpus.fingerprint(),
        "paths": paths_of(inputs),
        "continues": {"run": str(before.run.folder.resolve()), "picks": len(before.rows)},
    }
    check_unchanged(folder, corpus)
    with Run.start(folder, before.recipe, request, resume=resume) as run:
        if not run.finished:
            reset_peak_memory()
            new = index(corpus, run, 0)
            amount = asked.budget_for(new)
            # the encoder must be the one that made the earlier vectors
            write_json(run.state / "sample.json", read_json(before.run.state / "sample.json"))
            new = with_features(new, corpus, before.recipe.features, run, executor(engine, workers))
            pool = joined(before.pool, new)
            with run.phase("selecting"):
                picks = _solve(before, pool, amount, asked.context(run))
            with run.phase("writing"):
                added = replace(picks, rows=picks.rows - len(before.pool))
                tables = output.pick_tables(corpus, new, added, asked.ids_only, first_rank=len(before.rows))
                write_parquet(run.result / "picks.parquet", _tables(before, tables))
            output.summarise_run(
                run,
                corpus,
                pool,
                _joint(before, picks),
                before.recipe,
                asked,
                peak_memory_bytes(),
                reader=either_reader(_earlier_texts(before, run), len(before.pool), output.text_reader(corpus)),
            )
            run.finish()
    return SelectResult(folder)


def _earlier_texts(before: Finished, run: Run) -> TextReader:
    """Return a reader of earlier texts for the report, which is no reason for a selection to fail."""

    def read(rows: np.ndarray) -> list[str]:
        try:
            return before.read_texts(rows)
        except HarmoniaError as error:
            run.warn(f"the report shows no excerpts of earlier documents: {error}")
            return [""] * len(rows)

    return read


def _solve(before: Finished, pool: Pool, budget: Budget, context: Context) -> Picks:
    """Solve over the earlier picks and the new documents; the objective still knows the whole pool."""
    function = before.recipe.objective.fit(pool, context)
    rows = np.concatenate([np.sort(before.rows), np.arange(len(before.pool), len(pool))])
    problem = Problem(
        subpool(pool, rows), restrict(function, rows), budget, context, chosen=np.searchsorted(rows, before.rows)
    )
    picks = before.recipe.solver.solve(problem)
    return replace(picks, rows=rows[picks.rows])


def _joint(before: Finished, picks: Picks) -> Picks:
    table = pq.read_table(before.run.result / "picks.parquet", columns=["score", *picks.terms])
    return Picks(
        rows=np.concatenate([before.rows, picks.rows]),
        scores=np.concatenate([table.column("score").to_numpy(), picks.scores]),
        terms={name: np.concatenate([table.column(name).to_numpy(), new]) for name, new in picks.terms.items()},
        batches=np.concatenate([np.zeros(len(before.rows), np.int64), picks.batches]),
        facts=picks.facts,
    )


def _tables(before: Finished, added: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """Yield the earlier picks, then the added ones with ranks that go on; columns that one part lacks are null."""
    old = pq.read_table(before.run.result / "picks.parquet")
    parts = list(added)
    try:
        schema = pa.unify_schemas([old.schema, *(part.schema for part in parts)])
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise InputError(f"the columns of the new files do not fit those of the earlier picks: {error}") from error
    for part in [old, *parts]:
        columns = [
            part.column(f.name).cast(f.type) if f.name in part.column_names else pa.nulls(len(part), f.type)
            for f in schema
        ]
        yield pa.table(columns, schema=schema)
