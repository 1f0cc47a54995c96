import numpy as np
import pytest

from harmonia.maths.regression_mean import RegressionMean

GRAMS = np.array([[[2.0, 1], [1, 2]], [[1, 0], [0, 3]]])
LAYERS = np.array([[[1.0, 0]], [[0, 1]]])


@pytest.mark.parametrize(
    ("alpha", "expected"), [(1, [0.428571, 0.714286]), (0.9, [0.457364, 0.697674]), (0, [2 / 3, 0.6])]
)
def test_by_hand(alpha, expected):
    assert RegressionMean(GRAMS, np.ones(2), alpha).merge(LAYERS)[0] == pytest.approx(expected, abs=2e-6)


def test_weights_count_inputs():
    """A weight of 2 is as if those inputs had come twice."""
    twice = RegressionMean(GRAMS[[0, 0, 1]], np.ones(3), 1).merge(LAYERS[[0, 0, 1]])
    np.testing.assert_allclose(RegressionMean(GRAMS, np.array([2.0, 1]), 1).merge(LAYERS), twice, atol=1e-12)


def test_rows_are_by_themselves_and_linear():
    random = np.random.default_rng(0)
    inputs = random.standard_normal((3, 20, 4))
    mean = RegressionMean(inputs.transpose(0, 2, 1) @ inputs, np.ones(3), 0.9)
    layers = random.standard_normal((3, 6, 4))
    whole = mean.merge(layers)
    np.testing.assert_allclose(mean.merge(layers[:, 2:3]), whole[2:3], atol=1e-12)
    np.testing.assert_allclose(mean.merge(2 * layers + 1), 2 * whole + 1, atol=1e-10)
