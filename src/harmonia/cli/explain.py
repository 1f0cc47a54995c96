"""``harmonia explain``: what a recipe means, or why a document was taken or left."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harmonia.cli.common import Speech


def explain(what: str, *, pick: str | None = None, speech: Speech | None = None) -> None:
    """Explain a recipe: its axes, the fields of its parts with values and meaning. Or explain one document.

    Parameters
    ----------
    what
        A recipe's name, a recipe's YAML file, or a run folder.
    pick
        With a run folder: id of a document; says why it was taken or left.
    """
    speech = speech or Speech()
    speech.begin()
    if pick is not None:
        from harmonia.report.terminal import pick_story
        from harmonia.select.story import tell

        story = tell(Path(what), pick)
        speech.say(story, lambda: pick_story(story))
        return
    from harmonia.stages import explain as explained

    record = explained(what)
    speech.say(record, lambda: _render(record))


def _render(record: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    console.print(f"[bold]{record['name']}[/bold] ({record['stage']})  {record['meaning']}")
    for axis, part in record["axes"].items():
        console.print(f"\n[bold]{axis}[/bold] = [cyan]{part['kind']}[/cyan]  {part['meaning']}", highlight=False)
        table = Table(box=None, show_header=False, padding=(0, 2))
        for name, field in part["fields"].items():
            table.add_row(f"{axis}.{name}", str(field["value"]), field["meaning"])
        console.print(table)
    if record["cite"]:
        console.print(f"\ncite: {', '.join(record['cite'])}  (harmonia cite {record['name']})", highlight=False)
