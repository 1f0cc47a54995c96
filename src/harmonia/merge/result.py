"""What a run of stage ``merge`` leaves behind."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harmonia.core.errors import InputError
from harmonia.core.files import read_json


@dataclass(frozen=True)
class MergeResult:
    """A finished run.

    Attributes:
        folder: the run's folder.
    """

    folder: Path

    @property
    def model(self) -> Path:
        """Folder of the merged model, which transformers loads by itself.

        Raises:
            InputError: a sweep wrote several; see ``models``.
        """
        if len(self.models) > 1:
            raise InputError(f"{self.folder} holds a model for each scaling: {', '.join(map(str, self.models))}")
        return next(iter(self.models.values()))

    @property
    def models(self) -> dict[float | None, Path]:
        """Scaling -> folder of its model; None for the only one of a run without a sweep."""
        return {each.get("scaling"): self.folder / "result" / each["folder"] for each in self.summary["models"]}

    @property
    def summary(self) -> dict[str, Any]:
        """What was merged, and what it cost."""
        found: dict[str, Any] = read_json(self.folder / "result" / "summary.json")
        return found

    @property
    def disagreement(self) -> dict[str, Any]:
        """How the experts disagree: of the model, of every layer and of every tensor.

        Raises:
            RunError: it was not measured.
        """
        found: dict[str, Any] = read_json(self.folder / "result" / "disagreement.json")
        return found

    def report(self) -> Path:
        """Write the run's self-contained HTML page and return its path."""
        from importlib import import_module

        # the report reads results, so it lies above the stages; it is asked for by name to keep imports one way
        written: Path = import_module("harmonia.report.pages").report(self.folder)
        return written
