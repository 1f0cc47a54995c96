"""``harmonia recipes``: what can be run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harmonia.cli.common import Speech

if TYPE_CHECKING:
    from rich.console import Group


def recipes(stage: str | None = None, *, speech: Speech | None = None) -> None:
    """List the recipes of a stage, or of all stages.

    Parameters
    ----------
    stage
        A stage, for instance select; all stages when left out.
    """
    speech = speech or Speech()
    speech.begin()
    from harmonia.stages import recipes as listed

    rows = listed(stage)
    speech.say({"recipes": rows}, lambda: _tables(rows))


def _tables(rows: list[dict[str, Any]]) -> Group:
    from rich.console import Group
    from rich.table import Table

    from harmonia.stages import find_stage

    tables: dict[str, Table] = {}
    for row in rows:
        if row["stage"] not in tables:
            title = f"{row['stage']}: {find_stage(row['stage']).question}"
            tables[row["stage"]] = table = Table(
                title=title, title_justify="left", box=None, header_style="bold", pad_edge=False
            )
            for column in ("recipe", "axes", "what it does"):
                table.add_column(column, overflow="fold")
        name = ", ".join([row["name"], *row["aliases"]])
        tables[row["stage"]].add_row(name, " x ".join(row["axes"].values()), row["meaning"])
    return Group(*tables.values())
