import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harmonia.core.errors import InputError
from harmonia.maths.mirror_weights import MirrorAscent, mirror_step

simplex = st.lists(st.floats(0.01, 1), min_size=2, max_size=6).map(lambda x: np.array(x) / sum(x))
losses = st.lists(st.floats(0, 5), min_size=6, max_size=6).map(np.array)


def test_numbers():
    after = mirror_step(np.array([0.5, 0.5]), np.array([0.2, 0.0]), eta=1.0, smoothing=1e-4)
    np.testing.assert_allclose(after, [0.549829, 0.450171], atol=5e-7)
    # by hand: e^0.2 / (1 + e^0.2), then 0.9999 of it and half of 0.0001
    assert after[0] == pytest.approx(0.9999 * np.exp(0.2) / (1 + np.exp(0.2)) + 0.00005, abs=1e-15)


@given(simplex, losses, st.floats(0, 3), st.floats(0, 1))
def test_stays_on_the_simplex_above_the_smoothing(weights, excess, eta, smoothing):
    after = mirror_step(weights, excess[: len(weights)], eta, smoothing)
    assert after.sum() == pytest.approx(1, abs=1e-12)
    assert (after >= smoothing / len(weights) - 1e-15).all()


@given(simplex, losses, st.floats(-3, 3))
def test_a_common_excess_cancels(weights, excess, shift):
    own = excess[: len(weights)]
    np.testing.assert_allclose(mirror_step(weights, own), mirror_step(weights, own + shift), rtol=1e-10)


@given(simplex, losses, losses)
def test_without_smoothing_steps_add_up(weights, a, b):
    a, b = a[: len(weights)], b[: len(weights)]
    twice = mirror_step(mirror_step(weights, a, 0.5, 0.0), b, 0.5, 0.0)
    np.testing.assert_allclose(twice, mirror_step(weights, a + b, 0.5, 0.0), rtol=1e-9)


@given(simplex, losses)
def test_is_the_minimiser_of_linear_plus_divergence(weights, excess):
    """argmin over the simplex of -eta l.a + KL(a | weights): no feasible move lowers it."""
    own = excess[: len(weights)]

    def cost(a):
        return -own @ a + (a * np.log(a / weights)).sum()

    best = mirror_step(weights, own, 1.0, 0.0)
    for other in (weights, np.full(len(weights), 1 / len(weights)), np.roll(weights, 1)):
        assert cost(best) <= cost(other) + 1e-9


def test_limits_keep_all_sources_equal():
    for settings in ({"eta": 0.0}, {"smoothing": 1.0}):
        state = MirrorAscent(3, **settings)
        for excess in ([1.0, 0, 2], [0, 3, 0]):
            np.testing.assert_allclose(state.update(np.array(excess)), 1 / 3, rtol=1e-12)
        np.testing.assert_allclose(state.mean, 1 / 3, rtol=1e-12)


def test_mean_over_steps():
    state = MirrorAscent(2)
    np.testing.assert_array_equal(state.mean, [0.5, 0.5])
    path = [state.update(np.array([x, 0.0])).copy() for x in (0.2, 0.5, 0.1)]
    np.testing.assert_allclose(state.mean, np.mean(path, axis=0), rtol=1e-14)


def test_huge_excess_does_not_overflow():
    np.testing.assert_allclose(mirror_step(np.array([0.5, 0.5]), np.array([1e6, 0.0]), smoothing=0.1), [0.95, 0.05])


def test_a_nan_is_named():
    with pytest.raises(InputError, match="excess loss of domain 1 is not finite"):
        mirror_step(np.array([0.5, 0.5]), np.array([0.0, np.nan]))
