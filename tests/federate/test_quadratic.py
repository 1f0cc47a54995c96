"""The baselines' rules as numbers: two clients with F_i = h_i / 2 (w - c_i)^2, h = (1, 3), c = (0, 4), n = (1, 3).

Five full-batch steps of 0.1 from w = 1 contract client i by q_i = (1 - 0.1 h_i)^5 towards c_i.
"""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.federate.quadratic import Federation, recipe

from harmonia.core.errors import InputError
from harmonia.federate.schedule import Skip

Q = np.array([0.59049, 0.16807])


def after(*settings, rounds=1, federation=None, **how):
    """Return the model after each round, as numbers."""
    return (federation or Federation()).train(recipe(*settings), rounds, **how)[:, 0].tolist()


def close(value, to=5e-11):
    return pytest.approx(value, rel=0, abs=to)


DYN = ("drift={kind: dyn, alpha: 0.5}", "server={kind: dyn, alpha: 0.5}", "weight=uniform")
SCAFFOLD = ("drift=scaffold", "weight=uniform")


class TestNumbers:
    def test_fedavg(self):
        assert after() == [close(2.769465)]
        assert after("weight=uniform") == [close(2.04314)]

    def test_fedavg_goes_to_its_own_fixed_point_not_to_the_optimum(self):
        assert after(rounds=80)[-1] == close(2.49579 / 0.726325)  # of the weighted loss the optimum is 3.6
        assert after("weight=uniform", rounds=80)[-1] == close(2.6805322851)  # and 3.0 of the uniform one

    def test_fedprox(self):
        assert after("drift={kind: prox, mu: 0.5}") == [close(2.6120853125)]

    def test_scaffold(self):
        federation = Federation()
        found = federation.train(recipe(*SCAFFOLD), 3)[:, 0].tolist()
        assert found == [close(2.04314), close(2.6308224692), close(2.8847353512)]

    def test_scaffold_control_after_one_round(self):
        federation = Federation()
        federation.train(recipe(*SCAFFOLD))
        assert float(federation.coordinator.rules["drift"].state["control"]) == close(-2.08628)
        assert [float(federation.kept[i]["control"][0]) for i in (0, 1)] == [close(0.81902), close(-4.99158)]

    def test_scaffold_reaches_the_optimum(self):
        assert after(*SCAFFOLD, rounds=60)[-1] == close(3.0)

    def test_fednova(self):
        federation = Federation(steps=(5, 1))
        assert after("weight=nova", federation=federation) == [close(2.309049)]
        assert after(federation=federation) == [close(1.5726225)]

    def test_feddyn(self):
        federation = Federation()
        assert after(*DYN, federation=federation) == [close(2.902205, 5e-7)]
        duals = [float(federation.kept[i]["dual"][0]) for i in (0, 1)]
        assert duals == [close(0.18543156, 5e-9), close(-1.13653406, 5e-9)]
        held = [float(value) for value in federation.coordinator.step.state.values()]
        assert held == [close(-0.47555125, 5e-9)]

    def test_feddyn_reaches_the_optimum(self):
        assert after(*DYN, rounds=400)[-1] == close(3.0, 1e-8)

    def test_server_steps(self):
        assert after("server={kind: momentum, eta_g: 1}") == after()
        for kind, value in [("adam", 1.0994364701), ("yogi", 1.0994364543), ("adagrad", 1.0999435017)]:
            assert after(f"server={{kind: {kind}, eta_g: 0.1}}") == [close(value)]


class Given(Skip):
    """A relay whose clients are told, round by round."""

    order: tuple[tuple[int, ...], ...]

    def assign(self, round, active, clients, seed):
        return list(self.order[(round - 1) % len(self.order)])


def skipping(period, *order):
    return recipe().model_copy(update={"schedule": Given(period=period, order=order)})


class TestSkip:
    def test_two_rounds_by_hand(self):
        federation = Federation()
        chosen = skipping(2, (0, 1), (1, 0))
        first, second = federation.train(chosen, 2)[:, 0].tolist()
        assert first == 1  # nothing is averaged yet
        assert second == close(2.7455963457)
        assert [float(federation.starts[2, i][0]) for i in (1, 0)] == [close(0.59049), close(3.49579)]

    def test_slots_weigh_what_they_visited_not_where_they_ended(self):
        """n = (1, 3): each slot visits both clients, so each counts one half."""
        federation = Federation()
        federation.train(skipping(2, (0, 1), (1, 0)), 2)
        first, second = 4 + Q[1] * (0.59049 - 4), Q[0] * 3.49579
        assert (first, second) == (close(3.4269636543), close(2.0642290371))
        assert float(federation.coordinator.model) == close((first + second) / 2)
        once = Federation()
        assert float(once.train(skipping(1, (1, 0)))) == close(2.769465)  # and 1/4, 3/4 where each visits its own

    def test_visits_add_up_and_are_forgotten_at_an_average(self):
        federation = Federation()
        federation.train(skipping(3, (0, 1), (1, 0)), 5)
        told = [{0: 1, 1: 3}, {0: 4, 1: 4}, {}, {0: 3, 1: 1}, {}]  # the last round averages in any case
        assert federation.visited == told

    def test_fixed_point_of_a_whole_cycle(self):
        found = Federation().train(skipping(2, (0, 1), (1, 0)), 100)[-1]
        assert float(found) == close(2.9379228956)
        assert abs(3.0 - float(found)) < abs(3.0 - 2.6805322851) / 5

    def test_an_average_in_every_round_is_fedavg_bit_for_bit(self):
        assert after("schedule={kind: skip, period: 1}", rounds=4, seed=3) == after(rounds=4, seed=3)

    def test_one_client_in_a_row(self):
        federation = Federation(curvature=[3], optimum=[4], examples=[3], steps=[5])
        found = federation.train(recipe("schedule={kind: skip, period: 3}"), 3)[:, 0].tolist()
        assert found == [1, 1, close(4 + Q[1] ** 3 * (1 - 4))]

    @pytest.mark.parametrize("period", [1, 2, 3])
    def test_with_the_same_data_everywhere_it_is_central_training(self, period):
        federation = Federation(curvature=[3] * 4, optimum=[4] * 4, examples=[2] * 4, steps=[5] * 4)
        found = federation.train(recipe(f"schedule={{kind: skip, period: {period}}}"), 6, active=3)
        assert float(found[-1]) == close(4 + Q[1] ** 6 * (1 - 4))

    def test_the_clients_own_numbers_do_not_matter(self):
        turned = Federation(curvature=(3, 1), optimum=(4, 0), examples=(3, 1))
        found = Federation().train(skipping(2, (0, 1), (1, 0)), 6)
        torch.testing.assert_close(turned.train(skipping(2, (1, 0), (0, 1)), 6), found, rtol=1e-15, atol=0)


def many(seed=0, clients=5, size=6):
    """Return a federation of several clients in several dimensions, with unequal steps."""
    random = np.random.default_rng(seed)
    return Federation(
        curvature=random.uniform(0.5, 4, (clients, size)),
        optimum=random.normal(size=(clients, size)),
        examples=random.integers(1, 6, clients).tolist(),
        steps=random.integers(1, 6, clients).tolist(),
        first=random.normal(size=size),
    )


def trained(*settings, federation=None, rounds=4, active=3, **how):
    return (federation or many()).train(recipe(*settings), rounds, active=active, **how)


class TestLimits:
    """What equals FedAvg, or another baseline, in the limit, on five clients of which three take part."""

    @pytest.mark.parametrize(
        "setting",
        [
            "drift={kind: prox, mu: 0}",
            "drift={kind: momentum, alpha: 1}",
            "perturb={kind: sam, rho: 0}",
            "perturb={kind: lesam, rho: 0}",
            "perturb={kind: lesam, rho: 0, memory: server}",
            "perturb={kind: smoo, rho: 0}",
            "schedule={kind: skip, period: 1}",
        ],
    )
    def test_is_fedavg_bit_for_bit(self, setting):
        assert (trained(setting) == trained()).all()

    @pytest.mark.parametrize("extra", [SCAFFOLD, DYN])
    @pytest.mark.parametrize("perturb", ["sam", "lesam"])
    def test_without_a_radius_the_correction_alone_is_left(self, extra, perturb):
        assert (trained(f"perturb={{kind: {perturb}, rho: 0}}", *extra) == trained(*extra)).all()

    def test_lesam_begins_as_fedavg(self):
        """The first participation of every client: with all of them active that is round 1."""
        found, plain = trained("perturb={kind: lesam, rho: 0.5}", active=5), trained(active=5)
        assert (found[0] == plain[0]).all() and (found[1] - plain[1]).norm() > 1e-3

    def test_scaffold_begins_as_fedavg(self):
        found, plain = trained(*SCAFFOLD), trained("weight=uniform")
        assert (found[0] == plain[0]).all() and (found[1] - plain[1]).norm() > 1e-3

    def test_dyn_without_strength_is_prox_without_strength(self):
        """At round 1, h = 0: as alpha goes to 0 clients train as in FedAvg; the server's own step stays."""
        whole = many(1)
        tiny = ("drift={kind: dyn, alpha: 1e-9}", "server={kind: dyn, alpha: 1e-9}", "weight=uniform")
        plain = trained("weight=uniform", federation=whole, rounds=1, active=5)[0]
        found = trained(*tiny, federation=whole, rounds=1, active=5)[0]
        # h / alpha is minus the mean change, whatever alpha, so the server goes twice as far
        torch.testing.assert_close(found - plain, plain - whole.first, rtol=1e-6, atol=1e-7)

    def test_nova_with_equal_steps_is_fedavg(self):
        whole = many()
        whole.steps = [4] * 5
        found, plain = trained("weight=nova", federation=whole), trained(federation=whole)
        torch.testing.assert_close(found, plain, rtol=1e-13, atol=1e-13)

    def test_one_step_of_all_clients_is_central_descent(self):
        whole = many()
        whole.steps, at = [1] * 5, whole.first
        for _ in range(4):
            at = at - 0.1 * (whole.curvature * (at - whole.optimum)).mean(dim=0)
        for settings_ in (("weight=uniform",), SCAFFOLD):
            found = trained(*settings_, federation=whole, active=5)
            torch.testing.assert_close(found[-1], at, rtol=1e-12, atol=1e-12)

    def test_a_strong_pull_freezes(self):
        found = trained("drift={kind: prox, mu: 9.9}", rounds=1)
        plain = trained(rounds=1)
        start = many().first
        assert (found[0] - start).norm() < (plain[0] - start).norm() / 2


ALL = {
    "fedavg": (),
    "fedprox": ("drift={kind: prox, mu: 0.3}",),
    "scaffold": SCAFFOLD,
    "feddyn": DYN,
    "fedcm": ("drift=momentum",),
    "fedsam": ("perturb={kind: sam, rho: 0.2}",),
    "mofedsam": ("perturb={kind: sam, rho: 0.2}", "drift=momentum"),
    "fedgamma": ("perturb={kind: sam, rho: 0.2}", *SCAFFOLD),
    "fedsmoo": ("perturb={kind: smoo, rho: 0.2}", *DYN),
    "fedlesam": ("perturb={kind: lesam, rho: 0.2}",),
    "fedlesam-server": ("perturb={kind: lesam, rho: 0.2, memory: server}",),
    "fedlesam-s": ("perturb={kind: lesam, rho: 0.2}", *SCAFFOLD),
    "fedlesam-d": ("perturb={kind: lesam, rho: 0.2}", *DYN),
    "fednova": ("weight=nova",),
    "fedadam": ("server=adam",),
    "fedskip": ("schedule={kind: skip, period: 3}",),
    "fedskip-lesam": ("schedule={kind: skip, period: 3}", "perturb={kind: lesam, rho: 0.2, memory: server}"),
    "fedskip-prox": ("schedule={kind: skip, period: 3}", "drift={kind: prox, mu: 0.3}"),
}


@pytest.mark.parametrize("settings_", ALL.values(), ids=ALL)
class TestEveryRecipe:
    def test_clients_side_by_side_or_one_by_one(self, settings_):
        together, alone = (trained(*settings_, rounds=6, together=t) for t in (True, False))
        torch.testing.assert_close(together, alone, rtol=1e-13, atol=1e-13)

    def test_stopped_after_every_round_and_resumed(self, settings_):
        assert (trained(*settings_, rounds=7, resume=True) == trained(*settings_, rounds=7)).all()

    def test_the_clients_own_numbers_do_not_matter(self, settings_):
        """With all clients active, renaming them changes nothing: slots, too, are renamed."""
        turn = [3, 0, 4, 1, 2]  # client i of the second federation is client turn[i] of the first
        first, second = many(), many()
        for name in ("curvature", "optimum"):
            setattr(second, name, getattr(first, name)[turn])
        second.examples, second.steps = [first.examples[i] for i in turn], [first.steps[i] for i in turn]
        order = [[0, 1, 2, 3, 4], [2, 4, 0, 1, 3], [1, 3, 4, 0, 2]]
        renamed = [[turn.index(client) for client in row] for row in order]
        found = []
        for federation, rows in ((first, order), (second, renamed)):
            chosen = recipe(*settings_)
            given_ = Given(period=getattr(chosen.schedule, "period", 1), order=rows)
            found.append(federation.train(chosen.model_copy(update={"schedule": given_}), 6))
        torch.testing.assert_close(found[1], found[0], rtol=1e-12, atol=1e-12)


def by_definition(federation, client, received, *, old=None, rho=0.0, settings=None, correct=None):
    """Local training with the shift added before every gradient and taken off after it."""
    h, c = federation.curvature[client], federation.optimum[client]
    given_ = {"weight_decay": 0.0, "momentum": 0.0, "clip": torch.inf} | (settings or {})
    at, velocity = received.clone(), torch.zeros_like(received)
    delta = torch.zeros_like(received) if old is None else old - received
    eps = rho * delta / delta.norm() if delta.any() else delta
    for _ in range(federation.steps[client]):
        gradient = h * (at + eps - c)
        gradient = gradient if correct is None else correct(gradient, at)
        gradient = gradient * min(1.0, given_["clip"] / float(gradient.norm()))
        velocity = given_["momentum"] * velocity + gradient + given_["weight_decay"] * at
        at = at - 0.1 * velocity
    return at


def active_in(federation, round):
    return [client for number, client in federation.starts if number == round]


def weighted(federation, clients, models):
    weights = torch.tensor([federation.examples[i] for i in clients]).double()
    return weights @ torch.stack(models) / weights.sum()


class TestLESAM:
    @pytest.mark.parametrize("mu", [0.0, 0.3])
    @pytest.mark.parametrize(
        "settings_", [{}, {"weight_decay": 0.05}, {"momentum": 0.9}, {"weight_decay": 0.05, "momentum": 0.9, "clip": 1}]
    )
    def test_training_at_the_shifted_point_equals_shifting_in_every_step(self, settings_, mu):
        """Also that a client's direction comes from what it was sent last, however long ago."""
        federation, model, last = many(), many().first, {}
        told = [f"training.{name}={value}" for name, value in settings_.items()]
        told += [f"drift={{kind: prox, mu: {mu}}}"] if mu else []
        found = federation.train(recipe("perturb={kind: lesam, rho: 0.3}", *told), 6, active=2)
        for round in range(1, 7):
            clients = active_in(federation, round)
            how = {"rho": 0.3, "settings": settings_, "correct": lambda g, v, w=model: g + mu * (v - w)}
            finals = [by_definition(federation, i, model, old=last.get(i), **how) for i in clients]
            last |= dict.fromkeys(clients, model)
            model = weighted(federation, clients, finals)
            torch.testing.assert_close(found[round - 1], model, rtol=1e-12, atol=1e-12)
        rounds = [[number for number, client in federation.starts if client == i] for i in range(5)]
        assert any(later - earlier > 1 for each in rounds for earlier, later in pairwise(each))

    def test_a_client_that_was_away_remembers_the_model_it_was_sent(self):
        """Client 0 takes part in rounds 1 and 4: its direction is w1 - w4, not w3 - w4."""
        federation = many(clients=2)
        schedule = Given(period=1, order=((0,), (1,), (1,), (0,)))
        chosen = recipe("perturb={kind: lesam, rho: 0.3}").model_copy(update={"schedule": schedule})
        found = federation.train(chosen, 4, active=1)
        w1, w3, w4 = federation.first, found[1], found[2]
        torch.testing.assert_close(found[3], by_definition(federation, 0, w4, old=w1, rho=0.3), rtol=0, atol=1e-12)
        assert (found[3] - by_definition(federation, 0, w4, old=w3, rho=0.3)).norm() > 1e-3

    def test_with_everybody_active_both_memories_agree(self):
        one, other = (
            trained(f"perturb={{kind: lesam, rho: 0.3, memory: {memory}}}", active=5) for memory in ("client", "server")
        )
        torch.testing.assert_close(one, other, rtol=1e-13, atol=1e-13)

    def test_is_sam_with_a_stale_gradient(self):
        """Equal clients, one step each: the shift has the direction of the gradient of the round before."""
        whole = many()
        whole.curvature, whole.optimum = whole.curvature[:1].repeat(5, 1), whole.optimum[:1].repeat(5, 1)
        whole.steps = [1] * 5
        found = trained("perturb={kind: lesam, rho: 0.3}", federation=whole, active=5, rounds=2)
        h, c, w0 = whole.curvature[0], whole.optimum[0], whole.first
        g0 = h * (w0 - c)
        w1 = w0 - 0.1 * g0
        expected = w1 - 0.1 * h * (w1 + 0.3 * g0 / g0.norm() - c)
        torch.testing.assert_close(found[1], expected, rtol=1e-12, atol=1e-12)

    def test_inside_a_relay_the_direction_is_that_of_the_last_two_averages(self):
        federation = many()
        chosen = recipe("schedule={kind: skip, period: 3}", "perturb={kind: lesam, rho: 0.3}")
        found = federation.train(chosen, 6)
        eps = 0.3 * (federation.first - found[2]) / (federation.first - found[2]).norm()
        for round in (4, 5):
            for (number, client), start in federation.starts.items():
                if number != round:
                    continue
                h, c = federation.curvature[client], federation.optimum[client]
                at = start
                for _ in range(federation.steps[client]):
                    at = at - 0.1 * h * (at + eps - c)
                following = [s for (n, _), s in federation.starts.items() if n == round + 1]
                assert min(float((at - s).norm()) for s in following) < 1e-12


def test_backward_passes_per_step():
    passes = {}
    for name in ("fedavg", "fedlesam", "fedsam", "fedsmoo"):
        federation = many()
        federation.steps = [4] * 5
        trained(*ALL[name], federation=federation)
        passes[name] = federation.passes
    assert passes == {"fedavg": 16, "fedlesam": 16, "fedsam": 32, "fedsmoo": 32}  # 4 rounds of 4 steps


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 5))
def test_scaffold_by_the_definition(seed, active):
    """The rule written out, one client after the other, with the steps that each truly takes."""
    federation, model = many(seed % 1000), many(seed % 1000).first
    found = federation.train(recipe(*SCAFFOLD), 4, active=active, seed=seed)
    own, mean = torch.zeros(5, 6, dtype=torch.float64), torch.zeros(6, dtype=torch.float64)
    for round in range(1, 5):
        clients = active_in(federation, round)
        finals, changes = [], []
        for i in clients:
            final = by_definition(federation, i, model, correct=lambda g, v, i=i, c=mean: g - own[i] + c)
            change = (model - final) / (federation.steps[i] * 0.1) - mean
            finals.append(final)
            changes.append(change)
        for i, change in zip(clients, changes, strict=True):
            own[i] = own[i] + change
        model, mean = torch.stack(finals).mean(dim=0), mean + torch.stack(changes).sum(dim=0) / 5
        torch.testing.assert_close(found[round - 1], model, rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(own.mean(dim=0), mean)  # the server's control stays the mean of all


def test_momentum_by_the_definition():
    federation, model = many(), many().first
    found = federation.train(recipe("drift={kind: momentum, alpha: 0.2}"), 4, active=3)
    momentum = torch.zeros_like(model)
    for round in range(1, 5):
        clients = active_in(federation, round)
        mixed = [
            by_definition(federation, i, model, correct=lambda g, v, m=momentum: 0.2 * g + 0.8 * m) for i in clients
        ]
        average, steps = weighted(federation, clients, mixed), np.mean([federation.steps[i] for i in clients])
        momentum, model = (model - average) / (steps * 0.1), average
        torch.testing.assert_close(found[round - 1], model, rtol=1e-12, atol=1e-12)


def test_the_loss_that_is_reported_is_the_mean_over_the_steps_truly_taken():
    federation = Federation(steps=(5, 2))
    federation.train(recipe())
    for i, (h, c) in enumerate([(1, 0), (3, 4)]):
        at = [c + (1 - 0.1 * h) ** k * (1 - c) for k in range(federation.steps[i])]
        assert federation.losses[1, i] == close(np.mean([h / 2 * (w - c) ** 2 for w in at]))


def test_corrections_need_the_schedule_to_return_to_their_clients():
    with pytest.raises(InputError, match="schedule=skip relays one client's model to another, but what drift=scaffold"):
        after("schedule={kind: skip, period: 2}", *SCAFFOLD)
