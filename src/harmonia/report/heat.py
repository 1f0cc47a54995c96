"""Tables whose cells are tinted by size: one number for every pair of a row and a column, read at a glance.

The numbers stand in the cells, so nothing hangs on colour alone. A table too wide for numbers shows the tint, and the
number where it is pointed at.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from harmonia.report.numbers import cosine, known, value

DEPTH = 60
"""Strongest tint, in percent of the tone."""
DENSE, BARE = 6, 20
"""Columns beyond which headings stand upright, and beyond which cells show their tint only."""

Tone = Literal["picks", "good", "bad", "pool"]


@dataclass(frozen=True)
class Cell:
    """One cell.

    Attributes:
        words: what stands in it.
        tip: what is said of it when it is pointed at.
        tone: which of the page's colours tints it.
        depth: how much of that colour, in percent.
        strong: whether its words are emphasised.
    """

    words: str
    tip: str
    tone: Tone = "picks"
    depth: int = 0
    strong: bool = False


@dataclass(frozen=True)
class Heat:
    """A table of cells.

    Attributes:
        columns: names of the columns.
        rows: names of the rows, each with its cells.
        corner: what the names of rows are.
    """

    columns: list[str]
    rows: list[tuple[str, list[Cell]]]
    corner: str = ""

    @property
    def look(self) -> str:
        """Return the CSS class that fits the width."""
        return "bare" if len(self.columns) > BARE else "dense" if len(self.columns) > DENSE else ""


def tint(x: Any, span: tuple[float, float]) -> int:
    """Return how deep a number is tinted between what no tint and full tint stand for.

    >>> tint(0.5, (0.0, 1.0)), tint(2.0, (0.0, 1.0)), tint(None, (0.0, 1.0))
    (30, 60, 0)
    """
    low, high = span
    return round(DEPTH * min(max((x - low) / ((high - low) or 1), 0), 1)) if known(x) else 0


def heat(
    rows: Sequence[str],
    columns: Sequence[str],
    matrix: Sequence[Sequence[float | None]],
    *,
    span: tuple[float, float],
    words: Callable[[Any], str] = value,
    between: str = " · ",
    both_signs: bool = False,
    strong: Callable[[int, int], bool] = lambda i, j: False,
    plain: Callable[[int, int], bool] = lambda i, j: False,
    corner: str = "",
) -> Heat:
    """Return a table tinted by size.

    Args:
        rows: names of the rows.
        columns: names of the columns.
        matrix: a number or None for every row and column.
        span: what no tint and full tint stand for.
        words: how a number is written.
        between: what stands between the names of row and column when a cell is pointed at.
        both_signs: tint by absolute value, what is above zero as good and what is below as bad.
        strong: whether the cell of a row and column is emphasised.
        plain: whether it stays without tint.
        corner: what the names of rows are.
    """

    def cell(i: int, j: int) -> Cell:
        x = matrix[i][j]
        return Cell(
            words="" if x is None else words(x),
            tip=f"{rows[i]}{between}{columns[j]}: {words(x)}",
            tone="picks" if not both_signs or not known(x) else "good" if x > 0 else "bad",
            depth=0 if plain(i, j) else tint(abs(x) if both_signs and known(x) else x, span),
            strong=strong(i, j),
        )

    return Heat(list(columns), [(rows[i], [cell(i, j) for j in range(len(columns))]) for i in range(len(rows))], corner)


def cosines(names: Sequence[str], matrix: Sequence[Sequence[float | None]]) -> Heat:
    """Return a table of cosines, agreement green and opposition red."""
    return heat(names, names, matrix, span=(0.0, 1.0), words=cosine, both_signs=True, plain=operator.eq)
