"""How the time of each recipe grows with the pool, on vectors in memory at a budget of 1 %.

The exponent is the slope of log seconds against log rows.

    python -m benchmarks.select.recipe_cost --out results
"""

from __future__ import annotations

from functools import partial

import numpy as np

from benchmarks.record import Record, options, single_threaded
from benchmarks.select.against_peers import pool
from benchmarks.timing import in_turn
from harmonia.core.progress import set_quiet
from harmonia.select import Budget, Pool
from harmonia.select.context import Context
from harmonia.select.engine import choose
from harmonia.select.recipes import BOOK

RECIPES: dict[str, list[str]] = {
    **{name: [] for name in ("random", "k-means", "semdedup", "prototypes", "disf", "disf-unit")},
    "disf-unit, whole pool": ["solver.batch=all"],
    **{name: [] for name in ("graph-cut", "log-det", "leverage", "k-center", "frank-wolfe", "facility-location")},
}


def main() -> None:
    """Measure."""
    parser = options(__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[5_000, 10_000, 20_000])
    parser.add_argument("--dimension", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    single_threaded(given.threads)
    set_quiet(True)
    seconds: dict[str, list[float]] = {name: [] for name in RECIPES}
    for n in given.sizes:
        vectors = Pool.from_arrays(pool(n, given.dimension), quality=np.random.default_rng(1).random(n))
        for name, changes in RECIPES.items():
            recipe = BOOK.load(name.split(",")[0]).with_settings(changes)
            solve = partial(choose, recipe, vectors, Budget(n // 100), Context())
            seconds[name].append(in_turn({name: solve}, given.repeats)[name].median)
    record = Record("recipe_cost", "Seconds by size, vectors given", vars(given))
    for name, times in seconds.items():
        record.add(
            recipe=name,
            **{f"{n:,}": time for n, time in zip(given.sizes, times, strict=True)},
            exponent=float(np.polyfit(np.log(given.sizes), np.log(times), 1)[0]),
        )
    record.save(given.out)


if __name__ == "__main__":
    main()
