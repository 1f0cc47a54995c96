"""What every benchmark leaves behind: a table on the terminal and the same figures, with the machine, as JSON."""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harmonia.core.compare import statistic
from harmonia.core.files import write_json
from harmonia.core.run import environment


def options(description: str | None) -> argparse.ArgumentParser:
    """Return the options that all benchmarks share."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks"), help="folder of the JSON records")
    parser.add_argument("--threads", type=int, default=1, help="threads of either side")
    return parser


def single_threaded(threads: int) -> None:
    """Fix the threads of BLAS and torch in this process."""
    from threadpoolctl import threadpool_limits

    os.environ["OMP_NUM_THREADS"] = str(threads)
    threadpool_limits(threads)


class Record:
    """A table under construction.

    Args:
        name: of the JSON file.
        title: printed above the table.
        settings: what was measured, e.g. sizes and seeds.
    """

    def __init__(self, name: str, title: str, settings: Mapping[str, Any]) -> None:
        self.name = name
        self.title = title
        self.settings = dict(settings)
        self.rows: list[dict[str, Any]] = []
        self.facts: dict[str, Any] = {}

    def add(self, **row: Any) -> None:
        """Append a row."""
        self.rows.append(row)

    def save(self, out: Path) -> None:
        """Print the table and write ``OUT/NAME.json``."""
        print(f"\n{self.title}")
        print(", ".join(f"{key}={value}" for key, value in self.settings.items()))
        print(table(self.rows))
        for key, value in self.facts.items():
            print(f"{key}: {_text(value)}")
        out.mkdir(parents=True, exist_ok=True)
        settings = {key: str(value) if isinstance(value, Path) else value for key, value in self.settings.items()}
        write_json(
            out / f"{self.name}.json",
            _finite(
                {
                    "title": self.title,
                    "settings": settings,
                    "rows": self.rows,
                    "facts": self.facts,
                    "environment": environment(),
                    "load": os.getloadavg(),
                }
            ),
        )


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return rows as a Markdown table.

    >>> print(table([{"a": 1.23456, "b": "x"}]))
    | a | b |
    | --- | --- |
    | 1.235 | x |
    """
    names = list(dict.fromkeys(name for row in rows for name in row))
    lines = [names, ["---"] * len(names), *([_text(row.get(name, "")) for name in names] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def compared(values: Mapping[str, Mapping[str, Sequence[float]]], baseline: str) -> list[dict[str, Any]]:
    """Return one row per arm: mean and standard deviation, and the paired difference to the baseline with its interval.

    Args:
        values: arm -> measure -> one value per seed, the same seeds for all.
        baseline: the arm that is subtracted, seed by seed.
    """
    rows = []
    for arm, measures in values.items():
        row: dict[str, Any] = {"arm": arm}
        for measure, found in measures.items():
            s = statistic(found, values[baseline][measure])
            row[measure] = f"{s.mean:.3f} ± {s.std:.3f}"
            row[f"Δ {measure}"] = "" if arm == baseline else f"{s.difference:+.3f} [{s.low:+.3f}, {s.high:+.3f}]"
        rows.append(row)
    return rows


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
