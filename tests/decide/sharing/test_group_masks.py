from dataclasses import replace

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from tests.decide.sharing.toy_setting import FAMILY, NAMES, draw_windows, make_setting, surroundings, train

from harmonia.core.errors import InputError
from harmonia.decide.learner import Phase
from harmonia.decide.sharing.group_masks import GroupMasks
from harmonia.decide.sharing.grouping import ConflictKMeans, GivenGroups, RandomGroups
from harmonia.decide.sharing.masked import Fixed, Harmony
from harmonia.decide.sharing.routing import Router, Unknown
from harmonia.decide.sharing.task_masks import TaskMasks

SMALL = Harmony(interval=None, swaps=0.02)
TRUTH = [FAMILY[name] for name in NAMES]


def learner(setting=None, **fields):
    quick = ConflictKMeans(batches=3, restarts=5)
    return GroupMasks(**{"selector": SMALL, "cluster": quick, "width": 32, **fields}).build(setting or make_setting())


@pytest.fixture(scope="module")
def trained():
    log = []
    made = learner(groups=2, warm=0.3, gate_steps=0.4)
    return train(made, 300, surroundings(made.setting, log)), log


@pytest.mark.parametrize("joint", [True, False])
def test_a_group_per_task_told_the_task_is_a_mask_per_task_bit_for_bit(joint):
    groups = train(learner(groups=6, warm=0, router="oracle"), 60, joint=joint)
    tasks = train(TaskMasks(selector=SMALL).build(make_setting()), 60, joint=joint)
    assert groups.labels.tolist() == list(range(6))
    assert torch.equal(groups.vector, tasks.vector)
    assert (groups.bank.bits == tasks.bank.bits).all()
    windows = surroundings(tasks.setting).draw(range(6), 3, "x", 0)
    assert torch.equal(groups.act(range(6), windows), tasks.act(range(6), windows))


def test_one_group_is_one_pruned_network_and_the_gate_constant():
    made = learner(groups=1, warm=0, selector=Fixed(), router="gate")
    assert [phase.name for phase in made.phases(range(6), 50)] == ["masks"]
    train(made, 30)
    assert made.weights(made.vector, range(6)).dim() == 1
    windows = surroundings(made.setting).draw((0,), 4, "x", 0)
    assert (made.act_unknown(4)((0,), windows) == made.act((0,), windows)).all()
    pruned = TaskMasks(selector=Fixed()).build(make_setting())
    pruned.bank.bits[:] = made.bank.bits[0]
    pruned.owners = lambda tasks: [0] * len(tasks)
    train(pruned, 30)
    assert torch.equal(made.vector, pruned.vector)


def test_families_are_found_and_the_gate_tells_them_apart(trained):
    made, log = trained
    assert made.labels.tolist() == TRUTH
    assert np.diag(made.confusion).min() > 0.8
    np.testing.assert_allclose(made.confusion.sum(axis=1), 1)
    assert [event for event, _ in log if event != "masks"] == ["groups", "conflict", "gate"]
    shown = made.picture()
    assert shown["groups"] == FAMILY and len(shown["masks"]) == 2
    assert np.allclose(np.diag(shown["conflict_cosine"]), 1)


def test_the_number_of_groups_is_that_of_the_largest_silhouette():
    made = learner(warm=0.5, router="oracle")
    assert made.labels is None
    train(made, 80)
    assert sorted(made.curve) == [2, 3]
    assert made.labels.max() + 1 == max(made.curve, key=made.curve.get)


def test_in_the_warm_stage_nothing_is_masked():
    made = learner(groups=2)
    made.enter(Phase("warm", tuple(range(6)), 5), surroundings(made.setting))
    assert made.weights(made.vector, (0, 5)) is made.vector
    assert made.movable((0,)) is None


def test_phases_share_the_steps():
    made = learner(groups=2, warm=0.25, gate_steps=0.15)
    assert [(p.name, p.steps) for p in made.phases(range(6), 200)] == [("warm", 50), ("masks", 120), ("gate", 30)]
    told = learner(groups=2, warm=0.25, router="oracle")
    assert [(p.name, p.steps) for p in told.phases(range(6), 200)] == [("warm", 50), ("masks", 150)]


def test_the_gate_leaves_the_policy_as_it_was():
    made = learner(groups=2, warm=0.3, gate_steps=0.4)
    around = surroundings(made.setting)
    windows = around.draw(range(6), 3, "x", 0)
    half = train(learner(groups=2, warm=0.3, gate_steps=0.4), 100, stop=70)
    during = half.act(range(6), windows)
    assert half.stage == "gate"
    whole = train(made, 100)
    assert torch.equal(whole.act(range(6), windows), during)


def test_groups_count_alike_in_the_gates_loss():
    made = learner(cluster=GivenGroups(groups=dict(zip(NAMES, (0, 0, 0, 0, 0, 1), strict=True))), warm=0)
    around = surroundings(made.setting)
    made.enter(Phase("gate", tuple(range(6)), 5), around)
    windows = around.draw(range(6), 8, "x", 0)
    losses = made.losses(made.vector, range(6), windows)
    logits = made.gate.logits(made.vector, windows)
    plain = -logits.log_softmax(dim=-1)[torch.arange(6), :, made.labels].mean(dim=1)
    expected = (plain[:5].mean() + plain[5]) / 2
    torch.testing.assert_close(losses.mean(), expected)
    each = made.losses(made.vector.expand(6, -1), range(6), windows)
    torch.testing.assert_close(each, losses)


def test_a_perfect_gate_acts_as_if_it_were_told(trained, monkeypatch):
    made, _ = trained
    around = surroundings(made.setting)
    windows = around.draw((1, 4), 5, "x", 0)
    truth = np.repeat([TRUTH[1], TRUTH[4]], 5)
    monkeypatch.setattr(made, "believed", lambda w: np.eye(2)[truth][None])
    torch.testing.assert_close(made.act_unknown(5)((0, 0), windows), made.act((1, 4), windows))


@pytest.mark.parametrize("router", ["gate", "filter", "soft"])
def test_acting_unknown_finds_the_group_of_each_episode(trained, router):
    made, _ = trained
    again = learner(groups=2, warm=0.3, gate_steps=0.4, router=router, patience=2)
    again.restore(made.state())
    policy = again.act_unknown(20)
    around = surroundings(again.setting)
    for step in range(6):
        windows = around.draw((0, 3), 20, "play", step)
        actions = policy((3, 0), windows)  # the tasks told are wrong and are not read
    chosen = policy.router.history[-1].reshape(2, 20)
    assert (chosen[0] == TRUTH[0]).mean() > 0.8 and (chosen[1] == TRUTH[3]).mean() > 0.8
    if router == "soft":
        posterior = policy.router._filter.posterior
        first, second = (again.act_in_groups(np.tile(np.eye(2)[c], (40, 1)), flat(windows)) for c in (0, 1))
        mixed = torch.from_numpy(posterior).float()
        expected = mixed[None, :, :1, None] * first + mixed[None, :, 1:, None] * second
        torch.testing.assert_close(actions.flatten(0, 1)[None], expected)
    else:
        told = torch.cat([again.act((0,), windows.of([0])), again.act((3,), windows.of([1]))])
        right = torch.from_numpy(chosen == np.array([[TRUTH[0]], [TRUTH[3]]]))
        torch.testing.assert_close(actions[right], told[right])


def flat(windows):
    arrays = ("observations", "actions", "returns", "timesteps", "valid")
    return type(windows)(**{n: getattr(windows, n).flatten(0, 1).unsqueeze(0) for n in arrays})


def test_a_filter_that_forgets_everything_is_the_gate(trained):
    made, _ = trained
    blind = learner(groups=2, router="filter", rho=0.0, patience=1)
    hard = learner(groups=2, router="gate")
    for other in (blind, hard):
        other.restore(made.state())
    routers = [Router(blind), Router(hard)]
    for router in routers:
        router.start(8)
    for step in range(5):
        windows = draw_windows("lift", 8, "x", step).tensors()
        assert (routers[0].route(windows) == routers[1].route(windows)).all()


def test_the_filter_starts_from_a_prompt(trained):
    made, _ = trained
    prompt = draw_windows("lift", 8, "prompt", 0).tensors()
    router = Router(made)
    router.start(8, prompt)
    np.testing.assert_allclose(router._filter.posterior, made.believed(prompt)[0])


def test_an_unseen_task_joins_the_group_whose_conflicts_are_nearest():
    made = learner(groups=2, warm=0.3, gate_steps=0.4, unseen="gradient")
    train(made, 300, surroundings(made.setting))
    # tasks beyond those learned: more of each family
    places = range(len(NAMES), 2 * len(NAMES))
    around = surroundings(replace(made.setting, names=[*NAMES, *NAMES]))
    before = made.vector.clone()
    doubled = {"mean": made.setting.mean.repeat(2, 1), "inverse": made.setting.inverse.repeat(2, 1)}
    made.setting = replace(made.setting, **doubled)
    windows = around.draw(places, 4, "x", 0)
    asked = made.act_unseen(places, 4)
    for place in places:
        made.meet(place, around)
    assert [made.met[place] for place in places] == TRUTH
    assert torch.equal(made.vector, before) and made.stage == "done"
    assert isinstance(asked, Unknown) and made.act_unseen(places, 4) == made.act
    assert torch.equal(made.act(places, windows), made.act(range(len(NAMES)), windows))
    other = learner(groups=2, unseen="gradient")
    other.restore(made.state())
    assert other.met == made.met


def test_a_stored_state_is_the_same_policy_and_gate(trained):
    made, _ = trained
    again = learner(groups=2)
    again.restore({name: array.copy() for name, array in made.state().items()})
    windows = surroundings(made.setting).draw(range(6), 4, "x", 0)
    assert torch.equal(made.act(range(6), windows), again.act(range(6), windows))
    assert (made.believed(windows) == again.believed(windows)).all()
    assert again.picture() == made.picture()
    assert [again.parameters_of(i) for i in range(6)] == [made.parameters_of(i) for i in range(6)]


@pytest.mark.parametrize("stop", [10, 30, 55, 70, 90])
def test_stopped_and_resumed_equals_uninterrupted(stop):
    fields = {"groups": 2, "warm": 0.3, "gate_steps": 0.4}
    whole = train(learner(**fields), 100)
    half = train(learner(**fields), 100, stop=stop)
    again = learner(**fields)
    again.restore(half.state())
    train(again, 100, start=stop)
    ours, theirs = whole.state(), again.state()
    assert ours.keys() == theirs.keys()
    for name, array in ours.items():
        np.testing.assert_array_equal(array, theirs[name], err_msg=name)


def test_masks_are_counted_once_per_group(trained):
    made, _ = trained
    mask = -(-made.maskable // 32)
    added = [made.parameters_of(i) for i in range(6)]
    assert added[1:] == [0, 0, mask, 0, 0]
    assert added[0] == made.setting.network.size + mask + len(made.gate.weights)


def test_random_groups_have_equal_sizes_whatever_the_order():
    made = learner(cluster=RandomGroups(), groups=3, warm=0)
    assert np.bincount(made.labels).tolist() == [2, 2, 2]
    turned = learner(make_setting(tuple(reversed(NAMES))), cluster=RandomGroups(), groups=3, warm=0)
    assert made.labels.tolist() == turned.labels[::-1].tolist()


def test_a_group_s_mask_is_that_of_its_members_whatever_the_order():
    fields = {"cluster": GivenGroups(groups=FAMILY), "warm": 0}
    made, turned = learner(**fields), learner(make_setting(tuple(reversed(NAMES))), **fields)
    assert made.bank.names == ("drop+lift+shut", "open+push+reach")
    for name in made.bank.names:
        assert torch.equal(made.bank.get(name), turned.bank.get(name))


def test_only_an_oracle_needs_the_task():
    assert GroupMasks(router="oracle").needs_task
    assert not GroupMasks().needs_task


def test_bad_input_is_named(trained):
    with pytest.raises(ValidationError, match="groups"):
        GroupMasks(groups=0)
    with pytest.raises(ValidationError, match="leave no steps"):
        GroupMasks(warm=0.9, gate_steps=0.2)
    with pytest.raises(ValidationError, match="leave groups out"):
        GroupMasks(groups=2, cluster=GivenGroups(groups=FAMILY))
    with pytest.raises(InputError, match="7 groups of 6 tasks; give 1 to 6"):
        learner(groups=7)
    with pytest.raises(InputError, match="untrained network say nothing of conflict"):
        learner(groups=2, warm=0)
    with pytest.raises(InputError, match="normalised per task, which tells a gate the task.*normalise=pooled"):
        learner(make_setting(pooled=False))
    learner(make_setting(pooled=False), router="oracle")
    with pytest.raises(InputError, match="conditioning tells the policy its task.*conditioning=none"):
        learner(make_setting(condition=torch.eye(6)))
    with pytest.raises(InputError, match="a head per task needs the task"):
        learner(make_setting(heads=6))
    with pytest.raises(InputError, match="task 'drop' has no group"):
        learner(cluster=GivenGroups(groups=dict.fromkeys(NAMES[:-1], 0)))
    with pytest.raises(InputError, match="no task 'psuh'; did you mean 'push'"):
        learner(cluster=GivenGroups(groups={**FAMILY, "psuh": 0}))
    with pytest.raises(InputError, match="cluster=random finds no number of groups"):
        learner(cluster=RandomGroups())
    made, _ = trained
    around = surroundings(made.setting)
    with pytest.raises(InputError, match="the gate would never see group 0"):
        learner(cluster=GivenGroups(groups=FAMILY), warm=0).enter(Phase("gate", (0, 1), 5), around)
    with pytest.raises(InputError, match="router=oracle must be told the task"):
        learner(groups=2, router="oracle").act_unknown(1)
    with pytest.raises(InputError, match="has no gate"):
        learner(cluster=GivenGroups(groups=FAMILY), warm=0).believed(around.draw((0,), 2, "x", 0))
    with pytest.raises(ValidationError, match="take cluster=conflict-kmeans"):
        learner(cluster=GivenGroups(groups=FAMILY), unseen="gradient")
    with pytest.raises(InputError, match="3 episodes per row came to a policy that was made for 2"):
        made.act_unknown(2)((0,), around.draw((0,), 3, "x", 0))
    stored = made.state()
    with pytest.raises(InputError, match="stored groups are of 4 tasks, not 6"):
        learner(groups=2).restore({**stored, "labels": np.zeros(4, np.int64)})
    flat_task = learner(groups=2)
    flat_task.vector = torch.zeros_like(flat_task.vector)
    with pytest.raises(InputError, match="task push: its gradient is zero everywhere"):
        flat_task.leave(Phase("warm", tuple(range(6)), 5), around)
