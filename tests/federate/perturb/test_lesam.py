import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from tests.federate.stacks import Counted, stack_of

from harmonia.core.errors import InputError
from harmonia.federate.perturb import LESAM
from harmonia.federate.perturb.lesam import PreviousAverage, estimated_ascent

W = torch.tensor([[1.0, 2, 3]], dtype=torch.float64)
OLD = W - torch.tensor([[3.0, 0, 4]], dtype=torch.float64)


def test_by_hand():
    """H = diag(1, 4, 2) at (1, 2, 3), the model moved by (3, 0, 4), rho = .5, rate .1."""
    perturbation = LESAM(rho=0.5).begin(stack_of(W, kept={"last": OLD}))
    torch.testing.assert_close(perturbation.constant, W.new_tensor([[-0.3, 0, -0.4]]))
    gradient = perturbation.gradient(W + perturbation.constant, Counted([1.0, 4, 2]))
    torch.testing.assert_close(gradient, W.new_tensor([[0.7, 8, 5.2]]))
    torch.testing.assert_close(W - 0.1 * gradient, W.new_tensor([[0.93, 1.2, 2.48]]))


def test_one_backward_pass_per_step():
    gradient, perturbation = Counted([1.0, 4, 2]), LESAM().begin(stack_of(W, kept={"last": OLD}))
    for _ in range(3):
        perturbation.gradient(W, gradient)
    assert gradient.calls == 3 == 3 * LESAM().needs.backward


vectors = st.lists(st.floats(-5, 5), min_size=4, max_size=4)


@given(vectors, vectors, st.floats(0, 2), st.floats(0.1, 10))
def test_points_to_the_old_model_at_length_rho_however_far_it_is(old, new, rho, scale):
    old, new = (torch.tensor([x], dtype=torch.float64) for x in (old, new))
    far = float((old - new).norm())
    if 0 < far < 1e-6:
        return
    eps = estimated_ascent(old, new, rho)
    assert float(eps.norm()) == pytest.approx(rho if far else 0, abs=1e-12)
    assert float((eps * (new - old)).sum()) == pytest.approx(-rho * far, rel=1e-9, abs=1e-12)  # minus the update
    again = estimated_ascent(new + scale * (old - new), new, rho)
    torch.testing.assert_close(again, eps, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("shape", [(1, 4), (3,)])
def test_models_of_other_shapes_are_refused(shape):
    with pytest.raises(InputError, match=r"the old model has shape .*, the new one \(1, 3\); they must agree"):
        estimated_ascent(torch.zeros(shape), W, 0.1)


def test_models_that_are_not_finite_are_refused():
    with pytest.raises(InputError, match="the old and the new model differ by numbers that are not finite"):
        estimated_ascent(W * torch.inf, W, 0.1)


@pytest.mark.parametrize("rho", [-0.1, float("nan"), float("inf")])
def test_a_radius_that_is_no_length_is_refused(rho):
    with pytest.raises(ValidationError, match="rho"):
        LESAM(rho=rho)


class TestClientMemory:
    def test_who_never_took_part_is_not_perturbed(self):
        received = W.repeat(2, 1)
        stack = stack_of(received, kept={"last": torch.cat([OLD, torch.zeros_like(W)])}, first=[False, True])
        constant = LESAM(rho=0.5).begin(stack).constant
        assert constant[0].norm() == pytest.approx(0.5) and not constant[1].any()

    def test_keeps_what_was_received_not_what_was_trained(self):
        perturbation = LESAM().begin(stack_of(W, kept={"last": OLD}))
        kept, up = perturbation.end(W + 7)
        assert kept.keys() == {"last"} and (kept["last"] == W).all() and not up

    def test_a_private_head_is_neither_perturbed_nor_kept(self):
        received = torch.cat([W, W.new_tensor([[9.0]])], dim=1)
        perturbation = LESAM(rho=0.5).begin(stack_of(received, kept={"last": OLD}, shared=3))
        torch.testing.assert_close(perturbation.constant, W.new_tensor([[-0.3, 0, -0.4, 0]]))
        assert perturbation.end(received)[0]["last"].shape == (1, 3)

    def test_needs(self):
        needs = LESAM().needs
        assert [item.name for item in needs.kept] == ["last"]
        assert not (needs.down or needs.up or needs.server) and LESAM().server() is None


class TestServerMemory:
    part = LESAM(rho=0.5, memory="server")

    def test_sends_where_the_last_average_came_from(self):
        rule = self.part.server()
        assert isinstance(rule, PreviousAverage) and not rule.state
        assert not rule.down(OLD[0])["direction"].any()  # before the first average
        rule.end_round(OLD[0], W[0], 5.0, 0.1)
        assert rule.down(W[0])["direction"].tolist() == [-3, 0, -4]
        assert rule.state.keys() == {item.name for item in self.part.needs.server}

    def test_clients_turn_it_into_the_same_shift_and_keep_nothing(self):
        perturbation = self.part.begin(stack_of(W, sent={"direction": OLD - W}))
        torch.testing.assert_close(perturbation.constant, W.new_tensor([[-0.3, 0, -0.4]]))
        assert perturbation.end(W) == ({}, {}) and not self.part.needs.kept

    def test_needs(self):
        assert [item.name for item in self.part.needs.down] == ["direction"]
