"""``harmonia recipes``: what can be run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harmonia.cli.common import Speech

if TYPE_CHECKING:
    from rich.table import Table


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

    def render() -> Table:
        from rich.table import Table

        table = Table(box=None, header_style="bold", pad_edge=False)
        for column in ("recipe", "axes", "what it does"):
            table.add_column(column, overflow="fold")
        for row in rows:
            name = ", ".join([row["name"], *row["aliases"]])
            table.add_row(name, " x ".join(row["axes"].values()), row["meaning"])
        return table

    speech.say({"recipes": rows}, render)
