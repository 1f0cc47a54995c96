"""Latency curves: exact where times are of that form, and sensible where they are not."""

import numpy as np
import pytest

from harmonia.maths.latency_curve import fit_curve


@pytest.mark.parametrize(("floor", "threshold", "slope"), [(3.0, 4, 0.5), (0.0, 0, 1.0), (2.0, 0, 0.25), (1.0, 7, 2.0)])
def test_recovers_a_curve_of_its_form(floor, threshold, slope):
    units = np.arange(1, 13)
    found = fit_curve(units, floor + slope * np.maximum(units - threshold, 0))
    assert found == (pytest.approx(floor, abs=1e-9), threshold, pytest.approx(slope))


def test_constant_and_falling_times_have_no_slope():
    assert fit_curve(np.array([1, 5, 9]), np.full(3, 2.0)) == (2.0, 0, 0.0)
    floor, _, slope = fit_curve(np.array([1, 5, 9]), np.array([3.0, 2.0, 1.0]))
    assert floor == pytest.approx(2) and slope == 0
