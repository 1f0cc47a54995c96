import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harmonia.core.errors import InputError
from harmonia.core.seeds import generator
from harmonia.maths.simplex_etf import simplex_etf


def gram(classes):
    return (classes * np.eye(classes) - 1) / (classes - 1)


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 40), st.integers(-1, 50), st.integers(0, 2**31))
def test_equal_angles_and_no_sum(classes, more, seed):
    frame = simplex_etf(classes, classes + more, generator(seed))
    assert frame.shape == (classes + more, classes)
    np.testing.assert_allclose(frame.T @ frame, gram(classes), rtol=0, atol=1e-12)
    np.testing.assert_allclose(frame.sum(axis=1), 0, atol=1e-12)
    apart = np.square(frame[:, :, None] - frame[:, None, :]).sum(axis=0)[~np.eye(classes, dtype=bool)]
    np.testing.assert_allclose(apart, 2 * classes / (classes - 1), rtol=1e-12)


def test_ten_classes_in_84_features():
    products = (w := simplex_etf(10, 84, generator(0))).T @ w
    np.testing.assert_allclose(np.diag(products), 1, rtol=0, atol=1e-12)
    np.testing.assert_allclose(products[~np.eye(10, dtype=bool)], -0.1111111, rtol=0, atol=1e-7)


def test_the_least_dimension_is_one_less_than_the_classes():
    frame = simplex_etf(4, 3, generator(0))
    np.testing.assert_allclose((frame.T @ frame)[~np.eye(4, dtype=bool)], -1 / 3, rtol=0, atol=1e-12)
    with pytest.raises(
        InputError, match=r"4 classes at equal angles \(basis=qr\) need at least 3 features, .* gives 2"
    ):
        simplex_etf(4, 2, generator(0))


def test_canonical_is_the_centring_matrix_over_zeros():
    frame = simplex_etf(4, 6, basis="canonical")
    np.testing.assert_allclose(frame.T @ frame, gram(4), rtol=0, atol=1e-12)
    assert (frame[4:] == 0).all()
    with pytest.raises(InputError, match=r"4 classes at equal angles \(basis=canonical\) need at least 4 features"):
        simplex_etf(4, 3, basis="canonical")


def test_the_generator_decides_and_directions_prefer_no_axis():
    assert (simplex_etf(5, 9, generator(3)) == simplex_etf(5, 9, generator(3))).all()
    assert np.abs(simplex_etf(5, 9, generator(3)) - simplex_etf(5, 9, generator(4))).max() > 0.1
    many = np.stack([simplex_etf(3, 4, generator(i))[:, 0] for i in range(4000)])
    # a unit vector drawn evenly from the sphere in 4 dimensions: mean 0, covariance I / 4
    np.testing.assert_allclose(many.mean(axis=0), 0, atol=0.03)
    np.testing.assert_allclose(many.T @ many / 4000, np.eye(4) / 4, atol=0.02)


def test_bad_input_is_named():
    with pytest.raises(InputError, match="a simplex of 1 classes: give at least 2"):
        simplex_etf(1, 5, generator(0))
    with pytest.raises(InputError, match="basis=qr draws its directions: give a random generator"):
        simplex_etf(3, 5)
