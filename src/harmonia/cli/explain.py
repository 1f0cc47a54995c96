"""``harmonia explain``: what a recipe means, or why a document was taken or left."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harmonia.cli.common import Speech
from harmonia.core.part import Part


def explain(what: str, *, pick: str | None = None, speech: Speech | None = None) -> None:
    """Explain a recipe: its axes, the fields of its parts with defaults and meaning. Or explain one document.

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
    from harmonia.stages import find_stage, stage_of_recipe

    path = Path(what)
    if path.is_dir():
        from harmonia.core.run import Run

        stage = find_stage(Run.at(path).request["stage"])
        recipe = stage.book.load(path / "recipe.yaml")
    elif path.suffix in (".yaml", ".yml", ".json"):
        stage = find_stage(_stage_in(path))
        recipe = stage.book.load(path)
    else:
        stage = stage_of_recipe(what)
        recipe = stage.book.load(what)
    record: dict[str, Any] = {"name": recipe.name, "stage": stage.name, "cite": recipe.references(), "axes": {
        axis: {"kind": part.kind_name(), "meaning": type(part).meaning(), "fields": _fields(part)}
        for axis, part in recipe.choices().items()}}
    if recipe.name in stage.book.names():
        record["meaning"] = stage.book.meaning(recipe.name)
    speech.say(record, lambda: _render(record))


def _stage_in(path: Path) -> str:
    import yaml

    from harmonia.core.errors import InputError

    try:
        record = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{path}: cannot be read as a recipe: {' '.join(str(error).split())}") from error
    if not isinstance(record, dict) or "stage" not in record:
        raise InputError(f"{path}: a recipe says its stage, for instance stage: select")
    return str(record["stage"])


def _fields(part: Part) -> dict[str, dict[str, Any]]:
    values = part.model_dump(mode="json")
    return {name: {"value": values[name], "meaning": " ".join((field.description or "").split())}
            for name, field in type(part).model_fields.items() if name != "kind"}


def _render(record: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    console.print(f"[bold]{record['name']}[/bold] ({record['stage']})  {record.get('meaning', '')}")
    for axis, part in record["axes"].items():
        console.print(f"\n[bold]{axis}[/bold] = [cyan]{part['kind']}[/cyan]  {part['meaning']}", highlight=False)
        table = Table(box=None, show_header=False, padding=(0, 2))
        for name, field in part["fields"].items():
            table.add_row(f"{axis}.{name}", str(field["value"]), field["meaning"])
        console.print(table)
    if record["cite"]:
        console.print(f"\ncite: {', '.join(record['cite'])}  (harmonia cite {record['name']})", highlight=False)
