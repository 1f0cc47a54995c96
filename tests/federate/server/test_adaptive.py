"""FedAdam, FedYogi and FedAdagrad, by the same numbers: w = 1, average 2.769465, eta_g = 0.1."""

import pytest
import torch

from harmonia.federate.server import Adagrad, Adam, Yogi

PARTS = [Adam, Yogi, Adagrad]
MODEL, AVERAGE = torch.tensor([[1.0], [2.769465]], dtype=torch.float64)


@pytest.mark.parametrize(
    "part, value, second",
    [
        (Adam, 1.0994364701, 0.99e-6 + 0.01 * 1.769465**2),
        (Yogi, 1.0994364543, 1e-6 + 0.01 * 1.769465**2),
        (Adagrad, 1.0999435017, 1e-6 + 1.769465**2),
    ],
)
def test_first_step(part, value, second):
    step = part().start()
    assert step.step(MODEL, AVERAGE, 2, 2).item() == pytest.approx(value, abs=5e-11)
    assert step.state["v"].item() == pytest.approx(second)


def by_definition(part, steps):
    """The rules of the paper on one number, round after round."""
    w, m, v = 1.0, 0.0, part.tau**2
    for average in steps:
        change = average - w
        m = part.beta1 * m + (1 - part.beta1) * change
        square = change * change
        sign = (v > square) - (v < square)
        v = {
            "adam": lambda v=v, s=square: part.beta2 * v + (1 - part.beta2) * s,
            "yogi": lambda v=v, s=square, sign=sign: v - (1 - part.beta2) * s * sign,
            "adagrad": lambda v=v, s=square: v + s,
        }[part.kind]()
        w += part.eta_g * m / (v**0.5 + part.tau)
        yield w


@pytest.mark.parametrize("kind", PARTS)
def test_many_steps_and_resuming(kind):
    part, averages = kind(eta_g=0.3, tau=0.05), [2.0, 1.9, -0.5, 3.0, 1.0, 1.01]
    step, model = part.start(), MODEL
    for round, expected in enumerate(by_definition(part, averages)):
        model = step.step(model, MODEL.new_tensor([averages[round]]), 1, 1)
        assert model.item() == pytest.approx(expected, abs=1e-12)
        resumed = part.start()
        resumed.state.update({name: value.clone() for name, value in step.state.items()})
        step = resumed
    assert set(step.state) == {item.name for item in part.needs.server} == {"m", "v"}


LARGE = {"eta_g": 2e6, "tau": 1e6, "beta1": 0.0}


@pytest.mark.parametrize("part", [Adam(beta2=1 - 1e-12, **LARGE), Yogi(**LARGE), Adagrad(**LARGE)])
def test_with_both_moments_fixed_it_is_a_plain_step(part):
    """With sqrt(v) = tau throughout, w + eta_g / (2 tau) (average - w): FedAvg where eta_g = 2 tau."""
    model, average = torch.randn(6).double(), torch.randn(6).double()
    torch.testing.assert_close(part.start().step(model, average, 1, 1), average, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kind", PARTS)
def test_coordinates_that_did_not_move_stay(kind):
    model, average = torch.tensor([1.0, 2.0]), torch.tensor([1.0, 3.0])
    found = kind().start().step(model, average, 1, 1)
    assert found[0] == 1 and found[1] > 2


def test_yogi_falls_more_slowly_than_adam_after_a_large_change():
    steps = {kind: kind().start() for kind in (Adam, Yogi)}
    for step in steps.values():
        step.step(torch.zeros(1), torch.full((1,), 10.0), 1, 1)
        for _ in range(50):
            step.step(torch.zeros(1), torch.full((1,), 0.01), 1, 1)
    assert steps[Yogi].state["v"] > 1.5 * steps[Adam].state["v"]
