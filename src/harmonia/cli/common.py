"""Options that every stage has, and how a command speaks: tables for people, one JSON line for machines."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

from cyclopts import Parameter

from harmonia.core.errors import InputError
from harmonia.core.progress import set_quiet

if TYPE_CHECKING:
    from harmonia.data.reading import Reading


@Parameter(name="*")
@dataclass
class Speech:
    """How a command speaks."""

    json: Annotated[bool, Parameter(name="--json", negative="")] = False
    """Print one JSON object as the last line of stdout."""
    quiet: Annotated[bool, Parameter(name="--quiet", negative="")] = False
    """No progress bars, notes or tables."""

    def begin(self) -> None:
        """Silence progress when asked to."""
        set_quiet(self.quiet)

    def say(self, record: dict[str, Any], render: Callable[[], Any]) -> None:
        """Show the result: what ``render`` returns (text, or something that rich shows), or the JSON line.

        ``render`` is called only when a person is to see it.
        """
        if not self.quiet and not self.json:
            shown = render()
            if isinstance(shown, str):
                print(shown)
            else:
                from rich.console import Console

                Console().print(shown)
        if self.json:
            print(json.dumps(record, ensure_ascii=False, allow_nan=False))


@Parameter(name="*")
@dataclass
class Work(Speech):
    """Options common to every stage that computes."""

    seed: int = 0
    """Fixes every random choice."""
    out: Path | None = None
    """Run folder to write; by default a new one under runs/."""
    resume: Annotated[bool, Parameter(negative="")] = False
    """Go on with an interrupted run in --out."""
    set: Annotated[list[str] | None, Parameter(name="--set", consume_multiple=True, negative="")] = None
    """Change a part, axis.field=value, or exchange it, axis=part: see `harmonia explain RECIPE`; repeatable."""
    report: Annotated[bool, Parameter(negative="")] = False
    """Also write RUN/report.html, as `harmonia report RUN` does."""
    workers: int | None = None
    """Worker processes; by default one per core."""

    def folder(self, name: str) -> Path:
        """Return the run folder, a fresh one under runs/ when none was named."""
        if self.out is not None:
            return self.out
        if self.resume:
            raise InputError("--resume needs --out RUN, the folder to go on with")
        number = 1
        while (path := Path("runs") / f"{name}-{number}").exists():
            number += 1
        return path


@Parameter(name="*")
@dataclass
class Engine:
    """Where independent pieces of work run."""

    engine: str = "local"
    """local, or ray for a cluster; the result is the same."""


@Parameter(name="*")
@dataclass
class Documents:
    """How to read documents."""

    text_column: str | None = None
    """Column of the text (detected: text, content, document, ...)."""
    id_column: str | None = None
    """Column of ids; made from file and row where there is none."""
    source_column: str | None = None
    """Column of the source; else the folder or file."""
    quality_column: Annotated[list[str] | None, Parameter(negative="")] = None
    """Column of quality scores (detected: quality, quality_score); repeatable."""
    embedding_column: str | None = None
    """Column of vectors, for --set features=given."""
    tokens_column: str | None = None
    """Column of token counts (detected: tokens, n_tokens, ...); estimated from bytes where there is none."""
    on_bad: Literal["stop", "skip"] = "stop"
    """stop at a bad row, or skip it into rejects.parquet."""

    def reading(self) -> Reading:
        """Return the keyword arguments that say how documents are read."""
        return cast("Reading", dict(vars(self)))


def recipe_name(recipe: str) -> str:
    """Return what a recipe is called in the name of a folder.

    >>> recipe_name("disf-unit"), recipe_name("mine/fair.yaml")
    ('disf-unit', 'fair')
    """
    return Path(recipe).stem if recipe.endswith((".yaml", ".yml", ".json")) else recipe


def words(listed: str) -> list[str]:
    """Read comma-separated words.

    >>> words("mtdt, harmodt,")
    ['mtdt', 'harmodt']
    """
    return [word.strip() for word in listed.split(",") if word.strip()]


def numbers(listed: str, option: str) -> list[float]:
    """Read comma-separated numbers.

    Raises:
        InputError: something else stands there.

    >>> numbers("1, 0.5", "--weights")
    [1.0, 0.5]
    """
    try:
        return [float(word) for word in words(listed)]
    except ValueError as error:
        raise InputError(f"{option} {listed}: comma-separated numbers are needed, for instance 1,0.5") from error


def seeds_from(first: int, count: int) -> range:
    """Return so many seeds.

    Raises:
        InputError: less than one.
    """
    if count < 1:
        raise InputError(f"--seeds {count}: at least 1 is needed, 2 for intervals")
    return range(first, first + count)


def shares(pairs: list[str] | None, option: str) -> dict[str, float]:
    """Read ``SOURCE=SHARE`` pairs.

    >>> shares(["web=0.5", "books=10%"], "--floor")
    {'web': 0.5, 'books': 0.1}
    """
    out: dict[str, float] = {}
    for pair in pairs or ():
        source, equals, share = pair.rpartition("=")
        try:
            amount = float(share.removesuffix("%")) / (100 if share.endswith("%") else 1)
        except ValueError:
            equals = ""
        if not equals or not source:
            raise InputError(f"{option} {pair}: expected SOURCE=SHARE, for instance books=0.1")
        if source in out:
            raise InputError(f"{option} {pair}: {source} has one already; give each source one")
        out[source] = amount
    return out
