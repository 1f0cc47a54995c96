import pytest
import torch

from harmonia.federate.server import SGD, ServerMomentum


def test_the_first_step_is_the_average():
    step = ServerMomentum().start()
    first = step.step(torch.tensor([1.0]).double(), torch.tensor([2.769465], dtype=torch.float64), 2, 2)
    assert first.item() == pytest.approx(2.769465)
    second = step.step(first, torch.tensor([3.0]).double(), 2, 2)
    assert second.item() == pytest.approx(3 + 0.9 * 1.769465)


@pytest.mark.parametrize("eta_g", [1.0, 0.3])
def test_without_momentum_it_is_a_plain_step(eta_g):
    found, plain = ServerMomentum(beta=0, eta_g=eta_g).start(), SGD(eta_g=eta_g).start()
    model = torch.zeros(4)
    for _ in range(3):
        average = torch.randn(4)
        torch.testing.assert_close(found.step(model, average, 1, 1), plain.step(model, average, 1, 1))


def test_is_torch_sgd_on_the_pseudo_gradient():
    step, model = ServerMomentum(beta=0.7, eta_g=0.2).start(), torch.randn(4)
    theirs = torch.nn.Parameter(model.clone())
    optimiser = torch.optim.SGD([theirs], lr=0.2, momentum=0.7)
    for _ in range(5):
        average = torch.randn(4)
        theirs.grad = theirs.detach() - average
        optimiser.step()
        model = step.step(model, average, 1, 1)
        torch.testing.assert_close(model, theirs.detach())
