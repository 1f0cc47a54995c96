"""Representatives by kernels: closed forms, and the low-rank product against the exact one."""

import numpy as np
import pytest

from harmonia.maths.kcm import kernel, pivoted, representatives


def test_neurons_that_are_like_no_other_stand_for_themselves():
    np.testing.assert_allclose(representatives(np.eye(5), 1e-12, 200), np.ones(5), rtol=1e-6)


@pytest.mark.parametrize("copies", [2, 3, 5])
def test_copies_share_what_one_would_have(copies):
    K = np.kron(np.eye(3), np.ones((copies, copies)))
    np.testing.assert_allclose(representatives(K, 1e-12, 200), np.full(3 * copies, 1 / copies), rtol=1e-6)


def test_kernel_by_hand_and_by_its_median_width():
    rows = np.array([[0.0, 0], [3, 4], [0, 1]])
    np.testing.assert_allclose(kernel(rows, 25.0)[0], np.exp([0, -1, -1 / 25]))
    np.testing.assert_allclose(kernel(rows)[0], np.exp([0, -25 / 18, -1 / 18]))  # squared distances 25, 1 and 18
    assert kernel(np.ones((3, 2))).tolist() == np.ones((3, 3)).tolist()
    assert kernel(np.ones((1, 2))).tolist() == [[1.0]]


def test_the_kernel_does_not_see_where_the_origin_is():
    rows = np.random.default_rng(0).normal(size=(6, 3))
    np.testing.assert_allclose(kernel(rows + 5), kernel(rows), rtol=1e-9)
    np.testing.assert_allclose(kernel(7 * rows), kernel(rows), rtol=1e-9)


def test_low_rank_reaches_the_kernel_and_its_representatives():
    K = kernel(np.random.default_rng(0).normal(size=(30, 2)))
    U = pivoted(K, 30)
    np.testing.assert_allclose(U @ U.T, K, atol=1e-9)
    errors = [np.abs(K - pivoted(K, rank) @ pivoted(K, rank).T).max() for rank in (2, 8, 20)]
    assert errors[0] > errors[1] > errors[2]
    exact = representatives(K, 1e-6, 60)
    np.testing.assert_allclose(representatives(K, 1e-6, 60, rank=30), exact, rtol=1e-4)


def test_steps_and_tolerance_end_the_iteration():
    K = kernel(np.random.default_rng(0).normal(size=(12, 2)))
    long = representatives(K, 1e-300, 4000)
    error = [np.abs(representatives(K, 1e-300, steps) - long).max() for steps in (5, 50, 500)]
    assert error[0] > error[1] > error[2]
    assert (representatives(K, 1e9, 50) == representatives(K, 1e-300, 1)).all()
