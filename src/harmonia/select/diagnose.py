"""``harmonia diagnose``: index and embed a pool, then measure how its sources disagree."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Unpack

from harmonia.core.errors import InputError
from harmonia.core.executor import executor
from harmonia.core.files import read_json, write_json
from harmonia.core.run import Run
from harmonia.data.reading import Reading, open_corpus
from harmonia.select.context import Context
from harmonia.select.diagnosis import measure
from harmonia.select.engine import Inputs, check_unchanged, with_features
from harmonia.select.ingest import index
from harmonia.select.output import text_reader
from harmonia.select.recipes import BOOK


def diagnose(
    inputs: Inputs,
    *,
    features: str = "hashing",
    seed: int = 0,
    out: str | Path | None = None,
    resume: bool = False,
    settings: Iterable[str] = (),
    engine: str = "local",
    workers: int | None = 1,
    **reading: Unpack[Reading],
) -> dict[str, Any]:
    """Measure how the sources of a pool disagree; arguments as in ``harmonia.select``.

    Returns:
        The figures, and under ``advice`` what was found with the recipes that address it.
    """
    settings = list(settings)
    for setting in settings:
        if not setting.startswith(("features.", "features=")):
            raise InputError(f"--set {setting}: a diagnosis has features alone, for instance features.dimension=512")
    recipe = BOOK.load("random").with_settings([f"features={features}", *settings])
    corpus = open_corpus(inputs, **reading)
    folder = Path(out) if out is not None else Path(tempfile.mkdtemp(prefix="harmonia-diagnose-"))
    recipe = recipe.model_copy(update={"name": "diagnose"})
    check_unchanged(folder, corpus)
    request = {
        "seed": seed,
        "inputs": corpus.fingerprint(),
        "work": "diagnose",
        "references": list(recipe.features.references),
    }
    with Run.start(folder, recipe, request, resume=resume) as run:
        if not run.finished:
            pool = index(corpus, run, recipe.features.sample_size)
            pool = with_features(pool, corpus, recipe.features, run, executor(engine, workers))
            with run.phase("measuring"):
                record = measure(pool, Context(seed=seed, keep=run.keep, warn=run.warn), text_reader(corpus))
            write_json(run.result / "diagnosis.json", record)
            run.finish()
    return read_json(folder / "result" / "diagnosis.json")
