"""``harmonia compare``: several recipes on the same data, seeds and budget; one command per stage."""

from __future__ import annotations

from cyclopts import App

from harmonia.cli.compare_compress import compress
from harmonia.cli.compare_decide import decide
from harmonia.cli.compare_federate import federate
from harmonia.cli.compare_merge import merge
from harmonia.cli.compare_select import select

app = App(name="compare", help="Run several recipes on the same data, seeds and budget, and judge what comes out.")
app.command(compress)
app.command(decide)
app.command(federate)
app.command(merge)
app.command(select)
