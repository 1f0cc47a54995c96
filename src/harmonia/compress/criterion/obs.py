"""OBS: what is lost without a unit when all others make up for it."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from harmonia.compress.criterion.base import Criterion, checked, moments_at
from harmonia.compress.site import Seen, Site
from harmonia.core.errors import InputError
from harmonia.maths.interpolation import SingularError
from harmonia.maths.obs import inverse, removal_errors, removal_order
from harmonia.maths.ridge import Relative, penalties


class Obs(Criterion):
    """The least squared error of the output without a unit, when the others make up for it as well as they can.

    tr(W_h (P_hh)^-1 W_h^T) with P = (G + ridge)^-1; of a neuron ||W_:j||^2 / P_jj: (units,). Single: each unit against
    the full layer. Joint: units are removed one by one, the least error first, and the rest repaired each time; a
    unit's score is what it added at its turn, and never below those that went before, so that every ratio takes a
    prefix of one order. Hassibi et al. 1993; Frantar & Alistarh 2022 (arXiv 2208.11580); Kurtic et al. 2023 (arXiv
    2302.04089).
    """

    kind: Literal["obs"] = "obs"
    references: ClassVar[tuple[str, ...]] = ("hassibi1993obs", "frantar2022obc", "kurtic2023ziplm")
    main: ClassVar[str] = "order"
    reads: ClassVar[tuple[str, ...]] = ("moments",)

    order: Literal["single", "joint"] = "single"
    """single: units that stand in for each other all look cheap. joint: the second of them no longer does."""
    intercept: bool = False
    """Whether a new bias makes up too, as in reconstruction liar: then G is about the means."""
    ridge: float = Field(0.01, ge=0)
    """Added to the diagonal of G, relative to what ``relative_to`` says."""
    relative_to: Relative = "channel"
    """channel: to each input's own sum of squares; layer: to their mean; nothing: absolute."""

    def score(self, site: Site, seen: Seen | None, seed: int) -> np.ndarray:
        moments, weight = moments_at(site, seen, self.kind), site.matrix
        gram = moments.centred if self.intercept else moments.gram
        penalty = penalties(gram, self.ridge, self.relative_to)
        try:
            if self.order == "joint":
                return checked(site, _rising(*removal_order(weight, gram, penalty, site.run)))
            P = inverse(gram, penalty)
        except SingularError as error:
            raise InputError(
                f"{site.name}: its inputs depend on each other over {moments.count} tokens; raise criterion.ridge, or "
                "give more calibration"
            ) from error
        places = site.columns(np.arange(site.units)).reshape(site.units, site.run)
        runs = (weight * (np.diag(gram) > 0)).T[places]
        scores = removal_errors(P[places[:, :, None], places[:, None, :]], runs @ runs.transpose(0, 2, 1))
        return checked(site, scores)


def _rising(order: np.ndarray, added: np.ndarray) -> np.ndarray:
    """Return what each unit added when it went, lifted above all before it: (units,)."""
    scores, above = np.empty(len(order)), -np.inf
    for unit, error in zip(order, added, strict=True):
        above = max(error, np.nextafter(above, np.inf))
        scores[unit] = above
    return scores
