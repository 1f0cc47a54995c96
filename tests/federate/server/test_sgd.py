import torch

from harmonia.federate.server import SGD


def test_the_average_itself_or_a_step_towards_it():
    model, average = torch.randn(5), torch.randn(5)
    assert (SGD().start().step(model, average, 2, 3) == average).all()
    half = SGD(eta_g=0.5).start()
    torch.testing.assert_close(half.step(model, average, 2, 3), (model + average) / 2)
    assert half.state == {}
