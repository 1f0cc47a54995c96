import pytest
import torch
from pydantic import ValidationError
from tests.federate.stacks import Counted, stack_of

from harmonia.federate.perturb import SAM, SMOO
from harmonia.federate.perturb.smoo import GlobalAscent

H = [1.0, 4, 2]
AT = torch.tensor([[1.0, 2, 3]], dtype=torch.float64)
S = torch.tensor([[0.3, 0, -0.4]], dtype=torch.float64)
MU = torch.tensor([[2.0, -1, 0.5]], dtype=torch.float64)


def begun(steps=(1,), **fields):
    m = len(steps)
    sent, kept = {"ascent": S.repeat(m, 1)}, {"ascent_dual": MU.repeat(m, 1)}
    return SMOO(rho=0.5, **fields).begin(stack_of(AT.repeat(m, 1), sent=sent, kept=kept, steps=list(steps)))


def unit(d):
    return d / d.norm()


def test_the_direction_is_corrected_by_dual_and_global_perturbation():
    e = 0.5 * unit(AT * AT.new_tensor(H) - MU - S)
    found = begun().gradient(AT, Counted(H))
    torch.testing.assert_close(found, (AT + e) * AT.new_tensor(H))


def test_with_nothing_to_agree_on_it_is_sam():
    none = torch.zeros_like(AT)
    perturbation = SMOO(rho=0.5).begin(stack_of(AT, sent={"ascent": none}, kept={"ascent_dual": none}))
    assert (perturbation.gradient(AT, Counted(H)) == SAM(rho=0.5).begin(stack_of(AT)).gradient(AT, Counted(H))).all()


def test_two_backward_passes_per_step():
    gradient, perturbation = Counted(H), begun((3,))
    for _ in range(3):
        perturbation.gradient(AT, gradient)
    assert gradient.calls == 6 == 3 * SMOO().needs.backward


@pytest.mark.parametrize("dual", ["round", "step"])
def test_how_the_dual_moves(dual):
    """Once, by the last perturbation, or after every step, where it also turns the steps that follow."""
    perturbation, points, mu = begun((3,), dual=dual), [AT, AT + 1, AT - 0.5], MU
    for at in points:
        perturbation.gradient(at, Counted(H))
        e = 0.5 * unit(at * AT.new_tensor(H) - mu - S)
        mu = mu + e - S if dual == "step" else mu
    expected = mu if dual == "step" else MU + e - S
    kept, up = perturbation.end(points[-1])
    torch.testing.assert_close(kept["ascent_dual"], expected)
    torch.testing.assert_close(up["ascent_dual"], expected)


def test_after_a_single_step_both_duals_are_the_same():
    ended = []
    for dual in ("round", "step"):
        perturbation = begun(dual=dual)
        perturbation.gradient(AT, Counted(H))
        ended.append(perturbation.end(AT)[0]["ascent_dual"])
    assert (ended[0] == ended[1]).all() and (ended[0] != MU).any()


@pytest.mark.parametrize("dual", ["round", "step"])
def test_padded_steps_leave_the_dual_alone(dual):
    together, alone = begun((1, 3), dual=dual), begun((1,), dual=dual)
    for k in range(3):
        together.gradient(AT.repeat(2, 1) + k, Counted(H))
    alone.gradient(AT, Counted(H))
    ended = together.end(AT)[0]["ascent_dual"]
    torch.testing.assert_close(ended[:1], alone.end(AT)[0]["ascent_dual"])
    assert (ended[0] - ended[1]).norm() > 0.01


class TestServer:
    def test_the_global_perturbation_is_the_direction_of_the_mean_dual(self):
        rule = SMOO(rho=0.5).server()
        assert isinstance(rule, GlobalAscent) and not rule.state
        model = AT[0]
        assert not rule.down(model)["ascent"].any()
        for _ in range(2):  # the second round forgets the first
            duals = [torch.randn(3, dtype=torch.float64) for _ in range(4)]
            for client, dual in enumerate(duals):
                rule.receive(client, {"ascent_dual": dual})
            rule.end_round(model, model, 5.0, 0.1)
            torch.testing.assert_close(rule.down(model)["ascent"], 0.5 * unit(torch.stack(duals).mean(dim=0)))
        assert rule.state.keys() == {item.name for item in SMOO().needs.server}

    def test_duals_that_cancel_give_no_perturbation(self):
        rule = GlobalAscent(0.5)
        rule.receive(0, {"ascent_dual": MU[0]})
        rule.receive(1, {"ascent_dual": -MU[0]})
        rule.end_round(AT[0], AT[0], 5.0, 0.1)
        assert not rule.down(AT[0])["ascent"].any()


def test_only_shared_coordinates_are_perturbed():
    stack = stack_of(AT, sent={"ascent": S[:, :2]}, kept={"ascent_dual": MU[:, :2]}, shared=2)
    perturbation = SMOO(rho=0.5).begin(stack)
    assert perturbation.gradient(AT, Counted(H))[0, 2] == 6
    assert perturbation.end(AT)[0]["ascent_dual"].shape == (1, 2)


def test_a_radius_that_is_no_length_is_refused():
    with pytest.raises(ValidationError, match="rho"):
        SMOO(rho=-1)
