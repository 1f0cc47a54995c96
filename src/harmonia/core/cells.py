"""The cells of a comparison that are runs of their own: worked on side by side, and resumed one by one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

from harmonia.core.executor import executor
from harmonia.core.progress import track
from harmonia.core.run import Run


class RunCell(Protocol):
    """A recipe and a seed of a comparison; picklable."""

    @property
    def folder(self) -> Path:
        """Folder of the cell's run."""
        ...


C = TypeVar("C", bound=RunCell)


def finish_cells(cells: Iterable[C], runner: Callable[[int], Callable[[C], str]], workers: int | None) -> None:
    """Run every cell that is not finished.

    Args:
        cells: in the order in which they are to be worked on.
        runner: number of processes -> what does one cell after another in a process.
        workers: cells at a time, each with its share of the cores; None for one per core.
    """
    waiting = [cell for cell in cells if not _finished(cell.folder)]
    count = max(1, min(len(waiting), workers or os.cpu_count() or 1))
    for _ in track(executor("local", count).map(partial(runner, count), waiting), "comparing", len(waiting)):
        pass


def share_cores(workers: int) -> None:
    """Let torch use this process's share of the cores, one of so many processes."""
    import torch

    torch.set_num_threads(max(1, min(torch.get_num_threads(), (os.cpu_count() or 1) // workers)))


def _finished(folder: Path) -> bool:
    return (folder / "run.json").exists() and Run.at(folder).finished
