import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from harmonia.maths.topk_softmax import topk_softmax

SCORES = arrays(np.float64, st.tuples(st.integers(1, 4), st.integers(1, 6)), elements=st.floats(-5, 5))


def test_one_choice_by_hand():
    inverse = torch.exp(-torch.tensor([2.0, 1.0, 1.5, 3.0]))
    assert inverse.tolist() == pytest.approx([0.135335, 0.367879, 0.223130, 0.049787], abs=1e-6)
    assert topk_softmax(inverse, 2).tolist() == pytest.approx([0, 0.536124, 0.463876, 0], abs=1e-6)
    assert topk_softmax(inverse.log(), 2).tolist() == pytest.approx([0, 0.622459, 0.377541, 0], abs=1e-6)


@given(SCORES, st.data())
def test_k_weights_sum_to_one_and_others_are_zero(scores, data):
    k = data.draw(st.integers(1, scores.shape[1]))
    weights = topk_softmax(torch.from_numpy(scores), k)
    assert ((weights > 0).sum(dim=-1) == k).all()
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(len(scores), dtype=torch.float64))
    least = torch.where(weights > 0, torch.from_numpy(scores), torch.inf).amin(dim=-1)
    most = torch.where(weights == 0, torch.from_numpy(scores), -torch.inf).amax(dim=-1)
    assert (least >= most).all()


@given(SCORES, st.floats(-3, 3))
def test_adding_a_constant_changes_nothing(scores, constant):
    scores = torch.from_numpy(scores).round(decimals=3)
    k = max(1, scores.shape[1] - 1)
    torch.testing.assert_close(topk_softmax(scores + round(constant), k), topk_softmax(scores, k))


def test_scaling_changes_the_weights_as_the_temperature_does():
    scores = torch.tensor([1.0, 2.0, 4.0])
    assert not torch.allclose(topk_softmax(2 * scores, 2), topk_softmax(scores, 2))
    torch.testing.assert_close(topk_softmax(2 * scores, 2), topk_softmax(scores, 2, temperature=0.5))


def test_equal_scores_go_to_the_first():
    assert topk_softmax(torch.zeros(2, 4), 2).tolist() == [[0.5, 0.5, 0, 0]] * 2
