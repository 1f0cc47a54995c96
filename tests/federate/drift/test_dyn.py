import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from tests.federate.stacks import stack_of

from harmonia.federate.drift import Dyn


def random(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@given(st.floats(0.001, 10), st.integers(0, 2**31))
def test_is_the_gradient_of_the_bent_loss(alpha, seed):
    received, at, gradient, dual = random(4, 3, 5, seed=seed)
    moved = at.clone().requires_grad_()
    bent = -(dual * moved).sum() + alpha / 2 * (moved - received).square().sum()
    (extra,) = torch.autograd.grad(bent, moved)
    correction = Dyn(alpha=alpha).begin(stack_of(received, kept={"dual": dual}))
    torch.testing.assert_close(correction.add(gradient, at), gradient + extra)


def test_the_dual_follows_the_path():
    received, final, dual = random(3, 2, 4)
    kept, up = Dyn(alpha=0.5).begin(stack_of(received, kept={"dual": dual})).end(final)
    torch.testing.assert_close(kept["dual"], dual - 0.5 * (final - received))
    assert not up


def test_where_the_bent_loss_is_flat_the_new_dual_is_the_gradient_of_the_loss():
    """At the exact minimum of a round: g - h + alpha (v - w) = 0, so h - alpha (v - w) = g."""
    received, dual = random(2, 2, 4)
    curvature, alpha = 3.0, 0.5  # F = 3/2 |v|^2
    final = (dual + alpha * received) / (curvature + alpha)
    correction = Dyn(alpha=alpha).begin(stack_of(received, kept={"dual": dual}))
    torch.testing.assert_close(correction.add(curvature * final, final), torch.zeros_like(final))
    torch.testing.assert_close(correction.end(final)[0]["dual"], curvature * final)


def test_a_private_head_is_free():
    received, at = torch.zeros(1, 3), torch.ones(1, 3, dtype=torch.float64)
    correction = Dyn(alpha=0.5).begin(stack_of(received, kept={"dual": [[2.0, 3]]}, shared=2))
    assert correction.add(torch.zeros_like(at), at).tolist() == [[-1.5, -2.5, 0]]
    assert correction.end(at)[0]["dual"].tolist() == [[1.5, 2.5]]


@pytest.mark.parametrize("alpha", [0, -0.1, float("nan"), float("inf")])
def test_no_strength_is_refused_because_the_server_divides_by_it(alpha):
    with pytest.raises(ValidationError, match="alpha"):
        Dyn(alpha=alpha)
