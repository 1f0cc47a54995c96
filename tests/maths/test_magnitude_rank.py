import numpy as np
import pytest

from harmonia.maths.magnitude_rank import rank_probabilities


def test_by_hand():
    found = rank_probabilities(np.array([[0.1, -3, 2], [0, 1, -1]]), 0.5, 0.2)
    np.testing.assert_allclose(found, [[0.3, 0.7, 0.5], [0.3, 0.7, 0.5]])
    assert rank_probabilities(np.ones((2, 1)), 0.5, 0.2).tolist() == [[0.5], [0.5]]


@pytest.mark.parametrize("length", [2, 3, 100])
def test_the_middle_is_the_mean_and_larger_is_likelier(length):
    rows = np.random.default_rng(0).standard_normal((5, length))
    found = rank_probabilities(rows, 0.4, 0.3)
    np.testing.assert_allclose(found.mean(axis=1), 0.4)
    for row, p in zip(rows, found, strict=True):
        assert (np.diff(p[np.argsort(np.abs(row))]) > 0).all()
