"""Random: chance decides."""

from __future__ import annotations

from typing import Literal

import numpy as np

from harmonia.compress.criterion.base import Criterion
from harmonia.compress.site import Seen, Site
from harmonia.core.seeds import generator


class Random(Criterion):
    """Chance: uniform scores, drawn from the seed and the name of the layer."""

    kind: Literal["random"] = "random"

    def score(self, site: Site, seen: Seen | None, seed: int) -> np.ndarray:
        return generator(seed, "criterion", site.name).random(site.units)
