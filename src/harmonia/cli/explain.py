"""``harmonia explain``: what a recipe means, or why a document was taken or left."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from harmonia.cli.common import Speech

if TYPE_CHECKING:
    from rich.console import Group


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
    speech.say(record, lambda: _recipe(record, what))


def _recipe(record: dict[str, Any], what: str) -> Group:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    parts: list[Any] = [Text.assemble((record["name"], "bold"), f" ({record['stage']})  {record['meaning']}")]
    for axis, part in record["axes"].items():
        parts.append(Text.assemble("\n", (axis, "bold"), " = ", (part["kind"], "cyan"), f"  {part['meaning']}"))
        table = Table(box=None, show_header=False, padding=(0, 2))
        for name, field in part["fields"].items():
            table.add_row(Text(f"{axis}.{name}"), Text(str(field["value"])), Text(field["meaning"]))
        parts.append(table)
    if record["cite"]:
        parts.append(Text(f"\ncite: {', '.join(record['cite'])}  (harmonia cite {what})"))
    return Group(*parts)
