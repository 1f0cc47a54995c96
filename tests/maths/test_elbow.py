import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harmonia.maths.elbow import elbow


@given(st.integers(1, 40), st.integers(1, 40), st.floats(-5, 5), st.floats(0.1, 5))
def test_a_step_is_found_exactly(before, after, low, rise):
    assert elbow(np.repeat([low + rise, low], [before, after])) == before


@given(
    st.lists(st.integers(-100, 100), min_size=2, max_size=50), st.sampled_from([0.25, 2.0, 64.0]), st.integers(-50, 50)
)
def test_scale_and_shift_of_the_gains_do_not_matter(gains, scale, shift):
    gains = np.array(gains, float)
    assert elbow(scale * gains + shift) == elbow(gains)


def test_falling_gains_flatten_where_they_cross_their_average():
    gains = 1 / np.arange(1.0, 101)
    assert elbow(gains) == np.count_nonzero(gains > gains.mean()) == 19


@pytest.mark.parametrize("gains", [[2.0] * 9, [0.1] * 1000, [1.0, 2, 3], [5.0], []])
def test_constant_and_growing_gains_have_no_elbow(gains):
    assert elbow(np.array(gains)) is None


def test_a_first_pick_of_infinite_gain_counts_but_is_not_measured():
    assert elbow(np.array([np.inf, 4, 4, 1, 1, 1])) == 3


def test_noise_does_not_need_smoothing():
    noise = 0.5 * np.random.default_rng(0).normal(size=400)
    assert abs(elbow(np.repeat([3.0, 1.0], [100, 300]) + noise) - 100) <= 2
