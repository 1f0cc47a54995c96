"""A policy as a user has it: saved, loaded, asked for actions."""

from __future__ import annotations

import json
import shutil

import numpy as np
import polars
import pytest

from harmonia.core.errors import InputError, RunError
from harmonia.decide import load
from harmonia.decide.engine import decide
from harmonia.decide.output import final_outcomes
from harmonia.worlds.registry import find_world

KINDS = [
    "dt",
    "mtdt",
    "prompt-dt",
    "text-dt",
    "mt-bc",
    "mlp-bc",
    "expert",
    "harmodt",
    "g-harmodt",
    "lora-multitask",
    "mtl",
    "ewc",
    "lora",
    "packnet",
    "compoformer-grow",
    "compoformer-prune",
    "single",
]
"""Every backbone, conditioning and way of sharing, and both kinds of heads."""


@pytest.mark.parametrize("name", KINDS)
def test_a_loaded_policy_plays_the_episodes_that_were_judged(trained, tiny, name):
    """One observation at a time from the file gives what a batch of episodes gave during the run."""
    one_prompt = ("conditioning.best=1",) if tiny(name).conditioning.prompting else ()
    result = trained(name, *one_prompt)
    policy = load(result.folder)
    world = find_world("points")
    for row in final_outcomes(result.outcomes).iter_rows(named=True):
        env = world.make(row["task"])
        policy.reset(row["task"])
        observation, reward, total, solved = env.reset(row["goal"], 0), 0.0, 0.0, False
        for _ in range(12):
            observation, reward, success, _ = env.step(policy.act(observation, reward))
            total += reward
            solved |= success
        assert total == pytest.approx(row["return"], rel=1e-4)
        assert solved == row["success"]


@pytest.mark.parametrize("name", KINDS)
def test_saving_again_writes_the_same_bytes(trained, name, tmp_path):
    folder = trained(name).folder / "result" / "policy"
    load(folder).save(tmp_path)
    for file in ("config.json", "model.safetensors"):
        assert (tmp_path / file).read_bytes() == (folder / file).read_bytes()


def test_an_action_has_the_shape_and_bounds_of_the_world(trained):
    policy = trained("mtdt").policy
    policy.reset("east")
    for _ in range(30):  # longer than the context and than any episode
        action = policy.act(np.full(6, 100.0), 1.0)
        assert action.shape == (2,) and action.dtype == np.float32
        assert np.abs(action).max() <= 1


def test_a_new_episode_begins_at_reset_and_the_return_asked_for_matters(trained):
    policy = trained("mtdt").policy
    shown = np.linspace(-1, 1, 6)
    policy.reset("north")
    first = [policy.act(shown * k, 0.1) for k in range(4)]
    policy.reset("north")
    again = [policy.act(shown * k, 0.1) for k in range(4)]
    assert np.array_equal(first, again)
    policy.reset("north", target_return=policy.frame.targets[0] * 10)
    assert not np.array_equal(first[0], policy.act(shown * 0))
    policy.reset("east")
    assert not np.array_equal(first[0], policy.act(shown * 0))


def test_what_is_not_an_observation_is_refused_and_the_episode_goes_on(trained):
    policy = trained("mtdt").policy
    policy.reset("north")
    policy.act(np.zeros(6))
    with pytest.raises(InputError, match=r"shape \(5,\); the policy reads \(6,\)"):
        policy.act(np.zeros(5))
    with pytest.raises(InputError, match=r"shape \(1, 6\)"):
        policy.act(np.zeros((1, 6)))
    for observation, reward in ((np.full(6, np.nan), 0.0), (np.full(6, np.inf), 0.0), (np.zeros(6), np.nan)):
        with pytest.raises(InputError, match="NaN or infinite"):
            policy.act(observation, reward)
    with pytest.raises(InputError, match="the return to ask for is nan"):
        policy.reset("north", target_return=float("nan"))
    second = policy.act(np.ones(6), 0.5)
    policy.reset("north")
    policy.act(np.zeros(6))
    assert np.array_equal(second, policy.act(np.ones(6), 0.5))


def test_a_task_must_be_named_where_there_are_several_and_known(trained):
    policy = trained("mtdt").policy
    with pytest.raises(InputError, match="name the task to act in: .* known: east, north, reach"):
        policy.act(np.zeros(6))
    with pytest.raises(InputError, match="does not know task 'nroth'; did you mean 'north'"):
        policy.reset("nroth")


def test_one_task_need_not_be_named(tiny, three, tmp_path):
    policy = decide(three, tiny("dt"), tasks="north", goals=1, out=tmp_path / "r").policy
    unnamed = policy.act(np.zeros(6))
    policy.reset("north")
    assert np.array_equal(unnamed, policy.act(np.zeros(6)))


def test_groups_are_found_without_the_task_and_a_named_task_is_a_known_group(trained):
    policy = trained("g-harmodt", "sharing.groups=3").policy
    policy.reset()
    found = policy.act(np.zeros(6))
    told = []
    for label in policy.frame.labels:
        policy.reset(label, target_return=float(np.median(policy.frame.targets)))
        told.append(policy.act(np.zeros(6)))
    assert len(np.unique(np.round(told, 5), axis=0)) == 3  # three groups, three masks
    assert any(np.allclose(found, each, atol=1e-5) for each in told)


def test_a_task_that_comes_again_has_a_name_and_a_policy_for_each_time(tiny, three, tmp_path):
    result = decide(three, tiny("finetune"), stream="north,east,north", goals=1, out=tmp_path / "r")
    policy = result.policy
    assert policy.frame.labels == ("north", "east", "north@2")
    assert policy.frame.tasks == ("north", "east", "north")
    actions = []
    for label in policy.frame.labels:
        policy.reset(label)
        actions.append(policy.act(np.zeros(6)))
    assert not np.array_equal(actions[0], actions[2])  # heads of their own
    assert set(result.outcomes["task"]) == {"north", "east", "north@2"}
    first, again = (result.outcomes.filter(polars.col("task") == t) for t in ("north", "north@2"))
    assert first["goal"].to_list() == again["goal"].to_list()  # the same episodes are played


def test_a_policy_needs_nothing_but_its_folder(tiny, three, tmp_path):
    """Vectors of tasks come from a file that need not travel with the policy."""
    vectors = tmp_path / "vectors.json"
    vectors.write_text(json.dumps({"north": [1, 0], "east": [0, 1], "reach": [1, 1]}))
    given = f"{{kind: given, path: {vectors}}}"
    composed = tiny("compoformer-prune", f"sharing.text={given}", "sharing.update_qk=true", "sharing.eta=1")
    told = tiny("text-dt", f"conditioning.encoder={given}")
    before = {}
    for recipe in (composed, told):
        order = {"stream" if recipe.stream.sequential else "tasks": ["north", "east", "reach"]}
        result = decide(three, recipe, **order, goals=1, out=tmp_path / recipe.name)
        policy = result.policy
        policy.reset("reach")
        before[recipe.name] = policy.act(np.ones(6))
        shutil.copytree(result.folder / "result" / "policy", tmp_path / "moved" / recipe.name)
        shutil.rmtree(result.folder)
    vectors.unlink()
    for name, action in before.items():
        moved = load(tmp_path / "moved" / name)
        moved.reset("reach")
        assert np.array_equal(moved.act(np.ones(6)), action)


def test_the_device_is_found_or_refused(trained):
    folder = trained("mtdt").folder
    assert load(folder, device="auto").device in ("cpu", "cuda", "cuda:0")
    with pytest.raises(InputError, match="device 'abacus' is not here; use auto or cpu"):
        load(folder, device="abacus")


@pytest.fixture
def copied(trained, tmp_path):
    shutil.copytree(trained("mtdt").folder / "result" / "policy", tmp_path / "p")
    return tmp_path / "p"


def test_what_is_no_policy_is_said(copied, tmp_path):
    with pytest.raises(InputError, match=r"holds no policy \(no config.json\); name a finished run"):
        load(tmp_path / "nothing")
    (copied / "config.json").write_text('{"format": "harmonia-policy", "version": 99}')
    with pytest.raises(InputError, match=r"config.json is not a policy that this version of harmonia can read"):
        load(copied)


def test_a_policy_without_a_part_is_said(copied):
    config = json.loads((copied / "config.json").read_text())
    del config["frame"]["learned"]
    (copied / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match=r"lacks parts of a policy, or was written by another version"):
        load(copied)


def test_a_damaged_policy_is_one_error(copied):
    whole = (copied / "model.safetensors").read_bytes()
    (copied / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(RunError, match=r"model.safetensors is damaged"):
        load(copied)
    (copied / "model.safetensors").unlink()
    with pytest.raises(RunError, match=r"model.safetensors"):
        load(copied)
    (copied / "config.json").write_text("{")
    with pytest.raises(RunError, match=r"config.json is damaged"):
        load(copied)


def test_masks_of_another_network_are_refused(trained):
    result = trained("harmodt")
    policy, other = result.policy, trained("harmodt", "backbone.width=16").policy
    with pytest.raises(InputError, match="mask"):
        policy.learner.restore(other.learner.state())
