"""The page of a run, whatever the run did: told by its stage and by the kind of result it holds."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from harmonia.core.errors import InputError
from harmonia.core.files import read_json, write_text
from harmonia.core.run import Run


def report(run: str | Path, out: str | Path | None = None) -> Path:
    """Write the self-contained HTML page of a finished run and return its path.

    Args:
        run: folder of a selection, a policy, a federated training, a comparison or a diagnosis.
        out: where to write; ``RUN/report.html`` when left out.

    Raises:
        InputError: the folder is not that of a finished run, or ``out`` is a folder.
    """
    folder = Path(run)
    target = page_file(out if out is not None else folder / "report.html", "--out")
    write_text(target, page_of(folder))
    return target


def page_file(path: str | Path, option: str) -> Path:
    """Return where a page is to be written.

    Raises:
        InputError: ``option`` names a folder.
    """
    target = Path(path)
    if target.is_dir():
        raise InputError(f"{option} {target} is a folder; name the page, for instance {target / 'report.html'}")
    return target


def page_of(folder: Path) -> str:
    """Return the page of a run.

    Raises:
        InputError: the folder is not that of a finished run.
    """
    run = Run.at(folder)
    if not run.finished:
        raise InputError(f"{folder} is not finished; go on with --resume")
    for kind, name in RESULTS.items():
        module = PAGES.get((run.request["stage"], kind))
        if module is not None and (run.result / name).exists():
            page: Callable[[Any], str] = import_module(module).page
            return page(folder if kind == "run" else read_json(run.result / name))
    raise InputError(f"{folder} holds no result that has a page")


RESULTS = {"comparison": "comparison.json", "diagnosis": "diagnosis.json", "run": "summary.json"}
"""Kind of result -> file that tells it, in the order of asking."""
PAGES = {
    ("select", "run"): "harmonia.report.select",
    ("select", "comparison"): "harmonia.report.compare",
    ("select", "diagnosis"): "harmonia.report.diagnose",
    ("decide", "run"): "harmonia.report.decide",
    ("decide", "comparison"): "harmonia.report.compare",
    ("decide", "diagnosis"): "harmonia.report.diagnose_decide",
    ("federate", "run"): "harmonia.report.federate",
    ("federate", "comparison"): "harmonia.report.compare",
    ("federate", "diagnosis"): "harmonia.report.diagnose_federate",
    ("merge", "run"): "harmonia.report.merge",
    ("merge", "comparison"): "harmonia.report.compare",
    ("merge", "diagnosis"): "harmonia.report.diagnose_merge",
    ("compress", "run"): "harmonia.report.compress",
    ("compress", "comparison"): "harmonia.report.compare",
}
"""(stage, kind of result) -> module whose ``page`` makes the page of a run folder, or of a comparison's or diagnosis's
record; a stage adds a line for each kind that it has."""
