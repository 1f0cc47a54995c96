"""Frank-Wolfe against mask policy gradient on the joint objective of DATAMASK.

The pool is a mixture of 20 clusters with Dirichlet(.5) weights; quality is linked to the first coordinate of a row's
cluster centre. f = .3 mean quality + .7 mean pairwise diversity, 1,000 of 10,000 rows. No subset exceeds the bound that
Frank-Wolfe certifies, however well a policy gradient is tuned.

    python -m benchmarks.select.certified_optimum --out results
"""

from __future__ import annotations

import statistics
from functools import partial

import numpy as np

from benchmarks.record import Record, options, single_threaded
from benchmarks.timing import Timed, in_turn
from harmonia.select import (
    Constant,
    FrankWolfe,
    Greedy,
    Gumbel,
    MaskPolicyGradient,
    Pairwise,
    Pool,
    Quality,
    Term,
    TopN,
    Weighted,
    pick,
)
from harmonia.select.context import Context
from harmonia.select.objective.base import Objective
from harmonia.select.solver.base import Solver

WEIGHT = 0.3
JOINT = Weighted(terms=(Term(weight=WEIGHT, objective=Quality()), Term(weight=1 - WEIGHT, objective=Pairwise())))
ARMS: dict[str, tuple[Objective, Solver]] = {
    "random": (Constant(), Gumbel()),
    "top quality": (Quality(), TopN()),
    "greedy": (JOINT, Greedy()),
    "Frank-Wolfe": (JOINT, FrankWolfe()),
    "policy gradient, 600 steps": (JOINT, MaskPolicyGradient()),
    "policy gradient, 2400 steps": (JOINT, MaskPolicyGradient(steps=2400)),
}


def pool(n: int, d: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return unit rows (n, d) and their quality (n,) in [0, 1]."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=(20, d))
    label = random.choice(20, n, p=random.dirichlet(np.full(20, 0.5)))
    rows = centres[label] + random.normal(size=(n, d))
    linked = centres[label, 0] + 0.5 * random.normal(size=n)
    quality = (linked - linked.min()) / np.ptp(linked)
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32), quality


def main() -> None:
    """Measure."""
    parser = options(__doc__)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--dimension", type=int, default=128)
    parser.add_argument("--picks", type=int, default=1000)
    parser.add_argument("--seeds", type=int, default=5)
    given = parser.parse_args()
    single_threaded(given.threads)
    times: dict[str, list[Timed]] = {arm: [] for arm in ARMS}
    terms: dict[str, list[np.ndarray]] = {arm: [] for arm in ARMS}
    for seed in range(given.seeds):
        Z, quality = pool(given.rows, given.dimension, seed)
        function = JOINT.fit(Pool.from_arrays(Z, quality=quality), Context())
        sides = {
            arm: partial(pick, Z, objective, solver, budget=given.picks, quality=quality, seed=seed)
            for arm, (objective, solver) in ARMS.items()
        }
        for arm, timed in in_turn(sides, 1).items():
            times[arm].append(timed)
            sets = timed.result.rows[None]
            terms[arm].append(np.array([function.evaluate(sets)[0], *(t.evaluate(sets)[0] for t in function.terms)]))
    record = Record("certified_optimum", "Objective and time, means over seeds (time: median)", vars(given))
    quickest = statistics.median(t.median for t in times["Frank-Wolfe"])
    for arm in ARMS:
        f, quality_term, diversity = np.mean(terms[arm], axis=0)
        seconds = statistics.median(t.median for t in times[arm])
        record.add(
            arm=arm,
            f=round(float(f), 6),
            quality=float(quality_term),
            diversity=float(diversity),
            seconds=seconds,
            times_slower=seconds / quickest,
        )
    best = [t.result.facts for t in times["Frank-Wolfe"]]
    f = {arm: np.array([values[0] for values in terms[arm]]) for arm in ARMS}
    record.facts |= {
        "certified gap, worst seed": max(facts["gap"] for facts in best),
        "iterations": [int(facts["iterations"]) for facts in best],
        "Frank-Wolfe minus greedy, worst seed": float((f["Frank-Wolfe"] - f["greedy"]).min()),
        **{
            f"Frank-Wolfe minus {arm}, worst seed": float((f["Frank-Wolfe"] - f[arm]).min())
            for arm in ARMS
            if arm.startswith("policy")
        },
    }
    record.save(given.out)


if __name__ == "__main__":
    main()
