import torch
from tests.federate.stacks import stack_of

from harmonia.federate.drift import Scaffold
from harmonia.federate.drift.scaffold import MeanControl


def random(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def begun(m=2, steps=None, **fields):
    return Scaffold().begin(
        stack_of(
            random(m, 3, seed=1),
            sent={"control": random(1, 3, seed=2).repeat(m, 1)},
            kept={"control": random(m, 3, seed=3)},
            steps=steps or [4] * m,
            **fields,
        )
    )


def test_the_gradient_is_shifted_by_the_difference_of_the_controls():
    correction, gradient = begun(), random(2, 3)
    expected = gradient - random(2, 3, seed=3) + random(1, 3, seed=2)
    torch.testing.assert_close(correction.add(gradient, random(2, 3, seed=9)), expected)


def test_the_new_control_is_the_mean_gradient_of_the_steps_truly_taken():
    """Two clients in one pass, one with 2 steps and one with 5: each control is the mean of its own raw gradients."""
    steps, rate = [2, 5], 0.1
    correction, at = begun(steps=steps, rate=rate), random(2, 3, seed=1)
    seen = torch.zeros(2, 3, dtype=torch.float64)
    for k in range(max(steps)):
        gradient = random(2, 3, seed=20 + k)
        moves = (k < torch.tensor(steps))[:, None]
        seen += gradient * moves
        at = at - rate * correction.add(gradient, at) * moves
    kept, up = correction.end(at)
    torch.testing.assert_close(kept["control"], seen / torch.tensor(steps)[:, None])
    torch.testing.assert_close(up["control_change"], kept["control"] - random(2, 3, seed=3))


def test_a_private_head_has_no_control():
    stack = stack_of(random(1, 3), sent={"control": random(1, 2)}, kept={"control": random(1, 2, seed=3)}, shared=2)
    correction, gradient = Scaffold().begin(stack), random(1, 3, seed=5)
    found = correction.add(gradient, gradient)
    assert found[0, 2] == gradient[0, 2] and (found[0, :2] != gradient[0, :2]).all()
    assert correction.end(gradient)[0]["control"].shape == (1, 2)


class TestServer:
    def test_the_mean_is_over_all_clients_also_those_that_never_took_part(self):
        rule, model = Scaffold().server(4), random(3)
        assert isinstance(rule, MeanControl) and not rule.down(model)["control"].any()
        controls = torch.zeros(4, 3, dtype=torch.float64)
        for round, active in enumerate([(0, 2), (2, 1)]):
            for client in active:
                change = random(3, seed=10 * round + client)
                controls[client] += change
                rule.receive(client, {"control_change": change})
            rule.end_round(model, model, 5.0, 0.1)
            torch.testing.assert_close(rule.down(model)["control"], controls.mean(dim=0))

    def test_what_was_sent_does_not_change_while_replies_come_in(self):
        rule, model = Scaffold().server(2), random(3)
        rule.receive(0, {"control_change": random(3, seed=1)})
        sent = rule.down(model)["control"]
        before = sent.clone()
        rule.receive(1, {"control_change": random(3, seed=2)})
        assert (sent == before).all() and (rule.down(model)["control"] != before).all()
