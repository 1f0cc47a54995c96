"""The page of a run, whatever the run did: told by the result it holds."""

from __future__ import annotations

from collections.abc import Callable
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
        InputError: the folder is not that of a finished run, or ``out`` is a folder.
    """
    folder = Path(run)
    target = Path(out) if out is not None else folder / "report.html"
    if target.is_dir():
        raise InputError(f"--out {target} is a folder; name the page, for instance {target / 'report.html'}")
    write_text(target, page_of(folder))
    return target


def page_of(folder: Path) -> str:
    """Return the page of a run.

    Raises:
        InputError: the folder is not that of a finished run.
    """
    if not Run.at(folder).finished:
        raise InputError(f"{folder} is not finished; go on with --resume")
    for name, page in PAGES.items():
        if (folder / "result" / name).exists():
            return page(folder)
    raise InputError(f"{folder} holds no result that has a page")


def _selection(folder: Path) -> str:
    from harmonia.report.select import page

    return page(folder)


def _comparison(folder: Path) -> str:
    from harmonia.report.compare import page

    return page(read_json(folder / "result" / "comparison.json"))


def _diagnosis(folder: Path) -> str:
    from harmonia.report.diagnose import page

    return page(read_json(folder / "result" / "diagnosis.json"))


PAGES: dict[str, Callable[[Path], str]] = {
    "picks.parquet": _selection,
    "comparison.json": _comparison,
    "diagnosis.json": _diagnosis,
}
"""File that tells what a result is -> page of a run folder that holds it; a stage adds a line here."""
