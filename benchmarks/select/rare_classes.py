"""Which recipe finds the rare classes? A budget of 64 images from a pool in which half of the classes are rare.

Classes 0 to 4 are whole, of classes 5 to 9 one in ten is left. A logistic regression learns from the picks and is
tested on as many images of every class. Differences to random are paired by seed (pool, split and picks).

    python -m benchmarks.select.rare_classes --data digits --out results
    python -m benchmarks.select.rare_classes --data fashion-mnist --out results
"""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass

import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression

from benchmarks.datasets import fashion_mnist
from benchmarks.record import Record, compared, options, single_threaded
from harmonia.core.progress import set_quiet
from harmonia.maths.spectrum import participation_ratio
from harmonia.select import (
    Constant,
    Decorrelation,
    FacilityLocation,
    GraphCut,
    Greedy,
    Gumbel,
    KCenter,
    Leverage,
    LogDet,
    Prototypes,
    Stratified,
    TopN,
    pick,
)
from harmonia.select.objective.base import Objective
from harmonia.select.solver.base import Solver

BUDGET = 64
PER_SET, UNIT = Decorrelation(normalise="per_set"), Decorrelation(zero="drop")
ARMS: dict[str, tuple[str, Objective, Solver]] = {
    "random": ("raw", Constant(), Gumbel()),
    "k-means": ("pca", Constant(), Stratified(strata="cluster", alpha=0)),
    "disf, raw pixels": ("raw", PER_SET, Greedy(first="random")),
    "disf, PCA": ("pca", PER_SET, Greedy(first="random")),
    "disf-unit, raw pixels": ("raw", UNIT, Greedy(first="random")),
    "disf-unit, raw, standardised": ("raw", Decorrelation(standardise=True, zero="drop"), Greedy(first="random")),
    "disf-unit, PCA": ("pca", UNIT, Greedy(first="random")),
    "facility-location, raw pixels": ("raw", FacilityLocation(zero="drop"), Greedy()),
    "facility-location, PCA": ("pca", FacilityLocation(zero="drop"), Greedy()),
    "graph-cut, PCA": ("pca", GraphCut(), Greedy()),
    "log-det, PCA": ("pca", LogDet(), Greedy()),
    "leverage, PCA": ("pca", Leverage(), Greedy()),
    "k-center, PCA": ("pca", Constant(), KCenter()),
    "prototypes, PCA": ("pca", Prototypes(), TopN()),
}


@dataclass(frozen=True)
class Task:
    """A pool in which some classes are rare, and a test set in which none is."""

    raw: np.ndarray
    pca: np.ndarray
    labels: np.ndarray
    test: np.ndarray
    test_labels: np.ndarray


def task(data: str, seed: int) -> Task:
    """Draw a pool and a balanced test set."""
    random = np.random.default_rng(seed)
    if data == "digits":
        X, y = load_digits(return_X_y=True)
        X, per_class, per_test, components = X.astype(np.float32) / 16, 140, 30, 20
    else:
        X, y = fashion_mnist("train")
        per_class, per_test, components = 600, 100, 64
    pool, test = [], []
    for label in range(10):
        rows = random.permutation(np.flatnonzero(y == label))
        test.append(rows[:per_test])
        pool.append(rows[per_test : per_test + (per_class if label < 5 else per_class // 10)])
    kept, held = random.permutation(np.concatenate(pool)), np.concatenate(test)
    pca = PCA(components, random_state=0).fit(X[kept])
    return Task(X[kept], pca.transform(X[kept]).astype(np.float32), y[kept], pca.transform(X[held]), y[held])


def accuracy(here: Task, rows: np.ndarray) -> float:
    """Return the test accuracy of a logistic regression on some images; a single class is all it can then say."""
    labels = here.labels[rows]
    if len(np.unique(labels)) == 1:
        return float((here.test_labels == labels[0]).mean())
    return float(LogisticRegression(max_iter=2000).fit(here.pca[rows], labels).score(here.test, here.test_labels))


def main() -> None:
    """Measure."""
    parser = options(__doc__)
    parser.add_argument("--data", choices=("digits", "fashion-mnist"), default="digits")
    parser.add_argument("--seeds", type=int, default=20)
    given = parser.parse_args()
    single_threaded(given.threads)
    set_quiet(True)
    warnings.filterwarnings("ignore", module="sklearn")
    measures = ("accuracy", "classes", "rare share", "participation")
    values: dict[str, dict[str, list[float]]] = {arm: {m: [] for m in measures} for arm in ARMS}
    seconds = dict.fromkeys(ARMS, 0.0)
    for seed in range(given.seeds):
        here = task(given.data, seed)
        for arm, (features, objective, solver) in ARMS.items():
            start = time.perf_counter()
            rows = pick(getattr(here, features), objective, solver, budget=BUDGET, seed=seed).rows
            seconds[arm] += (time.perf_counter() - start) / given.seeds
            labels = here.labels[rows]
            for measure, value in zip(
                measures,
                (
                    accuracy(here, rows),
                    len(np.unique(labels)),
                    np.mean(labels >= 5),
                    participation_ratio(np.linalg.eigvalsh(np.cov(here.pca[rows].T))),
                ),
                strict=True,
            ):
                values[arm][measure].append(float(value))
    record = Record(
        f"rare_classes_{given.data}",
        "Mean ± standard deviation over seeds; Δ: paired difference to random with its 95 % interval",
        vars(given),
    )
    for row in compared(values, "random"):
        record.add(
            **{k: v for k, v in row.items() if not k.startswith("Δ") or k == "Δ accuracy"}, seconds=seconds[row["arm"]]
        )
    record.facts |= {
        f"accuracy of {row['arm']} minus that of facility-location, PCA": row["Δ accuracy"]
        for row in compared(values, "facility-location, PCA")
        if row["arm"].startswith("disf-unit")
    }
    record.save(given.out)


if __name__ == "__main__":
    main()
