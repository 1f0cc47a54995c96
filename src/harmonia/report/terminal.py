"""Tables for the terminal: the same figures as the pages, in as few lines as a screen holds.

Names and findings come from data, so they are shown as plain text, never as markup or control sequences.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from harmonia.report.compare import cells, direction, findings, headline, spelled
from harmonia.report.numbers import count, duration, middle, percent, ratio, size, value
from harmonia.report.select import findings as selection_findings

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

SOURCES = 20
"""Most sources listed."""


def selection(summary: Mapping[str, Any]) -> Group:
    """Return the summary of a selection."""
    from rich.console import Group

    total, picked = summary["tokens"] or 1, summary["picked"]["tokens"] or 1
    table = _table("source", "documents", "picked", "of tokens", "of picks", "change")
    ordered = sorted(summary["sources"], key=lambda s: -s["tokens"])
    for s in ordered[:SOURCES]:
        before, after = s["tokens"] / total, s["picked_tokens"] / picked
        table.add_row(
            _plain(s["source"]),
            count(s["documents"]),
            count(s["picked_documents"]),
            percent(before),
            percent(after),
            ratio(after, before),
        )
    lines = [*_more(len(ordered)), *(_plain(line, 400) for line in selection_findings(dict(summary)))]
    if seconds := summary.get("seconds"):
        lines.append(_plain(f"{duration(sum(seconds.values()))}, peak memory {size(summary.get('peak_memory_bytes'))}"))
    return Group(table, *lines)


def comparison(record: Mapping[str, Any]) -> Group:
    """Return one table per headline metric; every difference stands with its interval."""
    from rich.console import Group

    parts: list[Any] = []
    seconds = record.get("seconds") or {}
    shown = headline(record["metrics"]) or record["metrics"]
    judged = [metric for metric in shown if direction(metric, record)]
    for metric in judged or shown:
        table = _table("recipe", "mean", f"difference to {middle(record['baseline'], 12)} [95 %]", "verdict", "time")
        way = {-1: " (less is better)", 1: " (more is better)", 0: ""}[direction(metric, record)]
        table.title = _plain(spelled(metric) + way)
        table.title_justify = "left"
        for c in cells(record, metric):
            words = {"even": "not told apart", "unknown": "no interval"}.get(c.verdict, c.verdict)
            table.add_row(
                _plain(c.recipe),
                value(c.mean),
                _plain(c.words),
                words,
                duration(seconds.get(c.recipe)),
                style={"better": "green", "worse": "red"}.get(c.verdict),
            )
        parts.append(table)
    return Group(*parts, *(_plain(line, 1000) for line in findings(record)))


def diagnosis(record: Mapping[str, Any]) -> Group:
    """Return the sources of a pool and what stands out."""
    from rich.console import Group
    from rich.text import Text

    table = _table("source", "documents", "of tokens", "bytes", "repeated", "near dup.", "eff. rank")
    ordered = sorted(record["sources"], key=lambda s: -s["tokens"])
    for s in ordered[:SOURCES]:
        table.add_row(
            _plain(s["source"]),
            count(s["documents"]),
            percent(s["share"]),
            count(s["mean_length"]),
            percent(s["exact_duplicates"]),
            percent(s["near_duplicates"]),
            value(s["effective_rank"]),
        )
    lines: list[Text] = _more(len(ordered))
    if spectrum := record["spectrum"]:
        lines.append(
            Text(
                f"whole pool: effective rank {value(spectrum['effective_rank'])}, participation ratio "
                f"{value(spectrum['participation_ratio'])} of at most {spectrum['largest_rank']}"
            )
        )
    lines += [
        _plain(f"• {item['finding']}" + (f"  → {', '.join(item['recipes'])}" if item["recipes"] else ""), 1000)
        for item in record["advice"]
    ]
    if not record["advice"]:
        lines.append(Text("nothing stands out; no recipe is advised"))
    return Group(table, *lines)


def pick_story(story: Mapping[str, Any]) -> Group:
    """Return why one document was taken or left."""
    from rich.console import Group

    table = _table("what", "figure")
    table.add_row("document", _plain(story["id"]))
    table.add_row("source", _plain(story["source"]))
    table.add_row("tokens", count(story["tokens"]))
    for name, score in story["quality"].items():
        table.add_row(_plain(name), value(score))
    for name, gain in (story.get("terms") or {}).items():
        table.add_row(_plain(f"gain: {name}"), value(gain))
    if near := story["nearest_pick"]:
        table.add_row("nearest other pick", _plain(f"{near['id']} (rank {near['rank']}, cosine {near['cosine']:.3f})"))
    return Group(_plain(story["because"], 400), table)


def _table(first: str, *others: str) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column(first, overflow="ellipsis", no_wrap=True, max_width=36)
    for name in others:
        table.add_column(_plain(name), justify="right", no_wrap=True)
    return table


def _more(sources: int) -> list[Text]:
    return [_plain(f"… and {sources - SOURCES} more sources")] if sources > SOURCES else []


def _plain(words: str, length: int = 80) -> Text:
    from rich.text import Text

    return Text(middle("".join(c if c.isprintable() else "�" for c in words), length))
