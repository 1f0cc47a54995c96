"""The axis ``reconstruction``: how a consumer is repaired when some of its inputs are gone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from harmonia.compress.site import Moments, Seen
from harmonia.core.errors import InputError
from harmonia.core.part import Part


@dataclass(frozen=True)
class Repaired:
    """A consumer of fewer inputs.

    Attributes:
        weight: (d_out, s) float64.
        bias: (d_out,) float64, or None where there was none and none came.
        error: sum over tokens of squared distances to the dense output, on the moments it was fitted on; None where
            nothing was seen.
        ridge: the relative ridge that was used; None where there is none.
    """

    weight: np.ndarray
    bias: np.ndarray | None
    error: float | None
    ridge: float | None = None


class Reconstruction(Part):
    """Repairs a consumer y = W x + b whose inputs R are removed and S kept."""

    reads: ClassVar[bool] = True
    """Whether it needs moments."""

    def repair(
        self, weight: np.ndarray, bias: np.ndarray | None, seen: Seen | None, kept: np.ndarray, run: int = 1
    ) -> Repaired:
        """Return the consumer of the kept inputs; where all are kept and nothing upstream is lost, what came in.

        Args:
            weight: (d_out, d) float64.
            bias: (d_out,) float64, or None.
            seen: what calibration saw; None where nothing is read.
            kept: (s,) columns that stay, ascending.
            run: columns of a unit.

        Raises:
            InputError: nothing is kept, a column out of range or twice, part of a unit, moments of another width or
                none, numbers not finite.
        """
        raise NotImplementedError

    def curve(
        self,
        weight: np.ndarray,
        bias: np.ndarray | None,
        seen: Seen | None,
        sets: Sequence[np.ndarray],
        run: int = 1,
    ) -> list[Repaired]:
        """Return ``repair`` for each of many sets of kept columns, sharing what work they can."""
        return [self.repair(weight, bias, seen, kept, run) for kept in sets]


def check(weight: np.ndarray, bias: np.ndarray | None, seen: Seen | None, kept: np.ndarray, run: int) -> None:
    """Refuse what no reconstruction can repair.

    Raises:
        InputError: as ``Reconstruction.repair``.
    """
    d = weight.shape[1]
    if not len(kept):
        raise InputError("no input of the layer is kept; lower the ratio, or remove whole layers by depth pruning")
    if kept[0] < 0 or kept[-1] >= d or (np.diff(kept) <= 0).any():
        raise InputError(f"kept columns must be ascending, each once, from 0 to {d - 1}")
    if run > 1:
        units, counts = np.unique(kept // run, return_counts=True)
        if (counts != run).any():
            unit = int(units[counts != run][0])
            raise InputError(f"unit {unit} is kept in part; heads and key-value groups of {run} columns go whole")
    if not np.isfinite(weight).all() or (bias is not None and not np.isfinite(bias).all()):
        raise InputError("weights of the layer are not finite; is the checkpoint damaged?")
    for moments in () if seen is None else (seen.fit, seen.held):
        if moments is None:
            continue
        if len(moments.mean) != d:
            raise InputError(
                f"the layer takes {d} inputs, and the statistics are of {len(moments.mean)}; gather them anew from "
                "this model"
            )
        if moments.count < 1:
            raise InputError("no token was seen; is the calibration empty, or masked everywhere?")
        if not (np.isfinite(moments.mean).all() and np.isfinite(moments.gram).all()):
            raise InputError("statistics of the inputs are not finite; gather them anew with the model in float32")


def moments_for(kind: str, seen: Seen | None) -> Moments:
    """Return the moments that a repair is fitted on.

    Raises:
        InputError: nothing was seen.
    """
    if seen is None:
        raise InputError(f"reconstruction {kind} is fitted on a calibration; give one, or take reconstruction none")
    return seen.fit


def balanced(
    weight: np.ndarray, bias: np.ndarray | None, moments: Moments, kept: np.ndarray, new: np.ndarray
) -> np.ndarray:
    """Return the bias with which new weights keep the mean of the output: b + mean_y - W' mean_S, (d_out,)."""
    shift = moments.mean_output(weight) - new @ moments.mean[kept]
    return shift if bias is None else bias + shift


class OutputError:
    """Sum over tokens of |y + b - W' z_S - b'|^2 for many W' and b', y the output to imitate and z the present inputs.

    sum |y|^2 - 2 tr(W' T_S) + tr(W' G_SS W'^T) + 2 N g^T (mean_y - W' mean_S) + N |g|^2 with T = sum z y^T and
    g = b - b'. Differences of large numbers: exact to about 1e-16 of the dense output's square.

    Args:
        weight: (d_out, d).
        bias: (d_out,), or None.
        moments: of the tokens.
        order: inputs in the order in which keep sets grow, so that each set is the first of them; as they come by
            default.
    """

    def __init__(
        self, weight: np.ndarray, bias: np.ndarray | None, moments: Moments, order: np.ndarray | None = None
    ) -> None:
        self._bias, self._count = 0.0 if bias is None else bias, moments.count
        self._wished, self._whole = moments.aim(weight, centred=False)
        self._gram, self._means = moments.gram, moments.mean
        if order is not None:
            self._wished, self._means = self._wished[order], self._means[order]
            self._gram = self._gram[np.ix_(order, order)]
        self._mean = moments.mean_output(weight)

    def __call__(self, kept: np.ndarray, new: np.ndarray, shift: np.ndarray | None) -> float:
        """Return the error of (d_out, s) weights of these inputs and (d_out,) bias."""
        return self._of(new.T, shift, self._wished[kept], self._means[kept], self._gram[np.ix_(kept, kept)])

    def of_first(self, new: np.ndarray, shift: np.ndarray | None) -> float:
        """Return the error of weights of the first s inputs, transposed: (s, d_out), and (d_out,) bias."""
        s = len(new)
        return self._of(new, shift, self._wished[:s], self._means[:s], self._gram[:s, :s])

    def _of(
        self, new: np.ndarray, shift: np.ndarray | None, wished: np.ndarray, means: np.ndarray, gram: np.ndarray
    ) -> float:
        gap = np.broadcast_to(self._bias - (0.0 if shift is None else shift), (new.shape[1],))
        # as a product with the symmetric W'^T W', which costs half of W' G_SS
        own = float(np.einsum("ij,ij->", new @ new.T, gram))
        cross = float(np.einsum("so,so->", new, wished))
        between = float(gap @ (self._mean - new.T @ means))
        return max(0.0, self._whole - 2 * cross + own + self._count * (2 * between + float(gap @ gap)))


def squared_error(
    weight: np.ndarray,
    bias: np.ndarray | None,
    moments: Moments,
    kept: np.ndarray,
    new: np.ndarray,
    shift: np.ndarray | None,
) -> float:
    """Return the sum over tokens of |W x + b - W' x_S - b'|^2, from moments alone.

    With D = W less W' on the kept columns and c = b - b' it is tr(D G D^T) + 2 N c^T D mu + N |c|^2; about the means,
    with e = D mu + c, tr(D Gc D^T) + N |e|^2, which loses no digits to a large mean.
    """
    if moments.wanted is not None:
        return OutputError(weight, bias, moments)(kept, new, shift)
    difference = weight.copy()
    difference[:, kept] -= new
    gap = difference @ moments.mean - (0.0 if shift is None else shift) + (0.0 if bias is None else bias)
    # where only the bias is new, few columns differ; and D^T D is symmetric, so that it costs half of D Gc
    changed = np.flatnonzero(difference.any(axis=0))
    columns = difference[:, changed]
    quadratic = float(np.einsum("ij,ij->", columns.T @ columns, moments.centred[np.ix_(changed, changed)]))
    return max(0.0, quadratic) + moments.count * float(gap @ gap)
