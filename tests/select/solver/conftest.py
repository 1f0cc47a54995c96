"""Small pools and objectives whose best sets are known."""

import numpy as np
import pytest

from harmonia.select.budget import Budget
from harmonia.select.context import Context
from harmonia.select.objective.pairwise import Pairwise
from harmonia.select.pool import Pool
from harmonia.select.set_function import Modular, WeightedSum
from harmonia.select.solver.base import Problem


class Bench:
    """Builds problems."""

    @staticmethod
    def pool(n, seed=0, d=6, sources=3):
        random = np.random.default_rng(seed)
        X = random.normal(size=(n, d)).astype(np.float32)
        return Pool.from_arrays(
            X,
            quality=random.uniform(0.1, 1, n),
            ids=[f"doc{i}" for i in range(n)],
            sources=[f"s{c}" for c in random.integers(0, sources, n)],
            tokens=random.integers(1, 50, n),
        )

    @staticmethod
    def quality(pool):
        return Modular("quality", pool.quality["quality"])

    @staticmethod
    def joint(pool, weight=0.3, dtype=np.float64):
        diversity = Pairwise().fit(pool, Context(dtype=dtype))
        return WeightedSum([weight, 1 - weight], [Bench.quality(pool), diversity])

    @staticmethod
    def problem(pool, function, amount, unit="documents", seed=0, chosen=(), floors=None, ceilings=None, **context):
        return Problem(
            pool,
            function,
            Budget(amount, unit, floors or {}, ceilings or {}),
            Context(seed=seed, **context),
            np.array(chosen, np.int64),
        )

    @staticmethod
    def permuted(pool, order):
        """The same documents in another order."""
        return Pool.from_arrays(
            pool.features[order],
            quality={k: v[order] for k, v in pool.quality.items()},
            ids=[pool.name_of(int(i)) for i in order],
            tokens=pool.tokens[order],
            sources=[pool.source_names[s] for s in pool.sources[order]],
        )


@pytest.fixture
def bench():
    return Bench
