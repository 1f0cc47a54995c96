"""Scores from sums over the weights that belong to a unit."""

from __future__ import annotations

import numpy as np

from harmonia.compress.criterion.base import checked
from harmonia.compress.site import Seen, Site
from harmonia.core.errors import InputError


def from_slices(site: Site, seen: Seen | None, kind: str, name: str) -> np.ndarray:
    """Return sums over the weights of each unit that were gathered under a name: (units,).

    Raises:
        InputError: none were.
    """
    if seen is None or name not in seen.slices:
        raise InputError(
            f"criterion {kind} needs gradients of a loss by the weights of {site.name}; give a calibration with labels "
            "or of a language model, or take a criterion that reads none, such as wifv"
        )
    return checked(site, np.asarray(seen.slices[name], np.float64))
