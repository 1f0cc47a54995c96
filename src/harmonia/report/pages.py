"""The page of a run, whatever the run did: told by the result it holds."""

from __future__ import annotations

from pathlib import Path

from harmonia.core.errors import InputError
from harmonia.core.files import read_json, write_text
from harmonia.core.run import Run


def report(run: str | Path, out: str | Path | None = None) -> Path:
    """Write the self-contained HTML page of a finished run and return its path.

    Args:
        run: folder of a selection, a comparison or a diagnosis.
        out: where to write; ``RUN/report.html`` when left out.

    Raises:
        InputError: the folder is not that of a finished run.
    """
    folder = Path(run)
    target = Path(out) if out is not None else folder / "report.html"
    write_text(target, page_of(folder))
    return target


def page_of(folder: Path) -> str:
    """Return the page of a run."""
    if not Run.at(folder).finished:
        raise InputError(f"{folder} is not finished; go on with --resume")
    result = folder / "result"
    if (result / "picks.parquet").exists():
        from harmonia.report import select

        return select.page(folder)
    if (result / "comparison.json").exists():
        from harmonia.report import compare

        return compare.page(read_json(result / "comparison.json"))
    if (result / "diagnosis.json").exists():
        from harmonia.report import diagnose

        return diagnose.page(read_json(result / "diagnosis.json"))
    raise InputError(f"{folder} holds no result that has a page")
