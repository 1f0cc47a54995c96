"""disf-unit and facility-location against the facility location of apricot-select and submodlib-py.

All sides get the same unit rows from memory (the peers from a file, loaded before their clock starts), pick the same
number, and use the same number of threads. The peers hold the n x n kernel; harmonia does not. The exact searches must
agree in value; "stochastic" ones trade value for time.

    python -m benchmarks.select.against_peers --peer-python PEERS/bin/python --out results
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.peers import Peer
from benchmarks.record import Record, options, single_threaded
from benchmarks.timing import Elsewhere, in_turn
from harmonia.maths.facility_location import coverages
from harmonia.select import Decorrelation, FacilityLocation, Greedy, StochasticGreedy
from harmonia.select.arrays import pick
from harmonia.select.objective.base import Objective
from harmonia.select.solver.base import Solver

EXACT: dict[str, tuple[str, ...]] = {"apricot": ("lazy", "two-stage"), "submodlib": ("LazyGreedy",)}
APPROXIMATE: dict[str, tuple[str, ...]] = {"apricot": ("stochastic",), "submodlib": ("LazierThanLazyGreedy",)}


def pool(n: int, d: int) -> np.ndarray:
    """Return a mixture of 50 clusters of unequal size: (n, d) float32 unit rows."""
    random = np.random.default_rng(0)
    centres = random.normal(size=(50, d))
    rows = centres[random.choice(50, n, p=random.dirichlet(np.full(50, 0.5)))] + 1.5 * random.normal(size=(n, d))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def main() -> None:
    """Measure."""
    parser = options(__doc__)
    parser.add_argument("--peer-python", type=Path, required=True, help="interpreter of the peers' environment")
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--dimension", type=int, default=256)
    parser.add_argument("--picks", type=int, default=500)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--exact-only", action="store_true", help="leave the stochastic searches out")
    given = parser.parse_args()
    single_threaded(given.threads)
    Z = pool(given.rows, given.dimension)

    def mine(objective: Objective, solver: Solver) -> Callable[[], list[int]]:
        return lambda: [int(row) for row in pick(Z, objective, solver, budget=given.picks).rows]

    ours = {
        "disf-unit, whole pool": mine(Decorrelation(), Greedy()),
        "facility-location": mine(FacilityLocation(), Greedy()),
    }
    if not given.exact_only:
        ours["facility-location, stochastic"] = mine(FacilityLocation(), StochasticGreedy())
    with (
        tempfile.TemporaryDirectory() as folder,
        Peer(given.peer_python, Path("benchmarks/peers/facility_location.py"), given.threads) as peer,
    ):
        path, small = Path(folder) / "rows.npy", Path(folder) / "small.npy"
        np.save(path, Z)
        np.save(small, Z[:500])

        def ask(library: str, optimizer: str) -> Callable[[], Elsewhere]:
            peer(library=library, optimizer=optimizer, rows=str(small), k=20)
            return lambda: peer(library=library, optimizer=optimizer, rows=str(path), k=given.picks)

        asked: list[dict[str, tuple[str, ...]]] = [EXACT] if given.exact_only else [EXACT, APPROXIMATE]
        theirs = {
            f"{library}, {optimizer}": ask(library, optimizer)
            for group in asked
            for library, names in group.items()
            for optimizer in names
        }
        times = in_turn({**ours, **theirs}, given.repeats)
        versions = peer(library="versions").result["versions"]
    record = Record(
        "against_peers",
        "Seconds for all picks (median), kernels included; times faster than the quickest exact search of the peers",
        vars(given),
    )
    quickest = min(times[f"{library}, {name}"].median for library, names in EXACT.items() for name in names)
    for name, timed in times.items():
        rows = timed.result if name in ours else timed.result["picks"]
        record.add(
            side=name,
            seconds=timed.median,
            times_faster=quickest / timed.median,
            coverage=float(coverages(Z, np.array([rows]))[0]) / len(Z),
        )
    record.facts["versions of the peers"] = versions
    record.save(given.out)


if __name__ == "__main__":
    main()
