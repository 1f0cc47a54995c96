import math

import pytest
import torch

from harmonia.core.errors import InputError
from harmonia.federate.loss import Moon

VALID, LABELS = torch.ones(1, 1, dtype=torch.bool), torch.zeros(1, 1, dtype=torch.int64)


def term(z, received, previous, valid=VALID, **fields):
    others = {"received": torch.tensor(received), "previous": torch.tensor(previous)}
    return Moon(**fields).term(torch.as_tensor(z), LABELS.expand(valid.shape), valid, classes=2, others=others)


@pytest.mark.parametrize("tau", [0.5, 2.0])
def test_one_example_by_hand(tau):
    """cos = 0.6 to the global model, 0.8 to the previous one."""
    found = term([[[2.0, 0]]], [[[3.0, 4.0]]], [[[8.0, -6.0]]], mu=3, tau=tau)
    towards, away = math.exp(0.6 / tau), math.exp(0.8 / tau)
    assert found.item() == pytest.approx(-3 * math.log(towards / (towards + away)))


def test_a_step_down_goes_to_the_global_model_and_from_the_previous_one():
    z = torch.tensor([[[1.0, 1.0]]], requires_grad=True)
    value = term(z, [[[1.0, 0]]], [[[0.0, 1]]])
    (gradient,) = torch.autograd.grad(value, z)
    assert gradient[0, 0, 0] < 0 < gradient[0, 0, 1]


def test_a_client_without_a_previous_model_is_only_given_a_constant():
    z = torch.randn(1, 1, 4, requires_grad=True)
    same = torch.randn(1, 1, 4).tolist()
    value = term(z, same, same, mu=2)
    assert value.item() == pytest.approx(2 * math.log(2))
    assert torch.autograd.grad(value, z)[0].abs().max() < 1e-6


def test_mean_over_what_is_valid_of_each_client():
    torch.manual_seed(0)
    z, received, previous = torch.randn(3, 2, 4, 5)
    valid = torch.tensor([[True, True, False, False], [True] * 4])
    together = term(z, received.tolist(), previous.tolist(), valid)
    alone = term(z[:1, :2], received[:1, :2].tolist(), previous[:1, :2].tolist(), valid[:1, :2])
    torch.testing.assert_close(together[:1], alone)
    each = [
        term(z[1:, i : i + 1], received[1:, i : i + 1].tolist(), previous[1:, i : i + 1].tolist()) for i in range(4)
    ]
    torch.testing.assert_close(together[1:], torch.stack(each).mean(dim=0))


def test_what_it_needs():
    part = Moon()
    assert [(item.name, item.size) for item in part.needs.kept] == [("previous", "P")]
    assert not part.needs.down and not part.needs.up and part.reads_models == ("received", "previous")
    with pytest.raises(InputError, match="loss=moon compares with two models: give others="):
        part.term(torch.zeros(1, 1, 2), LABELS, VALID, classes=2, others={"received": torch.zeros(1, 1, 2)})
