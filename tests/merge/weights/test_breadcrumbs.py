import numpy as np
import pytest

from harmonia.merge.weights import Breadcrumbs, BreadcrumbsTies, TaskArithmetic, Ties


def reference(row, density, gamma):
    order = np.argsort(-np.abs(row), kind="stable")
    top = int(gamma * len(row))
    order = order[top : top + max(1, int(density * len(row)))]
    out = np.zeros(len(row))
    out[order] = row[order]
    return out


def test_by_hand(merge):
    task = [5, -1, 2, -3, 0.5]
    assert merge(Breadcrumbs(density=0.4, gamma=0.2), [task], [0] * 5).tolist() == [0, 0, 2, -3, 0]
    assert merge(Breadcrumbs(density=1, gamma=0.2), [task], [0] * 5).tolist() == [0, -1, 2, -3, 0.5]
    assert merge(Breadcrumbs(density=0.4, gamma=0), [task], [0] * 5).tolist() == [5, 0, 0, -3, 0]


@pytest.mark.parametrize("density", [0.05, 0.5, 1])
@pytest.mark.parametrize("gamma", [0, 0.01, 0.3])
def test_as_a_slow_reference_with_many_equals(density, gamma, merge, tangled):
    base, experts = tangled["a.weight"]
    tasks = [np.float64((expert - base).reshape(-1)) for expert in experts]
    thinned = [reference(task, density, gamma).reshape(base.shape) for task in tasks]
    found = merge(Breadcrumbs(density=density, gamma=gamma, scaling=0.5), experts, base, [1, 2, 1])
    np.testing.assert_allclose(found, base + 0.5 * (thinned[0] + 2 * thinned[1] + thinned[2]), atol=1e-6)
    assert all(np.count_nonzero(row) <= max(1, int(density * base.size)) for row in thinned)


def test_nothing_dropped_is_the_rule_without_dropping(merge, tangled):
    base, experts = tangled["a.weight"]
    assert (merge(Breadcrumbs(gamma=0), experts, base) == merge(TaskArithmetic(), experts, base)).all()
    elected = merge(BreadcrumbsTies(gamma=0), experts, base)
    assert (elected == merge(Ties(density=1, normalize=False), experts, base)).all()


def test_without_outliers_and_with_the_election_it_is_ties(merge, tangled):
    base, experts = tangled["a.weight"]
    ties = merge(Ties(density=0.3), experts, base, [1, 2, 1])
    assert (merge(BreadcrumbsTies(density=0.3, gamma=0, normalize=True), experts, base, [1, 2, 1]) == ties).all()
