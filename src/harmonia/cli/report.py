"""``harmonia report``: the page of a run."""

from __future__ import annotations

from pathlib import Path

from harmonia.cli.common import Speech


def report(run: Path, *, out: Path | None = None, speech: Speech | None = None) -> None:
    """Write a run's self-contained HTML page; it needs no network.

    Parameters
    ----------
    run
        Folder of a finished run: a selection, a comparison or a diagnosis.
    out
        Where to write the page; RUN/report.html when left out.
    """
    speech = speech or Speech()
    speech.begin()
    from harmonia.report.pages import report as write

    target = write(run, out)
    speech.say({"report": str(target)}, lambda: str(target))
