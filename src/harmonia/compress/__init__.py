"""A smaller model without retraining: structure x criterion x allocation x reconstruction.

    import harmonia
    result = harmonia.compress("minilm", "liar-wifv", ratio=0.5, calibration="tales")
    result.summary["points"]
    model = result.model()

Before anything is cut:

    harmonia.compress.plan("minilm", ratio=0.5)  # what would go, and what that saves
"""

from __future__ import annotations

from harmonia.compress import allocation, criterion, reconstruction, structure
from harmonia.compress.allocation import *  # noqa: F403 - each axis lists its parts
from harmonia.compress.criterion import *  # noqa: F403
from harmonia.compress.engine import compress as run
from harmonia.compress.preview import plan
from harmonia.compress.recipe import CompressRecipe
from harmonia.compress.reconstruction import *  # noqa: F403
from harmonia.compress.result import CompressResult
from harmonia.compress.sampling import Sampling
from harmonia.compress.structure import *  # noqa: F403
from harmonia.core.verb import callable_package

__all__ = ["CompressRecipe", "CompressResult", "Sampling", "plan", "run"]
__all__ += structure.__all__ + criterion.__all__ + allocation.__all__ + reconstruction.__all__

callable_package(__name__)
