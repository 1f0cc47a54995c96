"""``harmonia diagnose``: how the sources of a pool disagree."""

from __future__ import annotations

from harmonia.cli.common import Documents, Work
from harmonia.core.errors import InputError


def diagnose(
    *pool: str,
    features: str = "hashing",
    documents: Documents | None = None,
    work: Work | None = None,
) -> None:
    """Measure how the sources of a pool disagree, before any compute is spent on training.

    Sizes, duplicates within and between sources, effective rank, overlap, collapse; and the recipes that address what
    was found, with the figures that made it say so.

    Parameters
    ----------
    pool
        Files, folders, globs or URLs of documents; or a dataset of `harmonia data list`.
    features
        How documents become vectors: hashing, static, sentence-transformers, given, ...; its fields by
        --set features.field=value.
    """
    documents, work = documents or Documents(), work or Work()
    work.begin()
    from harmonia.cli.pool import inputs_of
    from harmonia.report.pages import report as write
    from harmonia.report.terminal import diagnosis
    from harmonia.select.diagnose import diagnose as run

    if not pool:
        raise InputError("name the documents: harmonia diagnose FOLDER")
    folder = work.folder("diagnose")
    record = run(
        inputs_of(pool),
        features=features,
        seed=work.seed,
        out=folder,
        resume=work.resume,
        settings=work.set or (),
        engine=work.engine,
        workers=work.workers,
        **documents.reading(),
    )
    if work.report:
        write(folder)
    work.say({"run": str(folder), **record}, lambda: diagnosis(record))
