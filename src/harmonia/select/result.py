"""What a selection leaves behind, as tables."""

from __future__ import annotations

from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harmonia.core.errors import InputError
from harmonia.core.files import read_json
from harmonia.core.run import Run
from harmonia.select.recipe import SelectRecipe

if TYPE_CHECKING:
    import polars as pl


class SelectResult:
    """The result of a selection, read from its run folder when asked for.

    Attributes:
        folder: the run's folder.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        if not Run.at(self.folder).finished:
            raise InputError(f"{self.folder} is not finished; go on with --resume")

    @cached_property
    def picks(self) -> pl.DataFrame:
        """The picks in order: id, rank, score, one column per objective term, source, and the original columns."""
        import polars as pl

        return pl.read_parquet(self.folder / "result" / "picks.parquet")

    @cached_property
    def summary(self) -> dict[str, Any]:
        """Counts per source, spectra, distributions, cost: the figures of the report."""
        return read_json(self.folder / "result" / "summary.json")

    @cached_property
    def recipe(self) -> SelectRecipe:
        """The recipe that was run."""
        from harmonia.select.recipes import BOOK

        return BOOK.load(self.folder / "recipe.yaml")

    def report(self, path: str | Path | None = None) -> Path:
        """Write the self-contained HTML page and return its path (RUN/report.html when left out)."""
        # the page is built above the stages; this is the one place where a result reaches up to it
        target: Path = import_module("harmonia.report.pages").report(self.folder, path)
        return target

    def __repr__(self) -> str:
        picked = self.summary["picked"]["documents"]
        return f"SelectResult({self.recipe.name}: {picked} of {self.summary['documents']} documents, {self.folder})"
