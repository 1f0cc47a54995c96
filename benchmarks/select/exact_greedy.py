"""DiSF's greedy in its exact rank-one form against scoring every candidate by recomputation.

Both pick from the same rows in float64 and must pick the same. "d x d" standardises each candidate set and multiplies
out its correlation matrix, as the definition says and the authors' code does; "n x n" recomputes too, but through the
smaller Gram matrix of the set.

    python -m benchmarks.select.exact_greedy --out results
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmarks.record import Record, options, single_threaded
from benchmarks.timing import in_turn
from harmonia.maths.decorrelation import EPS, correlation_energy
from harmonia.maths.decorrelation_per_set import PerSetClimb


def feature_correlation_energy(X: np.ndarray) -> float:
    """Return the sum of squared off-diagonal correlations through the (d, d) correlation matrix."""
    Z = X - X.mean(axis=0)
    Z /= np.sqrt(X.var(axis=0, ddof=1) + EPS)
    R = Z.T @ Z / (len(X) - 1)
    np.fill_diagonal(R, 0.0)
    return float((R * R).sum())


def recomputed(X: np.ndarray, first: int, picks: int, energy: Callable[[np.ndarray], float]) -> list[int]:
    """Pick greedily, scoring each candidate set from scratch."""
    chosen = [first]
    while len(chosen) < picks:
        rest = np.setdiff1d(np.arange(len(X)), chosen)
        chosen.append(int(rest[np.argmin([energy(X[[*chosen, row]]) for row in rest])]))
    return chosen


def rank_one(X: np.ndarray, first: int, picks: int) -> list[int]:
    """Pick greedily with harmonia's running state."""
    climb = PerSetClimb(X)
    chosen = [first]
    climb.add(first)
    while len(chosen) < picks:
        gains = climb.gains()
        gains[chosen] = -np.inf
        chosen.append(int(np.argmax(gains)))
        climb.add(chosen[-1])
    return chosen


def main() -> None:
    """Measure."""
    parser = options(__doc__)
    parser.add_argument("--rows", type=int, default=1024)
    parser.add_argument("--dimension", type=int, default=768)
    parser.add_argument("--picks", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    single_threaded(given.threads)
    X = np.random.default_rng(0).normal(size=(given.rows, given.dimension))
    times = in_turn(
        {
            "rank-one (harmonia)": lambda: rank_one(X, 0, given.picks),
            "n x n recomputation": lambda: recomputed(X, 0, given.picks, correlation_energy),
            "d x d recomputation": lambda: recomputed(X, 0, given.picks, feature_correlation_energy),
        },
        given.repeats,
    )
    ours = times["rank-one (harmonia)"]
    record = Record("exact_greedy", "DiSF, one batch: seconds for all picks (median)", vars(given))
    for name, timed in times.items():
        record.add(
            version=name,
            seconds=timed.median,
            times_slower=timed.median / ours.median,
            same_picks=timed.result == ours.result,
        )
    record.save(given.out)


if __name__ == "__main__":
    main()
