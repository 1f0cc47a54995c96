"""Scale: each unit that stays is made louder or quieter."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from harmonia.compress.reconstruction.base import Reconstruction, Repaired, check, moments_for, squared_error
from harmonia.compress.site import Moments, Seen


class Scale(Reconstruction):
    """One factor per kept unit, by least squares: W'_:j = m_j W_:j.

    min |sum_j m_j x_j W_:j - y|^2 over tokens, whose normal equations are (W^T W * G)_SS m = sum_i (W^T W * G)_Si,
    elementwise products summed over the columns of each unit. Mask tuning: Kwon et al. 2022 (arXiv 2204.09656).
    """

    kind: Literal["scale"] = "scale"
    references: ClassVar[tuple[str, ...]] = ("kwon2022mask",)
    main: ClassVar[str] = "ridge"

    ridge: float = Field(1e-3, ge=0)
    """Pulls factors to 1, relative to the mean of the diagonal of the normal equations."""
    solver: Literal["ridge", "damped"] = "ridge"
    """damped: as in the published code, min |A^T A x - r|^2 + |x|^2 for x = m - 1, so the pull depends on the units of
    the data; heads with an intercept that is thrown away. ``ridge`` is not used then."""
    bound: float = Field(10.0, gt=0)
    """A layer of which a factor is larger in size than this is left as sliced."""

    def repair(
        self, weight: np.ndarray, bias: np.ndarray | None, seen: Seen | None, kept: np.ndarray, run: int = 1
    ) -> Repaired:
        check(weight, bias, seen, kept, run)
        moments = moments_for(self.kind, seen)
        new = weight[:, kept]
        if new.shape == weight.shape and moments.wanted is None:
            return Repaired(weight, bias, 0.0)
        factors = self.factors(weight, moments, kept, run)
        if np.abs(factors).max() <= self.bound:
            new = new * np.repeat(factors, run)
        return Repaired(
            new,
            bias,
            squared_error(weight, bias, moments, kept, new, bias),
            self.ridge if self.solver == "ridge" else None,
        )

    def factors(self, weight: np.ndarray, moments: Moments, kept: np.ndarray, run: int) -> np.ndarray:
        """Return m of the kept units, without regard to the bound: (s / run,)."""
        units = len(kept) // run
        own, wished = weight[:, kept], moments.wished(weight, centred=False)[kept]
        products = (own.T @ own) * moments.gram[np.ix_(kept, kept)]
        normal = products.reshape(units, run, units, run).sum(axis=(1, 3))
        target = (own.T * wished).sum(axis=1).reshape(units, run).sum(axis=1)
        gap = target - normal.sum(axis=1)
        if self.solver == "damped":
            return 1 + self._damped(weight, moments, kept, normal, gap, run)
        normal[np.diag_indices(units)] += self.ridge * np.trace(normal) / units
        if self.ridge > 0 and normal.any():
            from scipy.linalg import solve

            return 1 + solve(normal, gap, assume_a="pos")
        return 1 + np.linalg.lstsq(normal, gap)[0]

    @staticmethod
    def _damped(
        weight: np.ndarray, moments: Moments, kept: np.ndarray, normal: np.ndarray, gap: np.ndarray, run: int
    ) -> np.ndarray:
        units = len(normal)
        if run > 1:
            sums = moments.count * (weight[:, kept].sum(axis=0) * moments.mean[kept]).reshape(units, run).sum(axis=1)
            rest = moments.count * float(moments.mean_output(weight).sum()) - sums.sum()
            corner = float(moments.count * len(weight))
            normal = np.block([[normal, sums[:, None]], [sums[None], np.array([[corner]])]])
            gap = np.append(gap, rest)
        # stacked, the system is as well conditioned as the equations that it is the normal form of
        stacked = np.vstack([normal, np.eye(len(normal))])
        return np.linalg.lstsq(stacked, np.append(gap, np.zeros(len(gap))))[0][:units]
