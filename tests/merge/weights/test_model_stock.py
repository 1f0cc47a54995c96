import numpy as np
import pytest

from harmonia.merge.weights import ModelStock


def test_by_hand(merge):
    found = merge(ModelStock(), [[1, 0, 0], [1, 1, 0]], [0, 0, 0])
    assert found == pytest.approx([0.828427, 0.414214, 0], abs=1e-6)


def test_orthogonal_experts_give_the_base_and_equal_ones_the_expert(merge):
    base = np.array([1.0, 2, 3])
    assert merge(ModelStock(), base + np.eye(3), base).tolist() == [1, 2, 3]
    assert merge(ModelStock(), [base + 0.5] * 4, base).tolist() == [1.5, 2.5, 3.5]


def test_experts_that_point_apart_give_the_base(merge):
    assert merge(ModelStock(), [[2, 1], [0, 1.5]], [1, 1]).tolist() == [1, 1]


def test_as_a_slow_reference(merge, tangled):
    base, experts = tangled["a.weight"]
    experts = [expert + 0.1 for expert in experts]
    tasks = [(np.float64(expert) - base).reshape(-1) for expert in experts]
    unit = [task / np.linalg.norm(task) for task in tasks]
    c = np.mean([unit[i] @ unit[j] for i in range(3) for j in range(i)])
    t = 3 * c / (1 + 2 * c)
    assert 0.1 < t < 1
    expected = t * np.mean(experts, axis=0, dtype=np.float64) + (1 - t) * base
    np.testing.assert_allclose(merge(ModelStock(), experts, base), expected, atol=1e-6)
