import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import entropy as scipy_entropy

from harmonia.maths.label_skew import (
    class_laws,
    client_information,
    effective_classes,
    entropy,
    missing_classes,
    total_variation,
)

TABLES = arrays(np.int64, st.tuples(st.integers(1, 6), st.integers(1, 6)), elements=st.integers(0, 50))


@given(TABLES)
def test_total_variation_is_the_largest_difference_of_an_event(table):
    """Over all sets of classes, brute force."""
    p = class_laws(table + 1)
    q = class_laws((table + 1).sum(axis=0))
    events = np.array(np.meshgrid(*[[0, 1]] * table.shape[1])).reshape(table.shape[1], -1)
    np.testing.assert_allclose(total_variation(p, q), np.abs((p - q) @ events).max(axis=1), atol=1e-12)


@given(TABLES)
def test_total_variation_is_a_bounded_metric(table):
    p = class_laws(table + 1)
    between = total_variation(p[:, None], p[None])
    assert (between >= 0).all() and (between <= 1).all()
    assert np.array_equal(between, between.T) and (np.diag(between) == 0).all()
    assert (between[:, None] <= between[:, :, None] + between[None] + 1e-12).all()


@given(TABLES)
def test_entropy_agrees_with_scipy(table):
    np.testing.assert_allclose(entropy(class_laws(table + 1)), scipy_entropy(table + 1, axis=1), atol=1e-12)


@pytest.mark.parametrize("held", [1, 2, 5, 10])
def test_equal_shares_of_some_classes(held):
    """Of C equally frequent classes, rho of them: distance 1 - rho / C, rho in effect, C - rho missing."""
    table = np.stack([np.roll(np.r_[np.ones(held, int), np.zeros(10 - held, int)], i) for i in range(10)])
    laws = class_laws(table)
    np.testing.assert_allclose(total_variation(laws, class_laws(table.sum(axis=0))), 1 - held / 10)
    np.testing.assert_allclose(effective_classes(laws), held)
    assert (missing_classes(table) == 10 - held).all()
    assert client_information(table) == pytest.approx(1 - np.log(held) / np.log(10))


def test_a_class_that_nobody_has_is_not_missing():
    assert missing_classes(np.array([[3, 0, 0], [0, 1, 0]])).tolist() == [1, 1]


@given(TABLES)
def test_information_is_mutual_information_over_entropy(table):
    table = table + 1
    joint = table / table.sum()
    product = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0)
    mutual = (joint * np.log(joint / product)).sum()
    whole = scipy_entropy(joint.sum(axis=0))
    assert client_information(table) == pytest.approx(mutual / whole if whole > 1e-12 else 0, abs=1e-9)


def test_limits_of_information():
    assert client_information(np.eye(4, dtype=int) * 7) == 1
    assert client_information(np.outer([1, 5, 2], [3, 2])) == pytest.approx(0, abs=1e-15)
    assert client_information(np.array([[3, 0], [2, 0]])) == 0
