"""Least squares of removed from kept inputs: against numpy's, in chains, and where it has no answer."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harmonia.maths.interpolation import Nested, SingularError, factor, in_order, is_chain, repaired, residual

NOTHING = np.zeros(3)


def drawn(seed, n=40, d=7, out=3):
    random = np.random.default_rng(seed)
    rows = random.normal(size=(n, d)) @ random.normal(size=(d, d))
    return rows, random.normal(size=(out, d))


@given(st.integers(0, 2**20), st.integers(1, 7), st.sampled_from([0.0, 0.1, 3.0]))
def test_is_the_ridge_regression_of_removed_on_kept_inputs(seed, s, ridge):
    rows, weight = drawn(seed)
    kept = np.sort(np.random.default_rng(seed).permutation(7)[:s])
    gone = np.setdiff1d(np.arange(7), kept)
    gram = rows.T @ rows
    penalty = ridge * np.diag(gram)
    A = np.linalg.solve(gram[np.ix_(kept, kept)] + np.diag(penalty[kept]), gram[np.ix_(kept, gone)])
    found = repaired(gram, gram @ weight.T, weight, penalty, [kept])[0]
    np.testing.assert_allclose(found, weight[:, kept] + weight[:, gone] @ A.T, rtol=1e-6, atol=1e-6)


@given(st.integers(0, 2**20), st.sampled_from([0.0, 0.1]))
def test_a_chain_is_as_good_as_separate_solutions(seed, ridge):
    rows, weight = drawn(seed)
    order = np.random.default_rng(seed).permutation(7)
    chain = [np.sort(order[:s]) for s in (2, 3, 3, 6)]
    gram = rows.T @ rows
    penalty = ridge * np.diag(gram)
    together = repaired(gram, gram @ weight.T, weight, penalty, chain)
    for kept, found in zip(chain, together, strict=True):
        alone = repaired(gram, gram @ weight.T, weight, penalty, [kept])[0]
        np.testing.assert_allclose(found, alone, rtol=1e-6, atol=1e-6)


def test_columns_come_in_the_order_of_the_set():
    rows, weight = drawn(0)
    gram = rows.T @ rows
    up, down = np.array([1, 3, 4]), np.array([4, 3, 1])
    first, second = (repaired(gram, gram @ weight.T, weight, np.zeros(7), [kept])[0] for kept in (up, down))
    np.testing.assert_allclose(first, second[:, ::-1], rtol=1e-9)


def test_what_is_left_equals_what_is_measured():
    rows, weight = drawn(1)
    kept, gram = np.array([0, 2, 3]), rows.T @ rows
    new = repaired(gram, gram @ weight.T, weight, np.zeros(7), [kept])[0]
    assert residual(gram, weight, kept) == pytest.approx(
        ((rows @ weight.T - rows[:, kept] @ new.T) ** 2).sum(), rel=1e-8
    )
    assert residual(gram, weight, np.arange(7)) == 0


def test_factor_has_a_diagonal_of_ones_and_skips_inputs_that_are_never_there():
    gram = np.array([[4.0, 2, 0], [2, 9, 0], [0, 0, 0]])
    L, r = factor(gram, NOTHING)
    np.testing.assert_allclose(L @ L.T, [[1, 1 / 3, 0], [1 / 3, 1, 0], [0, 0, 1]], atol=1e-15)
    assert r.tolist() == [1 / 2, 1 / 3, 1]
    weight = np.array([[1.0, 2, 3]])
    assert repaired(gram, gram @ weight.T, weight, NOTHING, [np.array([0, 2])])[0][0, 1] == 3


def test_dependent_inputs_are_refused_only_where_they_are_kept():
    rows = np.random.default_rng(0).normal(size=(20, 3))
    rows[:, 2] = rows[:, 0] - 2 * rows[:, 1]
    gram, weight = rows.T @ rows, np.ones((1, 3))
    with pytest.raises(SingularError):
        repaired(gram, gram @ weight.T, weight, NOTHING, [np.arange(3)])
    found = repaired(gram, gram @ weight.T, weight, NOTHING, [np.array([0, 1])])[0]
    np.testing.assert_allclose(found, [[2, -1]], rtol=1e-9)
    assert residual(gram, weight, np.array([0, 1])) == pytest.approx(0, abs=1e-10)


def test_chains_are_told_from_other_sets():
    assert is_chain([np.array([2]), np.array([1, 2]), np.array([1, 2])])
    assert not is_chain([np.array([0]), np.array([1, 2])])
    assert is_chain([np.array([0])])


@given(st.integers(0, 2**20), st.sampled_from([0.0, 0.1, 3.0]))
def test_the_error_comes_with_the_solution(seed, ridge):
    rows, weight = drawn(seed)
    rows[:, 4] = 0  # never there: it takes no part
    order = np.random.default_rng(seed).permutation(7)
    chain = [np.sort(order[:s]) for s in (1, 3, 6)]
    gram = rows.T @ rows
    wanted = rows @ weight.T
    nested = Nested(gram, gram @ weight.T, weight, chain)
    factored = nested.factored(ridge * np.diag(gram)[nested.order])
    for kept in chain:
        solution = factored.solution(len(kept))
        new = in_order(nested.order, kept, solution)
        expected = ((wanted - rows[:, kept] @ new.T) ** 2).sum()
        assert factored.left(solution, (wanted**2).sum()) == pytest.approx(expected, rel=1e-8, abs=1e-8)
