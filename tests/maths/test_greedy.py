import itertools

import numpy as np
import pytest

from harmonia.core.errors import InputError
from harmonia.maths.greedy import Lazy, Sampled, Scan, ascend
from harmonia.maths.ledger import Ledger


class Coverage:
    """Facility location over a kernel: sum_i max_{j in S} K_ij."""

    diminishing, incremental = True, False

    def __init__(self, kernel):
        self.kernel, self.size = kernel, len(kernel)
        self.best, self.looked = np.zeros(len(kernel)), 0

    def gains(self, rows=None):
        rows = np.arange(self.size) if rows is None else rows
        self.looked += len(rows)
        return np.maximum(self.kernel[:, rows] - self.best[:, None], 0).sum(axis=0)

    def add(self, row):
        self.best = np.maximum(self.best, self.kernel[:, row])


def kernel(seed, n=200, d=8):
    X = np.random.default_rng(seed).normal(size=(n, d))
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    return np.maximum(X @ X.T, 0)


def run(search, K, k, **options):
    climb, ledger = Coverage(K), Ledger(np.ones(len(K), bool), k)
    return climb, ascend(climb, ledger, search(climb, ledger), **options)


def test_picks_and_gains_of_the_three_row_kernel():
    K = np.array([[1, 0.5, 0], [0.5, 1, 0.5], [0, 0.5, 1]])
    for search in (Scan, Lazy):
        _, found = run(search, K, 3)
        assert found.rows.tolist() == [1, 0, 2] and found.gains.tolist() == [2, 0.5, 0.5]
        assert found.terms.tolist() == [[2], [0.5], [0.5]]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("block", [1, 7, 64, 10**6])
def test_lazy_takes_the_rows_of_the_full_scan_with_fewer_looks(seed, block):
    K = kernel(seed)
    full, scanned = run(Scan, K, 40)
    lazy, found = run(lambda c, ledger: Lazy(c, ledger, block), K, 40)
    assert found.rows.tolist() == scanned.rows.tolist()
    np.testing.assert_allclose(found.gains, scanned.gains, rtol=1e-12)
    assert (np.diff(found.gains) <= 1e-12).all()
    if block <= 64:
        assert lazy.looked < full.looked / 2


@pytest.mark.parametrize("search", [Scan, Lazy])
def test_ties_go_to_the_lowest_row(search):
    _, found = run(search, np.eye(130), 130)
    assert found.rows.tolist() == list(range(130))


def test_greedy_reaches_its_factor_of_the_optimum():
    K = kernel(1, n=10)
    best = max(K[:, list(s)].max(axis=1).sum() for s in itertools.combinations(range(10), 3))
    _, found = run(Scan, K, 3)
    assert best * (1 - 1 / np.e) <= found.gains.sum() <= best + 1e-12


def test_a_sample_of_everything_is_the_full_scan():
    K = kernel(2)
    order = np.random.default_rng(0).permutation(200)
    _, scanned = run(Scan, K, 30)
    _, found = run(lambda c, ledger: Sampled(c, ledger, order, 200, np.random.default_rng), K, 30)
    assert found.rows.tolist() == scanned.rows.tolist()


def test_small_samples_lose_little_and_repeat():
    K = kernel(3)
    search = lambda c, ledger: Sampled(c, ledger, np.arange(200), 20, np.random.default_rng)  # noqa: E731
    climb, found = run(search, K, 40)
    _, again = run(search, K, 40)
    _, scanned = run(Scan, K, 40)
    assert found.rows.tolist() == again.rows.tolist()
    assert len(set(found.rows.tolist())) == 40
    assert climb.looked <= 40 * 20
    assert found.gains.sum() > 0.9 * scanned.gains.sum()


@pytest.mark.parametrize(
    "search", [Scan, Lazy, lambda c, ledger: Sampled(c, ledger, np.arange(4), 1, np.random.default_rng)]
)
def test_rows_of_gain_minus_infinity_are_never_taken(search):
    class Excluding(Coverage):
        def gains(self, rows=None):
            rows = np.arange(4) if rows is None else rows
            return np.where(rows % 2 == 0, super().gains(rows), -np.inf)

    climb, ledger = Excluding(np.eye(4)), Ledger(np.ones(4, bool), 3)
    found = ascend(climb, ledger, search(climb, ledger))
    assert sorted(found.rows.tolist()) == [0, 2] and not ledger.done


def test_nan_is_named():
    climb, ledger = Coverage(np.full((3, 3), np.nan)), Ledger(np.ones(3, bool), 1)
    with pytest.raises(InputError, match="nan for row 0 at pick 1"):
        ascend(climb, ledger, Scan(climb, ledger))


def test_the_first_row_can_be_given():
    K = kernel(4)
    for search in (Scan, Lazy):
        _, found = run(search, K, 5, first=17)
        assert found.rows[0] == 17 and found.gains[0] == pytest.approx(K[:, 17].sum())
