"""The engine of a selection: index, embed, fit the objective, solve, write. Every step is kept and resumable."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack

from harmonia.core.errors import InputError
from harmonia.core.executor import Executor, executor
from harmonia.core.measure import peak_memory_bytes, reset_peak_memory
from harmonia.core.run import Run
from harmonia.data.documents import Corpus
from harmonia.data.inputs import only_paths
from harmonia.data.reading import Reading, columns_of, open_corpus
from harmonia.select import output
from harmonia.select.budget import Budget
from harmonia.select.context import Context
from harmonia.select.features.base import Features
from harmonia.select.features.given import Given
from harmonia.select.features.none import NoFeatures
from harmonia.select.ingest import embed, encoder_of, index, keep_given
from harmonia.select.pool import Pool
from harmonia.select.recipe import SelectRecipe
from harmonia.select.recipes import BOOK
from harmonia.select.result import SelectResult
from harmonia.select.settings import Settings
from harmonia.select.solver.base import Picks, Problem
from harmonia.select.subset import Deferred

Inputs = Any
"""Paths, globs, URLs, folders, or an in-memory table; see harmonia.data.documents.Corpus."""


def select(
    inputs: Inputs,
    recipe: str | Path | SelectRecipe = "disf-unit",
    *,
    budget: str | float,
    seed: int = 0,
    out: str | Path | None = None,
    resume: bool = False,
    settings: Iterable[str] = (),
    floors: Mapping[str, float] | None = None,
    ceilings: Mapping[str, float] | None = None,
    dtype: str = "float32",
    ids_only: bool = False,
    keep_rejected: bool = False,
    engine: str = "local",
    workers: int | None = 1,
    **reading: Unpack[Reading],
) -> SelectResult:
    """Pick the documents worth training on.

    Args:
        inputs: files, folders, globs or fsspec URLs of Parquet, JSONL, CSV or text; or a table in memory.
        recipe: a recipe's name (``harmonia recipes select`` lists them), a YAML file, or a ``SelectRecipe``.
        budget: ``0.015``, ``"1.5%"``, ``1000`` (documents), ``"50Mtok"`` or ``"1.5%tok"`` (tokens).
        seed: fixes every random choice; the same seed and data give the identical file.
        out: run folder; a fresh temporary folder when left out.
        resume: go on with an interrupted run in ``out``.
        settings: changes to the recipe, ``"axis.field=value"``.
        floors: source -> least share of the budget.
        ceilings: source -> largest share of the budget.
        dtype: in which solvers compute, ``"float32"`` or ``"float64"``.
        ids_only: leave the original columns out of the picks.
        keep_rejected: also write what was left out, with the reason.
        engine: ``"local"`` or ``"ray"``; the result is the same.
        workers: worker processes that embed; None for one per core. More than one needs a main module that can be
            imported without side effects (``if __name__ == "__main__":``), as multiprocessing does.
        **reading: ``text_column``, ``id_column``, ``source_column``, ``quality_column`` (one or several),
            ``tokens_column``, each detected or made up when left out, ``embedding_column``, never guessed, and
            ``on_bad``, ``"stop"`` at a bad row or ``"skip"`` it; see ``harmonia.data.reading.Reading``.

    Returns:
        The result: ``.picks`` (polars), ``.summary``, ``.report()``.

    Raises:
        InputError: unusable data or settings; the message says what and where.
        RunError: the run was interrupted (disk full, input gone) and can be resumed.
    """
    record = BOOK.load(recipe).with_settings(settings)
    asked = Settings(
        budget=budget,
        seed=seed,
        columns=columns_of(reading),
        on_bad=reading.get("on_bad", "stop"),
        floors=floors,
        ceilings=ceilings,
        dtype=dtype,
        ids_only=ids_only,
        keep_rejected=keep_rejected,
    )
    work = executor(engine, workers)
    corpus = open_corpus(inputs, **reading)
    folder = Path(out) if out is not None else Path(tempfile.mkdtemp(prefix="harmonia-select-"))
    request = {**asked.request(), "inputs": corpus.fingerprint(), "paths": paths_of(inputs)}
    check_unchanged(folder, corpus)
    with Run.start(folder, record, request, resume=resume) as run:
        if not run.finished:
            reset_peak_memory()
            pool = index(corpus, run, record.features.sample_size)
            amount = asked.budget_for(pool)
            amount.bounds(pool.source_names)  # what cannot be met is refused before anything is embedded
            pool = with_features(pool, corpus, record.features, run, work)
            with run.phase("selecting"):
                function, picks = choose(record, pool, amount, asked.context(run))
            with run.phase("writing"):
                output.write(run, corpus, pool, picks, function.scores() if function.fitted else None, asked)
            output.summarise_run(run, corpus, pool, picks, record, asked, peak_memory_bytes())
            run.finish()
    return SelectResult(folder)


def check_unchanged(folder: Path, corpus: Corpus) -> None:
    """Say in words how the documents differ from those an earlier run in ``folder`` began with.

    Raises:
        InputError: they differ.
    """
    if (folder / "run.json").exists() and (change := corpus.difference(Run.at(folder).request["inputs"])):
        raise InputError(f"{folder} was started on other documents: {change}; choose another --out")


def paths_of(inputs: Inputs) -> list[str] | None:
    """Return where the documents lie, so that a later command finds them again; None for tables in memory."""
    paths = only_paths(inputs)
    return None if paths is None else [str(p) if "://" in str(p) else str(Path(p).absolute()) for p in paths]


def with_features(pool: Pool, corpus: Corpus, features: Features, run: Run, work: Executor) -> Pool:
    """Return the pool with the vectors that ``features`` makes."""
    with run.phase("features"):
        if isinstance(features, NoFeatures):
            return pool
        if isinstance(features, Given):
            return replace(pool, features=keep_given(corpus, features, run))
        return replace(pool, features=embed(corpus, features, run, work), encoder=encoder_of(features, run))


def choose(recipe: SelectRecipe, pool: Pool, budget: Budget, context: Context) -> tuple[Deferred, Picks]:
    """Fit the objective and solve: the whole of a method, on any pool, without files.

    The objective is fitted when the solver first asks for it: one that narrows the pool first spares it the rest.
    """
    function = Deferred(recipe.objective, pool, context)
    return function, recipe.solver.solve(Problem(pool, function, budget, context))
