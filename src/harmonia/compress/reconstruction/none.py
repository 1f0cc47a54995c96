"""None: what is gone is gone."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from harmonia.compress.reconstruction.base import Reconstruction, Repaired, check, squared_error
from harmonia.compress.site import Seen


class NoReconstruction(Reconstruction):
    """Slices only: W' = W_S, b' = b."""

    kind: Literal["none"] = "none"
    reads: ClassVar[bool] = False

    def repair(
        self, weight: np.ndarray, bias: np.ndarray | None, seen: Seen | None, kept: np.ndarray, run: int = 1
    ) -> Repaired:
        check(weight, bias, seen, kept, run)
        new = weight[:, kept]
        return Repaired(new, bias, None if seen is None else squared_error(weight, bias, seen.fit, kept, new, bias))
