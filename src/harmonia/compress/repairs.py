"""Repaired layers at each ratio, on disk: a folder per ratio, in it a file per layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from harmonia.compress.reconstruction.base import Repaired
from harmonia.compress.reconstruction.levels import Levels
from harmonia.compress.site import Site
from harmonia.core.arrays import read_arrays, write_arrays

if TYPE_CHECKING:
    from harmonia.models.pruned import Cut

FIGURES = ("error", "ridge", "none", "bias", "ls", "affine")
"""What is known of a repair: its own error and ridge, and the errors that kinds of repair leave."""


class Repairs:
    """What each layer becomes.

    Args:
        folder: for the files.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def has(self, site: Site, ratio: float) -> bool:
        """Return whether a layer is done."""
        return self._path(site, ratio).exists()

    def write(self, site: Site, ratio: float, kept: np.ndarray, repaired: Repaired, levels: Levels | None) -> None:
        """Keep a layer: the units that stay, weights in float32, and figures.

        Args:
            site: the layer.
            ratio: that it belongs to.
            kept: (s,) units.
            repaired: weights, bias, error.
            levels: errors that kinds of repair leave; None where nothing was seen.
        """
        known = {"error": repaired.error, "ridge": repaired.ridge, **(asdict(levels) if levels else {})}
        figures = [np.nan if known.get(name) is None else known[name] for name in FIGURES]
        arrays: dict[str, np.ndarray] = {
            "kept": np.asarray(kept, np.int64),
            "weight": repaired.weight.astype(np.float32),
            "figures": np.array(figures, np.float64),
        }
        if repaired.bias is not None:
            arrays["bias"] = repaired.bias.astype(np.float32)
        write_arrays(self._path(site, ratio), arrays)

    def cuts(self, sites: Sequence[Site], ratio: float) -> dict[str, Cut]:
        """Return what to cut a model by."""
        from harmonia.models.pruned import Cut

        found = {}
        for site in sites:
            arrays = read_arrays(self._path(site, ratio))
            found[site.name] = Cut(arrays["kept"], arrays["weight"], arrays.get("bias"))
        return found

    def rows(self, sites: Sequence[Site], ratio: float) -> list[dict[str, Any]]:
        """Return a record per layer: what stayed of it, and the errors, sums over the calibration tokens."""
        found = []
        for site in sites:
            arrays = read_arrays(self._path(site, ratio))
            known = {
                name: None if np.isnan(figure) else float(figure)
                for name, figure in zip(FIGURES, arrays["figures"], strict=True)
            }
            errors = {f"E_{name}": known[name] for name in ("none", "bias", "ls", "affine")}
            levels = None if None in errors.values() else Levels(*errors.values())  # type: ignore[arg-type]
            found.append(
                {
                    "name": site.name,
                    "layer": site.layer,
                    "kind": site.kind,
                    "units": site.units,
                    "kept": len(arrays["kept"]),
                    "error": known["error"],
                    "ridge": known["ridge"],
                    **errors,
                    "R2": None if levels is None else levels.r2,
                }
            )
        return found

    def _path(self, site: Site, ratio: float) -> Path:
        return self.folder / f"{ratio:g}" / f"{site.name}.safetensors"
