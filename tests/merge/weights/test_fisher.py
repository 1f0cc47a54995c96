import numpy as np
import pytest

from harmonia.core.errors import InputError
from harmonia.merge.weights import Fisher, Linear


def test_by_hand(merge):
    assert merge(Fisher(), [[1], [5]], statistics={"fisher": [[3], [1]]}).tolist() == [2]
    assert merge(Fisher(), [[1], [5]], counts=[1, 3], statistics={"fisher": [[3], [1]]}).tolist() == [3]


def test_equal_information_is_the_average(merge, tangled):
    base, experts = tangled["a.weight"]
    seen = [np.abs(base)] * 3
    linear = merge(Linear(), experts, counts=[1, 2, 1])
    np.testing.assert_allclose(
        merge(Fisher(), experts, counts=[1, 2, 1], statistics={"fisher": seen}), linear, atol=1e-6
    )


def test_below_the_floor_is_the_average(merge):
    assert merge(Fisher(), [[1], [5]], statistics={"fisher": [[0], [1e-9]]}).tolist() == [3]
    assert merge(Fisher(floor=1e-12), [[1], [5]], statistics={"fisher": [[0], [1e-9]]}) == pytest.approx(
        [4.996], abs=1e-3
    )


def test_a_tensor_that_was_not_measured_is_averaged(merge_model):
    tensors = {"a": (None, [[1], [5]]), "b": (None, [[1], [5]])}
    merged = merge_model(Fisher(), tensors, statistics={"fisher": {"a": [[3], [1]]}})
    assert merged["a"].tolist() == [2] and merged["b"].tolist() == [3]


def test_norms_are_those_of_the_whole_model(merge_model):
    """F of lengths 5 and 10 over both tensors: (3/5, 1/10 6) and (4/5, 8/10)."""
    tensors = {"a": (None, [[1], [5]]), "b": (None, [[1], [5]])}
    seen = {"fisher": {"a": [[3], [6]], "b": [[4], [8]]}}
    merged = merge_model(Fisher(normalize=True), tensors, statistics=seen)
    assert merged["a"] == pytest.approx([3]) and merged["b"] == pytest.approx([3])
    plain = merge_model(Fisher(), tensors, statistics=seen)
    assert plain["a"] == pytest.approx([(3 + 30) / 9])


def test_without_any_statistic_it_is_refused(merge):
    with pytest.raises(
        InputError, match="weights=fisher reads the statistic 'fisher' of every expert, and none was given"
    ):
        merge(Fisher(), [[1], [5]])
