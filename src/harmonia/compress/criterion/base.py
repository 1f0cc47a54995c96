"""The axis ``criterion``: which units matter."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from harmonia.compress.site import Moments, Seen, Site
from harmonia.core.errors import InputError
from harmonia.core.part import Part


class Criterion(Part):
    """Scores the units of a site; larger is to be kept."""

    reads: ClassVar[tuple[str, ...]] = ()
    """What it needs to have seen: ``moments``, ``gradients``, ``slices``, ``norms``."""

    def score(self, site: Site, seen: Seen | None, seed: int) -> np.ndarray:
        """Return one score per unit, (units,) float64, finite; or one per column, (units, run), their mean the unit's.

        Columns are told apart where scores are made comparable between sites by the spread of the columns' scores.

        Args:
            site: the consumer.
            seen: what calibration saw; None where the criterion reads nothing.
            seed: of whatever is drawn.
        """
        raise NotImplementedError


def moments_at(site: Site, seen: Seen | None, kind: str) -> Moments:
    """Return what was seen of a site's inputs.

    Raises:
        InputError: nothing was seen, or inputs of another width.
    """
    if seen is None:
        raise InputError(
            f"criterion {kind} scores by the inputs of {site.name}, and none were seen: give a calibration"
        )
    if len(seen.fit.mean) != site.units * site.run:
        raise InputError(
            f"{site.name} takes {site.units * site.run} inputs, and the statistics are of {len(seen.fit.mean)}; "
            "gather them anew from this model"
        )
    return seen.fit


def checked(site: Site, scores: np.ndarray) -> np.ndarray:
    """Return scores that are all finite.

    Raises:
        InputError: one is not.
    """
    if not np.isfinite(scores).all():
        raise InputError(
            f"{site.name}: scores are not finite; its weights, inputs or gradients overflow, run the model in float32"
        )
    return scores
