import pytest
import torch
from pydantic import ValidationError
from tests.federate.stacks import stack_of

from harmonia.federate.drift import Momentum
from harmonia.federate.drift.momentum import LastUpdate


def random(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_mixes_gradient_and_momentum():
    gradient, momentum, at = random(3, 2, 4)
    found = Momentum(alpha=0.3).begin(stack_of(at, sent={"momentum": momentum})).add(gradient, at)
    torch.testing.assert_close(found, 0.3 * gradient + 0.7 * momentum)


def test_a_share_of_one_is_the_plain_gradient_bit_for_bit():
    gradient, momentum, at = random(3, 2, 4)
    assert (Momentum(alpha=1).begin(stack_of(at, sent={"momentum": momentum})).add(gradient, at) == gradient).all()


def test_a_private_head_goes_by_its_own_gradient():
    gradient, at = torch.ones(1, 3, dtype=torch.float64), torch.zeros(1, 3)
    found = Momentum(alpha=0.25).begin(stack_of(at, sent={"momentum": [[5.0, 9]]}, shared=2)).add(gradient, at)
    assert found.tolist() == [[4, 7, 1]]


def test_the_server_sends_the_last_update_as_a_gradient():
    rule, before, steps, rate = Momentum().server(3), random(4), 5.0, 0.1
    assert isinstance(rule, LastUpdate) and not rule.down(before)["momentum"].any()
    mean_gradient = random(4, seed=1)
    after = before - steps * rate * mean_gradient  # clients that all took five steps along it
    rule.end_round(before, after, steps, rate)
    torch.testing.assert_close(rule.down(after)["momentum"], mean_gradient)


@pytest.mark.parametrize("alpha", [0, -0.1, 1.1, float("nan")])
def test_a_share_outside_the_unit_interval_is_refused(alpha):
    with pytest.raises(ValidationError, match="alpha"):
        Momentum(alpha=alpha)
