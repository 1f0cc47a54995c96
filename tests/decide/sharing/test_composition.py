"""What grow and prune have in common: attention, the test of reuse, composed heads, frozen earlier policies."""

import itertools

import pytest
import torch

from harmonia.core.errors import InputError
from harmonia.decide.learner import Learner, Surroundings, squared_error
from harmonia.decide.sharing.frozen_policies import still
from harmonia.decide.sharing.grow import Grow
from harmonia.decide.sharing.prune import Prune
from harmonia.models.adapted import Adapted

BOTH = [Grow, Prune]
NEVER = {"reuse_test": "never", "qk_width": 8}


def learned(toy, part, tasks, steps=10):
    learner = part.build(toy.setting)
    for task in tasks:
        toy.learn(learner, (task,), steps)
    return learner


@pytest.mark.parametrize("part", BOTH)
def test_nothing_is_forgotten(stream, part):
    toy = stream(dropout=0.1)
    toy.check_nothing_is_forgotten(part(**NEVER).build(toy.setting), (0, 1, 2))


@pytest.mark.parametrize(
    ("part", "settings"),
    [
        (Grow, NEVER),
        (Prune, {**NEVER, "update_qk": True}),
        (Grow, {"reuse_test": "offline", "qk_width": 8, "tau": 0}),
        (Prune, {"qk_width": 8, "eta": 0.9}),
    ],
)
def test_a_stream_put_down_and_taken_up_ends_the_same(stream, part, settings):
    toy = stream(dropout=0.1)
    toy.check_resume(lambda: part(**settings).build(toy.setting), (0, 1, 2), steps=10)


@pytest.mark.parametrize("part", BOTH)
def test_a_single_task_is_the_plain_network(stream, part):
    toy = stream(names=("open-1",))
    learner, plain = part().build(toy.setting), Learner(toy.setting)
    if part is Prune:  # its timestep table stays as it was drawn
        plain.movable = learner.movable
    learner.enter(learner.phases((0,), 10)[0], toy.around)
    assert learner.phases((0,), 10) == plain.phases((0,), 10)
    toy.phase(learner, learner.phases((0,), 10)[0])
    toy.phase(plain, plain.phases((0,), 10)[0])
    assert torch.equal(learner.vector, plain.vector) and len(learner.vector) == toy.setting.network.size
    learner.leave(learner.phases((0,), 10)[0], toy.around)
    assert torch.equal(*toy.answers(learner, [0]), *toy.answers(plain, [0]))
    assert learner.picture()["modules"] == ["open-1"] and learner.attention == {}


@pytest.mark.parametrize("part", BOTH)
def test_eta_0_never_grows_and_without_reuse_it_always_does(stream, part):
    toy = stream()
    served = learned(toy, part(eta=0, qk_width=8), (0, 1, 2))
    assert served.module_of == {0: 0, 1: 0, 2: 0} and len(served.modules) == 1
    assert [served.parameters_of(k) for k in (1, 2)] == [0, 0]
    assert toy.played == [1, 2]
    first = toy.draw((0,), 4, "x", 0)
    assert torch.equal(served.act([2], first), served.act([0], first))
    assert list(served.picture()["reuse"]) == ["close-1", "push-1"]
    grown = learned(toy, part(**NEVER), (0, 1, 2))
    assert grown.module_of == {0: 0, 1: 1, 2: 2}
    assert all(grown.parameters_of(k) > 0 for k in (0, 1, 2))
    assert grown.attention[1].tolist() == [1.0]
    assert float(grown.attention[2].sum()) == pytest.approx(1)


@pytest.mark.parametrize(("part", "reuse_test"), [(Grow, "rollout"), (Prune, "offline")])
def test_a_repeated_task_is_served_by_its_first_policy(stream, part, reuse_test):
    """After the tasks came once they come again: nothing is added, and the explicit map names who serves whom."""
    toy = stream(names=("open-1", "close-1", "close-2", "open-2"))

    def success(task, act):
        windows = toy.draw((task,), 32, "trial", 0)
        return float(squared_error(act(windows), windows) < 0.3)

    toy.success = success
    settings = {"attention_steps": 30, "attention_rate": 3e-2, "qk_width": 16, "fit_steps": 30, "tau": 0.2}
    learner = learned(toy, part(reuse_test=reuse_test, **settings), range(4), 150)
    assert learner.module_of == {0: 0, 1: 1, 2: 1, 3: 0}
    assert [learner.parameters_of(k) for k in (2, 3)] == [0, 0]
    assert len(toy.played) == (3 if reuse_test == "rollout" else 0)
    windows = toy.draw((1,), 4, "x", 0)
    assert torch.equal(learner.act([2], windows), learner.act([1], windows))  # normalisation of the first included
    facts = learner.picture()["reuse"]
    assert {name: fact["from"] for name, fact in facts.items() if fact["reused"]} == {
        "close-2": "close-1",
        "open-2": "open-1",
    }
    assert [event["reused"] for event in toy.events] == [False, True, True]


def test_soft_reuse_acts_with_the_mixture_of_actions(stream):
    toy = stream()
    learner = learned(toy, Grow(**NEVER), (0, 1))
    learner.part = Grow(reuse="soft", eta=0, qk_width=8)
    toy.learn(learner, (2,))
    alpha = learner.mixture_of[2]
    windows = toy.draw((2,), 4, "x", 0)
    each = [learner.act([task], windows) for task in (0, 1)]
    torch.testing.assert_close(learner.act([2], windows), alpha[0] * each[0] + alpha[1] * each[1])
    assert learner.parameters_of(2) == 2
    assert learner.picture()["reuse"]["push-1"]["from"] == "mixture"


@pytest.mark.parametrize("part", BOTH)
def test_the_attention_is_fitted_to_the_mixture_of_earlier_actions(stream, part):
    toy = stream(names=("open-1", "close-1", "close-2"))
    learner = learned(toy, part(**NEVER), (0, 1), 100)
    learner.part = part(**{**NEVER, "attention_steps": 40, "attention_rate": 3e-2})
    phase = learner.phases((2,), 200)[0]
    assert (phase.name, phase.steps, phase.learning_rate, phase.constant_rate) == ("attention", 40, 3e-2, True)
    learner.enter(phase, toy.around)
    windows = toy.draw((2,), 8, "x", 0)
    each = torch.cat([learner.act([task], windows) for task in (0, 1)])
    alpha = learner._alpha(learner.vector)
    expected = squared_error((alpha[:, None, None, None] * each).sum(dim=0)[None], windows)
    torch.testing.assert_close(learner.losses(learner.vector, (2,), windows), expected)
    toy.phase(learner, phase)
    learner.leave(phase, toy.around)
    assert int(learner._alpha().argmax()) == 1 and float(learner._alpha()[1]) > 0.6


@pytest.mark.parametrize("part", BOTH)
@pytest.mark.parametrize("update_qk", [False, True])
def test_one_grouped_pass_equals_separate_forwards(stream, part, update_qk):
    """Against features of the stored policies one by one, each with the normalisation of its own task."""
    toy = stream(names=tuple(f"task{k}-1" for k in range(5)))
    learner = learned(toy, part(**{**NEVER, "update_qk": update_qk}), range(4))
    attention, train = learner.phases((4,), 10)[:2]
    learner.enter(attention, toy.around)
    toy.phase(learner, attention)
    learner.leave(attention, toy.around)
    learner.enter(train, toy.around)
    windows = toy.draw((4,), 8, "x", 0)
    own, head, qk = learner._pieces(learner.vector)
    features = []
    for index, module in enumerate(learner.modules):
        if part is Prune:
            unused = torch.zeros(toy.setting.network.size - len(learner.trunk))
            weights = torch.cat([learner.owned.masked(learner.trunk, index + 1), unused])
            features.append(toy.setting.predict(weights, [module.task], windows, features=True)[0])
        else:
            weights = Adapted(learner.trunk, None, module.factors)
            found = toy.setting.predict(weights, [module.task], windows, features=True, adapted=learner.adapted)
            features.append(found[0])
    alpha = learner._alpha(qk)
    z = sum(a * f for a, f in zip(alpha, features, strict=True))
    expected = learner.earlier.head(head, z[None], learner.own_features(own, 4, windows))
    torch.testing.assert_close(learner.actions(learner.vector, (4,), windows), expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(
        learner.losses(learner.vector, (4,), windows), squared_error(expected, windows), atol=1e-5, rtol=0
    )
    assert learner.vector.numel() == len(own) + len(head) + (learner.qk.size if update_qk else 0)


@pytest.mark.parametrize("part", BOTH)
def test_features_of_earlier_policies_get_no_gradient_and_no_dropout(stream, part):
    toy = stream(dropout=0.5)
    learner = learned(toy, part(**NEVER), (0,))
    train = learner.phases((1,), 10)[0]
    learner.enter(train, toy.around)
    windows = toy.draw((1,), 8, "x", 0)
    toy.setting.network.module.train()
    first, second = learner.read_earlier(windows), learner.read_earlier(windows)
    assert torch.equal(first, second) and not first.requires_grad
    assert toy.setting.network.module.training
    toy.setting.network.module.eval()
    assert torch.equal(learner.read_earlier(windows), first)


def test_policies_are_functions_of_raw_observations(stream):
    """A reused policy reads observations with the normalisation of the task it was learned for."""
    toy = stream()
    learner = learned(toy, Grow(eta=0, qk_width=8), (0, 1))
    windows = toy.draw((1,), 4, "x", 0)
    weights = torch.cat([learner.trunk, learner.modules[0].head])
    torch.testing.assert_close(learner.act([1], windows), toy.setting.predict(weights, [0], windows))
    assert not torch.allclose(learner.act([1], windows), toy.setting.predict(weights, [1], windows), atol=1e-4)


@pytest.mark.parametrize("part", BOTH)
def test_a_task_not_begun_is_served_by_the_policy_learned_last(stream, part):
    toy = stream()
    learner = part(**NEVER).build(toy.setting)
    windows = toy.draw((2,), 4, "x", 0)
    assert torch.equal(learner.act([2], windows), Learner(toy.setting).act([2], windows))
    toy.learn(learner, (0,))
    toy.learn(learner, (1,))
    assert torch.equal(learner.act([2], windows), learner.act([1], windows))
    assert learner.parameters_of(2) == 0
    several = type(windows)(**{k: torch.cat([v, v]) for k, v in vars(windows).items() if v is not None})
    assert torch.equal(learner.act([0, 1], several), torch.cat([learner.act([0], windows), learner.act([1], windows)]))


@pytest.mark.parametrize("part", BOTH)
def test_without_an_environment_the_rollout_test_is_refused(stream, part):
    toy = stream()
    learner = learned(toy, part(qk_width=8), (0,))
    phase = learner.phases((1,), 10)[0]
    with pytest.raises(InputError, match=r"task close-1: sharing.reuse_test=rollout .* sharing.reuse_test=offline"):
        learner.enter(phase, Surroundings(draw=toy.draw))


@pytest.mark.parametrize("part", BOTH)
def test_tasks_need_names_of_their_own_and_descriptions(stream, part):
    with pytest.raises(InputError, match="task open-1 is listed twice"):
        part().build(stream(names=("open-1", "push-1", "open-1")).setting).phases((0,), 10)
    toy = stream()
    toy.setting.texts = ["open", "", "push"]
    with pytest.raises(InputError, match="task close-1 has no description"):
        part().build(toy.setting).phases((0,), 10)


@pytest.mark.parametrize(("field", "value"), [("eta", 1.1), ("eta", -0.1), ("tau", -1), ("memory", -1), ("reuse", "x")])
def test_settings_out_of_range_are_refused(field, value):
    with pytest.raises(ValueError, match=field):
        Grow(**{field: value})


def test_steps_of_all_phases_add_up(stream):
    toy = stream(names=tuple(f"task{k}-1" for k in range(4)))
    for part, reuse_test in itertools.product(BOTH, ("rollout", "offline", "never")):
        learner = learned(toy, part(**NEVER), (0, 1), 2)
        learner.part = part(reuse_test=reuse_test, attention_steps=30, fit_steps=10)
        phases = learner.phases((2,), 100)
        assert sum(phase.steps for phase in phases) == 100
        assert phases[0].steps == 20  # a fifth at most
        assert [phase.name for phase in phases] == [
            "attention",
            *(["single"] if reuse_test == "offline" else []),
            *(["reuse"] if reuse_test != "never" else []),
            "train",
            *(["retrain"] if part is Prune else []),
        ]


def test_still_restores_the_mode_of_the_network():
    module = torch.nn.Dropout(0.5)
    for training in (True, False):
        module.train(training)
        with still(module):
            assert not module.training and not torch.is_grad_enabled()
        assert module.training == training and torch.is_grad_enabled()
