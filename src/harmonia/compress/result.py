"""What a run of stage ``compress`` leaves behind."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harmonia.core.errors import InputError
from harmonia.core.files import read_json

if TYPE_CHECKING:
    import polars


@dataclass(frozen=True)
class CompressResult:
    """A finished run.

    Attributes:
        folder: the run's folder.
    """

    folder: Path

    @property
    def summary(self) -> dict[str, Any]:
        """What was done and measured."""
        found: dict[str, Any] = read_json(self.folder / "result" / "summary.json")
        return found

    @property
    def ratios(self) -> list[float]:
        """The ratios, ascending."""
        return [point["ratio"] for point in self.summary["points"]]

    def path(self, ratio: float | None = None) -> Path:
        """Return the folder of the model at a ratio, by default the only one.

        Raises:
            InputError: there is none, or several and none was named.
        """
        points = {point["ratio"]: point for point in self.summary["points"]}
        if ratio is None and len(points) == 1:
            ratio = next(iter(points))
        if ratio not in points:
            raise InputError(f"{self.folder} has models at the ratios {', '.join(f'{r:g}' for r in points)}; name one")
        return self.folder / "result" / str(points[ratio]["folder"])

    def model(self, ratio: float | None = None) -> Any:
        """Load the model at a ratio, by default the only one, as the class of transformers that it is."""
        from harmonia.models.pruned import load

        return load(self.path(ratio))

    @property
    def layers(self) -> polars.DataFrame:
        """One row per ratio and layer: units kept, ridge, errors."""
        import polars

        rows = [{"ratio": point["ratio"], **row} for point in self.summary["points"] for row in point["layers"]]
        return polars.DataFrame(rows, infer_schema_length=None)

    def report(self) -> Path:
        """Write the run's self-contained HTML page and return its path."""
        from importlib import import_module

        # the report reads results, so it lies above the stages; it is asked for by name to keep imports one way
        written: Path = import_module("harmonia.report.pages").report(self.folder)
        return written
