import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from harmonia.federate.needs import Sizes
from harmonia.federate.planner import Plan
from harmonia.federate.recipes import fednova
from harmonia.federate.weight import Examples, Nova

clients = st.lists(st.tuples(st.integers(1, 50), st.integers(1, 20)), min_size=1, max_size=6)


def test_one_round_by_hand():
    """Two quadratics, 5 and 1 steps of 0.1 from 1: d = (0.81902, -9), tau_eff = 2."""
    part, n, k, ends = Nova(), [1, 3], [5, 1], [0.59049, 1.9]
    assert [(1 - v) / (0.1 * part.reach(steps)) for v, steps in zip(ends, k, strict=True)] == [
        pytest.approx(0.81902),
        pytest.approx(-9),
    ]
    total = sum(part.unit(a, b) * (v - 1) for a, b, v in zip(n, k, ends, strict=True))
    assert 1 + part.scale(n, k) * total == pytest.approx(2.309049, abs=1e-12)
    plain = Examples()
    assert 1 + plain.scale(n, k) * sum(a * (v - 1) for a, v in zip(n, ends, strict=True)) == pytest.approx(1.5726225)


@settings(deadline=None)
@given(clients, st.sampled_from([0.0, 0.5, 0.9]))
def test_clients_with_one_gradient_go_as_far_as_their_mean_reach(sizes, momentum):
    """Along one gradient a client goes a_i; so the average is sum_i p_i a_i, whatever the steps."""
    part, (n, k) = Nova(momentum=momentum), zip(*sizes, strict=True)
    moved = part.scale(n, k) * sum(part.unit(a, b) * part.reach(b) for a, b in sizes)
    assert moved == pytest.approx(sum(a * part.reach(b) for a, b in sizes) / sum(n))


@settings(deadline=None)
@given(st.lists(st.integers(1, 50), min_size=1, max_size=6), st.integers(1, 20), st.sampled_from([0.0, 0.9]))
def test_equal_steps_are_shares_of_the_examples(n, steps, momentum):
    part, k = Nova(momentum=momentum), [steps] * len(n)
    assert [part.unit(x, steps) * part.scale(n, k) for x in n] == pytest.approx([x / sum(n) for x in n])


@pytest.mark.parametrize("momentum", [0.0, 0.3, 0.9])
def test_reach_is_how_far_momentum_goes_along_a_constant_gradient(momentum):
    at = torch.nn.Parameter(torch.zeros((), dtype=torch.float64))
    optimiser = torch.optim.SGD([at], lr=1.0, momentum=momentum)
    for steps in range(1, 8):
        at.grad = torch.tensor(-1.0, dtype=torch.float64)
        optimiser.step()
        assert Nova(momentum=momentum).reach(steps) == pytest.approx(at.item())


def test_momentum_is_bounded():
    with pytest.raises(ValidationError, match="momentum"):
        Nova(momentum=1)


def test_the_momentum_of_the_training_is_taken():
    recipe = fednova().with_settings(["training.momentum=0.9"])
    plan = Plan.of(recipe, Sizes(shared=3, private=0, classes=2, features=2))
    assert plan.recipe.weight == Nova(momentum=0.9)
    assert plan.notes == ("weight=nova counts how far steps with momentum go: weight.momentum=0.9 was taken",)
    assert Plan.of(fednova(), plan.sizes).notes == ()
