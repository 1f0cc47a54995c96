"""What a run of stage ``federate`` leaves behind."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harmonia.core.files import read_json

if TYPE_CHECKING:
    import polars

    from harmonia.federate.classifier import Classifier


@dataclass(frozen=True)
class FederateResult:
    """A finished run.

    Attributes:
        folder: the run's folder.
    """

    folder: Path

    @property
    def model(self) -> Classifier:
        """The trained model."""
        from harmonia.federate.classifier import load

        return load(self.folder)

    @property
    def summary(self) -> dict[str, Any]:
        """What was measured."""
        found: dict[str, Any] = read_json(self.folder / "result" / "summary.json")
        return found

    @property
    def rounds(self) -> polars.DataFrame:
        """One row per round: loss, drift, bytes, seconds, and the scores where the model was judged."""
        import polars

        return polars.read_parquet(self.folder / "result" / "rounds.parquet")

    def report(self) -> Path:
        """Write the run's self-contained HTML page and return its path."""
        from importlib import import_module

        # the report reads results, so it lies above the stages; it is asked for by name to keep imports one way
        written: Path = import_module("harmonia.report.pages").report(self.folder)
        return written
