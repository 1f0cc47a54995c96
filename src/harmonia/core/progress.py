"""Progress bars with rate and time left on a terminal; silence elsewhere."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

T = TypeVar("T")

_quiet = False


class Advance(Protocol):
    """Moves a bar on."""

    def __call__(self, amount: float, text: str | None = None) -> None:
        """Move by so many units; ``text``, such as the last accuracy, stands behind the bar until there is another."""


def set_quiet(quiet: bool) -> None:
    """Silence every bar and note of this process."""
    global _quiet
    _quiet = quiet


def note(message: str) -> None:
    """Say one line on stderr, unless quiet."""
    if not _quiet:
        print(message, file=sys.stderr, flush=True)


def warn(message: str) -> None:
    """Say one warning on stderr, unless quiet."""
    note(f"warning: {message}")


@contextlib.contextmanager
def bar(description: str, total: float | None = None) -> Iterator[Advance]:
    """Show a bar while the block runs; the yielded function advances it.

    Args:
        description: what is being done, e.g. ``"reading"``.
        total: how many units there are, or None when that is unknown.

    >>> with bar("counting", 3) as advance:
    ...     advance(3, "all of them")
    """
    if _quiet or not sys.stderr.isatty():
        yield lambda amount, text=None: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description:<22}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[text]}"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(description, total=total, text="")

        def advance(amount: float, text: str | None = None) -> None:
            if text is not None:
                progress.update(task, text=text)
            progress.advance(task, amount)

        yield advance


def track(items: Iterable[T], description: str, total: float | None = None) -> Iterator[T]:
    """Iterate with a bar."""
    with bar(description, total if total is not None else getattr(items, "__len__", lambda: None)()) as advance:
        for item in items:
            yield item
            advance(1)
