"""The axis ``reconstruction``: how a consumer is repaired when some of its inputs are gone."""

from __future__ import annotations

from harmonia.compress.reconstruction.bias import Bias
from harmonia.compress.reconstruction.liar import Liar
from harmonia.compress.reconstruction.ls import LeastSquares
from harmonia.compress.reconstruction.none import NoReconstruction
from harmonia.compress.reconstruction.scale import Scale
from harmonia.core.part import one_of

AnyReconstruction = one_of(NoReconstruction, Bias, Scale, LeastSquares, Liar)

__all__ = [
    "AnyReconstruction",
    "Bias",
    "LeastSquares",
    "Liar",
    "NoReconstruction",
    "Scale",
]
