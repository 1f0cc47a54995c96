import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from tests.federate.stacks import stack_of

from harmonia.federate.drift import Prox


@given(st.floats(0, 10), st.integers(0, 2**31))
def test_is_the_gradient_of_half_the_squared_distance(mu, seed):
    random = torch.Generator().manual_seed(seed)
    received, at, gradient = (torch.randn(3, 5, dtype=torch.float64, generator=random) for _ in range(3))
    pulled = at.clone().requires_grad_()
    (pull,) = torch.autograd.grad(mu / 2 * (pulled - received).square().sum(), pulled)
    torch.testing.assert_close(Prox(mu=mu).begin(stack_of(received)).add(gradient, at), gradient + pull)


def test_without_strength_nothing_is_added():
    received, at, gradient = torch.randn(3, 2, 5, dtype=torch.float64)
    assert (Prox(mu=0).begin(stack_of(received)).add(gradient, at) == gradient).all()


def test_a_private_head_is_free():
    received, at = torch.zeros(1, 3), torch.ones(1, 3, dtype=torch.float64)
    found = Prox(mu=0.5).begin(stack_of(received, shared=2)).add(torch.zeros_like(at), at)
    assert found.tolist() == [[0.5, 0.5, 0]]


@pytest.mark.parametrize("mu", [-0.1, float("nan"), float("inf")])
def test_a_strength_that_pushes_away_is_refused(mu):
    with pytest.raises(ValidationError, match="mu"):
        Prox(mu=mu)
