"""Quality and diversity together on Fashion-MNIST with 20 % wrong labels, and a budget of a tenth.

Quality is the margin of a weak classifier, trained on 500 clean images, for the label that an image carries. The joint
objective is lambda quality + (1 - lambda) diversity. A logistic regression on PCA-64 learns from the picks and is
tested on clean labels. Differences are paired by seed (pool, noise, weak classifier, test images).

    python -m benchmarks.select.noisy_labels --out results
"""

from __future__ import annotations

import time
import warnings

import numpy as np
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression

from benchmarks.datasets import fashion_mnist
from benchmarks.record import Record, compared, options, single_threaded
from harmonia.core.progress import set_quiet
from harmonia.select import (
    Constant,
    Decorrelation,
    FacilityLocation,
    FrankWolfe,
    Greedy,
    Gumbel,
    Pairwise,
    Quality,
    Term,
    TopN,
    Weighted,
    pick,
)
from harmonia.select.objective.base import Objective
from harmonia.select.solver.base import Solver

NOISE, CLEAN, TEST, COMPONENTS = 0.2, 500, 2000, 64


def joint(weight: float, diversity: Objective) -> Weighted:
    """Return lambda quality + (1 - lambda) diversity."""
    return Weighted(
        terms=(Term(weight=weight, objective=Quality(scale="rank")), Term(weight=1 - weight, objective=diversity))
    )


ARMS: dict[str, tuple[Objective, Solver]] = {
    "random": (Constant(), Gumbel()),
    "top quality": (Quality(), TopN()),
    "qurating": (Quality(), Gumbel(temperature=2.0)),
    "pairwise only": (Pairwise(), FrankWolfe()),
    "facility-location only": (FacilityLocation(), Greedy()),
    "decorrelation only": (Decorrelation(), FrankWolfe()),
    **{f"quality {w} + pairwise": (joint(w, Pairwise()), FrankWolfe()) for w in (0.1, 0.3, 0.5)},
    **{f"quality {w} + facility location": (joint(w, FacilityLocation()), Greedy()) for w in (0.1, 0.3, 0.5)},
    **{f"quality {w} + decorrelation": (joint(w, Decorrelation()), FrankWolfe()) for w in (0.1, 0.3)},
}
COMPARED_WITH = ("random", "top quality", "pairwise only")


def main() -> None:
    """Measure."""
    parser = options(__doc__)
    parser.add_argument("--rows", type=int, default=5000)
    parser.add_argument("--seeds", type=int, default=10)
    given = parser.parse_args()
    single_threaded(given.threads)
    set_quiet(True)
    warnings.filterwarnings("ignore", module="sklearn")
    images, truth = fashion_mnist("train")
    measures = ("accuracy", "wrong labels", "quality")
    values: dict[str, dict[str, list[float]]] = {arm: {m: [] for m in measures} for arm in ARMS}
    seconds = dict.fromkeys(ARMS, 0.0)
    for seed in range(given.seeds):
        random = np.random.default_rng(seed)
        clean, pool, test = np.split(
            random.permutation(len(images))[: CLEAN + given.rows + TEST], [CLEAN, CLEAN + given.rows]
        )
        pca = PCA(COMPONENTS, random_state=0).fit(images[pool])
        X, X_test = pca.transform(images[pool]).astype(np.float32), pca.transform(images[test])
        wrong = random.random(given.rows) < NOISE
        labels = np.where(wrong, (truth[pool] + random.integers(1, 10, given.rows)) % 10, truth[pool])
        weak = LogisticRegression(max_iter=2000).fit(pca.transform(images[clean]), truth[clean])
        p = weak.predict_proba(X)
        own = p[np.arange(given.rows), labels].copy()
        p[np.arange(given.rows), labels] = -1
        quality = own - p.max(axis=1)
        for arm, (objective, solver) in ARMS.items():
            start = time.perf_counter()
            rows = pick(X, objective, solver, budget="10%", quality=quality, seed=seed).rows
            seconds[arm] += (time.perf_counter() - start) / given.seeds
            model = LogisticRegression(C=0.1, max_iter=500).fit(X[rows], labels[rows])
            for measure, value in zip(
                measures, (model.score(X_test, truth[test]), wrong[rows].mean(), quality[rows].mean()), strict=True
            ):
                values[arm][measure].append(float(value))
    record = Record(
        "noisy_labels",
        "Mean ± standard deviation over seeds; Δ: paired differences of accuracy with their 95 % intervals",
        vars(given),
    )
    against = {base: {row["arm"]: row["Δ accuracy"] for row in compared(values, base)} for base in COMPARED_WITH}
    for row in compared(values, "random"):
        record.add(
            **{k: v for k, v in row.items() if not k.startswith("Δ")},
            **{f"Δ to {base}": against[base][row["arm"]] for base in COMPARED_WITH},
            seconds=seconds[row["arm"]],
        )
    record.save(given.out)


if __name__ == "__main__":
    main()
