import math

import pytest
import torch
from pydantic import ValidationError

from harmonia.core.errors import InputError
from harmonia.federate.head import Etf, LinearHead
from harmonia.federate.head.etf import GivenHead

TRIANGLE = torch.tensor([[1, -0.5, -0.5], [0, 0.75**0.5, -(0.75**0.5)]], dtype=torch.float64)
NOTHING = torch.zeros(1, 0)


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def graded(logits, f, label):
    """Return the cross entropy of one example, and its gradient with respect to the features."""
    value = torch.nn.functional.cross_entropy(logits[0], torch.tensor([label]))
    return value.item(), torch.autograd.grad(value, f)[0].flatten().tolist()


def test_one_example_by_hand():
    f = torch.tensor([[[1.0, 0.0]]], dtype=torch.float64, requires_grad=True)
    logits = GivenHead(TRIANGLE, feature_norm="none").logits(NOTHING, f, None, "global")
    assert logits.flatten().tolist() == pytest.approx([1, -0.5, -0.5])
    value, gradient = graded(logits, f, 0)
    assert value == pytest.approx(0.36898114, abs=1e-8)
    assert gradient == pytest.approx([-0.46284232, 0], abs=1e-8)


def test_the_head_is_drawn_and_has_no_weights():
    head = Etf().build(10, 84, seed=0)
    assert head.size == 0 and head.initial().shape == (0,)
    assert LinearHead().build(10, 84, seed=0).size - head.size == 84 * 10 + 10
    assert (head.vectors == Etf().build(10, 84, seed=0).vectors).all()
    assert (head.vectors != Etf().build(10, 84, seed=1).vectors).any()
    products = head.vectors.T @ head.vectors
    torch.testing.assert_close(products, (10 * torch.eye(10) - 1) / 9, rtol=0, atol=1e-6)


@pytest.mark.parametrize("basis", ["qr", "canonical"])
@pytest.mark.parametrize("norm", ["l2", "none"])
def test_logits_are_scaled_products_and_sum_to_zero(basis, norm):
    head, f = Etf(scale=7, basis=basis, feature_norm=norm).build(5, 8, seed=0), drawn(3, 4, 8)
    lengths = f.norm(dim=-1, keepdim=True) if norm == "l2" else 1
    logits = head.logits(NOTHING, f, None, "local")
    torch.testing.assert_close(logits, 7 * (f / lengths) @ head.vectors, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(logits.sum(dim=-1), torch.zeros(3, 4), rtol=0, atol=1e-4)


def test_l2_features_have_only_a_direction():
    head, f = Etf(scale=3).build(5, 8, seed=0), drawn(1, 4, 8)
    logits = head.logits(NOTHING, f, None, "global")
    torch.testing.assert_close(head.logits(NOTHING, 100 * f, None, "global"), logits)
    assert logits.abs().max() <= 3
    zero = torch.zeros(1, 1, 8, requires_grad=True)
    head.logits(NOTHING, zero, None, "global").square().sum().backward()
    assert torch.isfinite(zero.grad).all()


def test_turning_the_frame_and_the_features_changes_nothing():
    head, f = Etf().build(5, 8, seed=0), drawn(1, 4, 8)
    turn = torch.linalg.qr(drawn(8, 8, seed=1))[0]
    turned = GivenHead(turn @ head.vectors, scale=10)
    torch.testing.assert_close(
        turned.logits(NOTHING, f @ turn.T, None, "global"),
        head.logits(NOTHING, f, None, "global"),
        rtol=1e-4,
        atol=1e-5,
    )


def test_canonical_features_beyond_the_classes_get_no_gradient():
    f = drawn(1, 4, 8).requires_grad_(True)
    head = Etf(basis="canonical", feature_norm="none").build(5, 8, seed=0)
    head.logits(NOTHING, f, None, "local").square().sum().backward()
    assert (f.grad[..., 5:] == 0).all() and (f.grad[..., :5] != 0).any()


def test_the_least_width():
    head = Etf(scale=1, feature_norm="none").build(4, 3, seed=0)
    logits = head.logits(NOTHING, head.vectors.T[None], None, "global")[0]
    torch.testing.assert_close(logits, (4 * torch.eye(4) - 1) / 3, rtol=0, atol=1e-6)
    assert math.isclose(logits[0, 1].item(), -1 / 3, rel_tol=1e-5)


def test_bad_input_is_named():
    with pytest.raises(InputError, match="10 classes at equal angles .* at least 9 features, and the model gives 8"):
        Etf().build(10, 8, seed=0)
    with pytest.raises(InputError, match="a simplex of 1 classes"):
        Etf().build(1, 8, seed=0)
    with pytest.raises(InputError, match=r"features of shape \(4, 8\): the head takes \(clients, batch, 8\)"):
        Etf().build(5, 8, seed=0).logits(NOTHING, drawn(4, 8), None, "global")
    with pytest.raises(ValidationError, match="scale"):
        Etf(scale=0)
    with pytest.raises(ValidationError, match="bias"):
        Etf(bias=True)
