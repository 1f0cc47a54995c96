import numpy as np
import pytest

from harmonia.core.errors import InputError
from harmonia.select.pool import Pool
from harmonia.select.set_function import Modular
from harmonia.select.solver.k_center import KCenter


def test_scores_are_distances_to_the_picks_before(bench):
    pool = bench.pool(50)
    picks = KCenter().solve(bench.problem(pool, Modular("constant", np.zeros(50)), 12))
    X = np.asarray(pool.features, np.float64)
    assert picks.scores[0] == 0
    for i in range(1, 12):
        nearest = np.linalg.norm(X[:, None] - X[picks.rows[:i]], axis=2).min(axis=1)
        assert picks.scores[i] == pytest.approx(nearest.max(), rel=1e-5)
    assert (np.diff(picks.scores[1:]) <= 1e-6).all()


def test_it_goes_away_from_what_is_chosen(bench):
    pool = Pool.from_arrays(np.array([[0.0], [1], [5], [9]]))
    picks = KCenter().solve(bench.problem(pool, Modular("constant", np.zeros(4)), 2, chosen=[0]))
    assert picks.rows.tolist() == [3, 2] and picks.scores.tolist() == [9, 4]


def test_features_are_needed(bench):
    pool = Pool.from_arrays(quality=np.ones(4))
    with pytest.raises(InputError, match="solver k-center needs feature vectors"):
        KCenter().solve(bench.problem(pool, bench.quality(pool), 2))
