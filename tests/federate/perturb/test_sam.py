import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from tests.federate.stacks import Counted, stack_of

from harmonia.federate.perturb import SAM

AT = torch.tensor([[1.0, 2, 3]], dtype=torch.float64)


def test_by_hand():
    """H = diag(1, 4, 2) at (1, 2, 3), rho = .5: the gradient (1, 8, 6) has length sqrt(101)."""
    found = SAM(rho=0.5).begin(stack_of(AT)).gradient(AT, Counted([1.0, 4, 2]))
    torch.testing.assert_close(found, AT.new_tensor([[1.0497518595, 9.5920595043, 6.5970223141]]), rtol=0, atol=1e-9)


def test_two_backward_passes_per_step():
    gradient = Counted([1.0, 4, 2])
    perturbation = SAM().begin(stack_of(AT))
    for _ in range(3):
        perturbation.gradient(AT, gradient)
    assert gradient.calls == 6 == 3 * SAM().needs.backward


def test_a_radius_of_zero_is_the_plain_gradient_bit_for_bit():
    at, gradient = torch.randn(4, 3, dtype=torch.float64), Counted([1.0, 4, 2], 0.3)
    assert (SAM(rho=0).begin(stack_of(at)).gradient(at, gradient) == gradient(at)).all()


@given(st.integers(0, 2**31), st.floats(0, 2))
def test_every_client_goes_its_own_way(seed, rho):
    at = torch.randn(3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    gradient, part = Counted([1.0, 4, 2, 3], 1.0), SAM(rho=rho)
    together = part.begin(stack_of(at)).gradient(at, gradient)
    alone = [part.begin(stack_of(row[None])).gradient(row[None], gradient) for row in at]
    torch.testing.assert_close(together, torch.cat(alone), rtol=1e-13, atol=1e-13)


def test_where_the_gradient_vanishes_nothing_is_perturbed():
    at = torch.zeros(1, 3, dtype=torch.float64)
    assert (SAM(rho=0.5).begin(stack_of(at)).gradient(at, Counted([1.0, 4, 2])) == 0).all()


def test_what_is_not_shared_is_not_perturbed():
    """With a private third coordinate the ascent is that of the first two alone."""
    found = SAM(rho=0.5).begin(stack_of(AT, shared=2)).gradient(AT, Counted([1.0, 4, 2]))
    two = SAM(rho=0.5).begin(stack_of(AT[:, :2])).gradient(AT[:, :2], Counted([1.0, 4]))
    torch.testing.assert_close(found, torch.cat([two, AT.new_tensor([[6.0]])], dim=1))


@pytest.mark.parametrize("rho", [-0.1, float("nan"), float("inf")])
def test_a_radius_that_is_no_length_is_refused(rho):
    with pytest.raises(ValidationError, match="rho"):
        SAM(rho=rho)
