import numpy as np
import pytest

from harmonia.maths.model_stock import stock_ratio


def test_by_hand():
    assert stock_ratio(np.array([[1.0, 1], [1, 2]])) == pytest.approx(0.828427, abs=1e-6)
    assert stock_ratio(np.eye(3)) == 0
    assert stock_ratio(np.ones((3, 3))) == pytest.approx(1)
    assert stock_ratio(np.array([[1.0, -0.5], [-0.5, 1]])) == 0
    assert stock_ratio(np.zeros((2, 2))) == 0


@pytest.mark.parametrize("count", [2, 3, 10])
def test_more_agreement_goes_farther_and_lengths_do_not_matter(count):
    ratios = [stock_ratio((1 - c) * np.eye(count) + c) for c in np.linspace(0, 1, 11)]
    assert ratios == sorted(ratios) and ratios[-1] == pytest.approx(1)
    scale = np.arange(1, count + 1)
    assert stock_ratio(np.outer(scale, scale) * (0.5 * np.eye(count) + 0.5)) == pytest.approx(ratios[5])
