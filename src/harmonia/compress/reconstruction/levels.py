"""How far each kind of repair can go at a layer: the errors that a report sets side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harmonia.compress.reconstruction.bias import Bias
from harmonia.compress.reconstruction.liar import Liar
from harmonia.compress.reconstruction.ls import LeastSquares
from harmonia.compress.reconstruction.none import NoReconstruction
from harmonia.compress.site import Seen


@dataclass(frozen=True)
class Levels:
    """Sums over the calibration tokens of squared distances to the dense output.

    Attributes:
        none: of slicing.
        bias: with the mean of the removed inputs in the bias.
        ls: with kept inputs in place of removed ones.
        affine: with both.
    """

    none: float
    bias: float
    ls: float
    affine: float

    @property
    def r2(self) -> float:
        """Share of the variance of what removed inputs gave that an affine map of kept ones gives; 1 for nothing."""
        return 1 - self.affine / self.bias if self.bias > 0 else 1.0

    @classmethod
    def of(cls, weight: np.ndarray, bias: np.ndarray | None, seen: Seen, kept: np.ndarray, ridge: float) -> Levels:
        """Return the errors at a keep set; arguments as of ``curve``."""
        return cls.curve(weight, bias, seen, [kept], ridge)[0]

    @classmethod
    def curve(
        cls, weight: np.ndarray, bias: np.ndarray | None, seen: Seen, sets: Sequence[np.ndarray], ridge: float
    ) -> list[Levels]:
        """Return the errors at each of many keep sets, those in one another from one factorisation.

        Args:
            weight: (d_out, d).
            bias: (d_out,), or None.
            seen: what calibration saw.
            sets: (s,) columns each.
            ridge: of the two that fit weights, relative per channel; 0 for the least errors there are.

        Raises:
            InputError: as ``Reconstruction.repair``.
        """
        parts = (NoReconstruction(), Bias(), LeastSquares(ridge=ridge), Liar(ridge=ridge))
        found = [part.curve(weight, bias, seen, sets) for part in parts]
        return [cls(*(float(repaired.error or 0.0) for repaired in each)) for each in zip(*found, strict=True)]
