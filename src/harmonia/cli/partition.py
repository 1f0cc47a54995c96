"""``harmonia partition``: who gets which examples."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from harmonia.cli.clients import Dealt
from harmonia.cli.common import Speech

if TYPE_CHECKING:
    from rich.console import Group


def partition(
    data: str,
    *,
    dealt: Annotated[Dealt | None, Parameter(name="*")] = None,
    seed: int = 0,
    plot: Path | None = None,
    speech: Annotated[Speech | None, Parameter(name="*")] = None,
) -> None:
    """Show who gets which examples, as `harmonia federate` deals them with the same seed; nothing is trained.

    Skewed shares of classes, as a table and as a picture:

        harmonia partition digits --clients 10 --partition dirichlet:0.1 --plot clients.html

    Parameters
    ----------
    data
        Labelled examples, as of `harmonia federate`.
    seed
        Of the deal.
    plot
        Also write the picture, clients by classes, as an HTML page.
    """
    speech = speech or Speech()
    speech.begin()
    from harmonia.federate.preview import partition as deal

    record: dict[str, Any] = deal(data, seed=seed, **(dealt or Dealt()).named())
    if plot is not None:
        from harmonia.core.files import write_text
        from harmonia.report.pages import page_file
        from harmonia.report.partition import page

        write_text(page_file(plot, "--plot"), page(record))
        record["plot"] = str(plot)

    def shown() -> Group:
        from rich.console import Group

        from harmonia.report.terminal import clients

        return Group(clients(record), *([f"plot: {record['plot']}"] if plot else []))

    speech.say(record, shown)
