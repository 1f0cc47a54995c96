"""AdaMerging as a rule: its coefficients, and what it reduces to."""

import numpy as np
import pytest

from harmonia.core.errors import InputError
from harmonia.merge.weights import TaskArithmetic, Ties
from harmonia.merge.weights.adamerging import AdaMerging

NAMES = ("a.weight", "b.weight", "c.bias")


def of_all(value, experts=3, **settings):
    return AdaMerging(granularity="task", coefficients={"model": (value,) * experts}, **settings)


def bits(merged):
    return {name: array.tobytes() for name, array in merged.items()}


def test_equal_coefficients_are_task_arithmetic(merge_model, tangled):
    expected = merge_model(TaskArithmetic(scaling=0.3), tangled)
    for rule in (of_all(0.3), AdaMerging().unfitted(NAMES, 3), AdaMerging(granularity="layer").unfitted(NAMES, 3)):
        merged = merge_model(rule, tangled)
        for name in tangled:
            np.testing.assert_allclose(merged[name], expected[name], rtol=0, atol=1e-6)


def test_plus_plus_with_equal_coefficients_is_the_sum_of_ties(merge_model, tangled):
    merged = merge_model(of_all(0.3, density=0.2), tangled)
    expected = merge_model(Ties(density=0.2, normalize=False, scaling=0.3), tangled)
    for name in tangled:
        np.testing.assert_allclose(merged[name], expected[name], rtol=0, atol=1e-6)


def test_every_tensor_has_its_own(merge_model, tangled):
    table = np.array([[0.1, 0.2, 0.3], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    merged = merge_model(AdaMerging().fitted(NAMES, table), tangled, [1.0, 2.0, 0.5])
    for name, row in zip(NAMES, table, strict=True):
        base, experts = tangled[name]
        expected = base + sum(
            w * x * (e.astype(np.float64) - base) for w, x, e in zip((1, 2, 0.5), row, experts, strict=True)
        )
        np.testing.assert_allclose(merged[name], expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("density", [None, 0.4])
def test_bit_for_bit_the_same_whatever_the_pieces(density, merge_model, tangled):
    table = np.random.default_rng(0).random((3, 3))
    rule = AdaMerging(density=density).fitted(NAMES, table)
    whole = bits(merge_model(rule, tangled))
    for piece, order in ((1, None), (7, [2, 0, 1])):
        assert bits(merge_model(rule, tangled, piece=piece, order=order)) == whole


def test_layers_share_and_tensors_do_not():
    names = ["model.layers.0.up.weight", "model.layers.0.down.weight", "model.layers.1.up.weight", "model.norm.weight"]
    assert AdaMerging(granularity="layer").groups(names) == ["0", "1", "model.norm"]
    assert AdaMerging(granularity="task").groups(names) == ["model"]
    assert AdaMerging().groups(names) == names


def test_the_fitted_rule_survives_yaml():
    rule = AdaMerging().fitted(NAMES, np.array([[0.1, 1 / 3]] * 3))
    assert AdaMerging.model_validate_json(rule.model_dump_json()) == rule


def test_what_was_not_fitted_is_refused(merge_model, tangled):
    with pytest.raises(
        InputError, match="ada-merging fits its coefficients to text of each expert: give it, --prompts"
    ):
        merge_model(AdaMerging(), tangled)
    with pytest.raises(InputError, match=r"weights.coefficients has none of a.weight: they were fitted to another"):
        merge_model(AdaMerging(coefficients={"z": (1, 1, 1)}), tangled)
    with pytest.raises(InputError, match="weights.coefficients of model: 2 for 3 experts"):
        merge_model(of_all(0.3, experts=2), tangled)
    with pytest.raises(InputError, match="works on expert - base"):
        AdaMerging().check(2, False, [1, 1])
