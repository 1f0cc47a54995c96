"""Whole runs: who plays what, what is forgotten, what an interruption changes."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import polars
import pytest

from harmonia.core import files
from harmonia.core.errors import InputError
from harmonia.data.trajectories import Trajectories, TrajectoryWriter
from harmonia.decide.arena import Arenas
from harmonia.decide.engine import decide, named_tasks
from harmonia.decide.policy import Policy, load
from harmonia.testing import Stopped
from harmonia.worlds.gather import gather
from harmonia.worlds.registry import find_world

LEARNING = (
    "backbone.width=16",
    "backbone.context=2",
    "backbone.dropout=0",
    "training.steps=120",
    "training.batch=16",
    "training.learning_rate=0.01",
    "training.warmup=10",
)
"""Enough to solve points whose targets do not move."""
ATTENDING = ("sharing.attention_steps=20", "sharing.attention_rate=0.02")

# -- what is learned, kept, forgotten -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["packnet", "lora", "single", "compoformer-grow", "compoformer-prune"])
def test_what_is_kept_by_construction_is_not_forgotten_at_all(points, tiny, tmp_path, name):
    composed = name.startswith("compoformer")
    stream = ["north", "south", "north"] if composed else ["north", "south"]
    recipe = tiny(name, *LEARNING, *(ATTENDING if composed else ()))
    result = decide(points, recipe, stream=stream, goals=3, out=tmp_path / "r")
    summary = result.summary
    assert summary["stream"]["forgetting"] == 0
    matrix = np.array(summary["stream"]["matrix"][1:])
    assert np.diag(matrix).tolist() == [1.0] * len(stream)  # there was something to forget
    # earlier tasks are played alike to the last bit, whatever was learned since
    plays = result.outcomes.filter(polars.col("task") == "north")
    first, last = (plays.filter(polars.col("after") == label).drop("after") for label in ("north", plays["after"][-1]))
    assert first.equals(last)
    if composed:
        reuse = summary["sharing"]["reuse"]
        assert not reuse["south"]["reused"] and reuse["north@2"]["reused"]
        assert summary["parameters"]["south"] > 0 == summary["parameters"]["north@2"]


def test_finetuning_one_head_forgets_and_joint_training_that_knows_the_task_does_not(points, tiny, tmp_path):
    shared = tiny("finetune", *LEARNING, "stream.heads=shared")
    forgets = decide(points, shared, stream=["north", "south"], goals=3, out=tmp_path / "f").summary["stream"]
    assert (forgets["matrix"][1][0], forgets["matrix"][2][1], forgets["matrix"][2][0]) == (1, 1, 0)
    assert forgets["forgetting"] == 0.5 and forgets["backward_transfer"] == -1
    told = decide(points, tiny("mtdt", *LEARNING), tasks="north,south", goals=3, out=tmp_path / "m").summary
    assert told["success"]["given"]["mean"] == 1
    blind = decide(points, tiny("mt-bc", *LEARNING, "conditioning=none"), tasks="north,south", goals=3).summary
    assert blind["success"]["given"]["mean"] <= 0.5  # north and south ask opposite things of the same observation
    assert blind["conflict"]["opposed_pairs"] == 1


def test_a_task_not_learned_yet_is_played_by_the_policy_learned_last(three, tiny, tmp_path, monkeypatch):
    asked = []
    actor = Policy.actor

    def spied(self, policies, episodes, act=None, *, targets=None):
        asked.append(tuple(policies))
        return actor(self, policies, episodes, act, targets=targets)

    monkeypatch.setattr(Policy, "actor", spied)
    decide(three, tiny("finetune"), stream=["north", "east", "reach"], goals=1, out=tmp_path / "r")
    assert asked == [(k,) for k in (0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 1, 2)]


MIXED = [
    ("ewc", "sharing=task-masks", "stream.samples=8"),
    ("er", "sharing=task-masks", "conditioning=prompt"),
    ("agem", "conditioning=text", "stream.replay_head=newest"),
    ("lwf", "backbone=mlp-bc"),
    ("finetune", "stream.heads=shared", "sharing=lora"),
    ("compoformer-prune", "backbone=mlp-bc", "conditioning=task-id"),
    ("compoformer-grow", "sharing.reuse=soft", "sharing.eta=0"),
    ("pcgrad", "sharing=task-masks", "backbone={kind: mt-bc, context: 3, width: 8, layers: 1, heads: 1}"),
    ("cagrad", "sharing=lora"),
    ("famo", "sharing=group-masks", "conditioning=none", "training.normalise=pooled"),
    ("g-harmodt", "conditioning=prompt"),
    ("mtl", "sharing=task-masks"),
    ("expert", "conditioning=prompt", "training.batching=joint"),
]


@pytest.mark.parametrize("mixed", MIXED, ids=" ".join)
def test_combinations_that_no_recipe_names_run_too(trained, mixed):
    summary = trained(*mixed).summary
    assert summary["success"]["given"]["tasks"].keys() == {"north", "east", "reach"}
    assert all(np.isfinite(list(summary["validation"].values())))
    assert sum(summary["parameters"].values()) > 0


# -- where it is judged -------------------------------------------------------------------------------------------


def test_goals_of_the_judgement_are_not_those_of_the_data(three, trained):
    judged = set(trained("mtdt").outcomes["goal"])
    assert judged == {40, 41}
    assert not judged & set(Trajectories.open(three).episodes["goal"])


class Noted(Arenas):
    """Environments that note what is played."""

    def __init__(self) -> None:
        super().__init__(1)
        self.places: list[list[tuple]] = []
        self.first: list[np.ndarray] = []

    def begin(self, world, horizon, places):
        pool, observations = super().begin(world, horizon, places)
        self.places.append(list(places))
        self.first.append(observations)
        return pool, observations


def test_recipes_of_one_seed_meet_the_same_episodes_and_seeds_differ(three, tiny, tmp_path):
    noted = {}
    for name, seed in (("mtdt", 3), ("mt-bc", 3), ("mt-bc", 4)):
        noted[name, seed] = Noted()
        out = tmp_path / f"{name}{seed}"
        decide(three, tiny(name), seed=seed, goals=2, arenas=noted[name, seed], out=out)
    one, other, later = noted.values()
    assert one.places == other.places and np.array_equal(one.first, other.first)
    assert {seed for places in one.places for _, _, seed in places} == {3}
    assert [p[:2] for places in one.places for p in places] == [p[:2] for places in later.places for p in places]
    assert not np.array_equal(one.first, later.first)


def test_workers_change_nothing(three, tiny, tmp_path):
    one, two = (decide(three, tiny("mtdt"), goals=2, workers=n, out=tmp_path / str(n)).outcomes for n in (1, 2))
    assert one.equals(two)


def test_unseen_tasks_are_judged_and_never_trained_on(three, tiny, tmp_path):
    recipe = tiny("prompt-dt", "training.normalise=pooled")
    result = decide(three, recipe, unseen="reach", goals=2, out=tmp_path / "r")
    plain = decide(three, recipe, tasks="north,east", goals=2, out=tmp_path / "p")
    assert set(result.summary["success"]) == {"given", "unseen"}
    assert list(result.summary["success"]["unseen"]["tasks"]) == ["reach"]
    given = result.outcomes.filter(polars.col("mode") == "given")
    assert given.equals(plain.outcomes)  # nothing is different for being watched
    policy = result.policy
    policy.reset("reach")
    assert policy.act(np.zeros(6)).shape == (2,)
    with pytest.raises(InputError, match="sharing=task-masks has nothing for a task that was not learned"):
        decide(three, tiny("harmodt"), unseen="reach", out=tmp_path / "h")


def test_an_unseen_task_is_placed_by_its_gradient(three, tiny, tmp_path):
    chosen = tiny("g-harmodt", "sharing.groups=2", "sharing.unseen=gradient", "sharing.router=oracle")
    result = decide(three, chosen, unseen="reach", goals=2, out=tmp_path / "r")
    assert list(result.summary["success"]["unseen"]["tasks"]) == ["reach"]
    (group,) = result.policy.learner.met.values()
    policy = load(tmp_path / "r")
    member = next(name for name, found in zip(("east", "north"), policy.learner.labels, strict=True) if found == group)
    seen = np.full(6, 0.2, np.float32)
    targets, acted = dict.fromkeys(("reach", member), 3.0), {}
    for task, target in targets.items():
        policy.reset(task, target_return=target)
        acted[task] = policy.act(seen)
    assert np.array_equal(acted["reach"], acted[member])


def test_groups_are_judged_with_and_without_the_task(trained):
    result = trained("g-harmodt")
    assert result.outcomes["mode"].unique(maintain_order=True).to_list() == ["given", "unknown"]
    assert set(result.summary["success"]["unknown"]["tasks"]) == {"north", "east", "reach"}


# -- an interruption ----------------------------------------------------------------------------------------------


def files_of(folder):
    policy = folder / "result" / "policy"
    return [(policy / name).read_bytes() for name in ("config.json", "model.safetensors")]


def told(summary):
    return {key: value for key, value in summary.items() if key not in ("seconds", "peak_memory_bytes")}


@pytest.mark.parametrize("name", ["ewc", "compoformer-grow"])
def test_stopped_after_any_file_curves_warnings_and_policy_are_those_of_a_whole_run(three, tiny, tmp_path, name):
    recipe = tiny(name, "training.target_quantile=1")  # a warning that is told at the start
    settings = {"stream": ["north", "east"], "goals": 1, "curve": 2}
    wrote = []
    files.written.append(wrote.append)
    try:
        whole = decide(three, recipe, out=tmp_path / "whole", **settings)
    finally:
        files.written.remove(wrote.append)
    curves = whole.summary["stream"]["curves"]
    assert [len(curve) for curve in curves.values()] == [3, 3]
    for stop in range(4, len(wrote), 5):
        left = stop

        def observe(path):
            nonlocal left
            left -= 1
            if not left:
                raise Stopped

        files.written.append(observe)
        try:
            with pytest.raises(Stopped):
                decide(three, recipe, out=tmp_path / str(stop), **settings)
        finally:
            files.written.remove(observe)
        resumed = decide(three, recipe, out=tmp_path / str(stop), resume=True, **settings)
        assert resumed.outcomes.equals(whole.outcomes)
        assert told(resumed.summary) == told(whole.summary)
        assert files_of(resumed.folder) == files_of(whole.folder)


def test_masks_that_never_move_are_still_told_after_an_interruption(three, tiny, tmp_path, monkeypatch):
    recipe = tiny("harmodt", "sharing.selector.interval=500")
    asked = []

    def once(self, *_):
        asked.append(1)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("harmonia.decide.arena.Arena.play", once)
        decide(three, recipe, goals=1, out=tmp_path / "r")
    summary = decide(three, recipe, goals=1, out=tmp_path / "r", resume=True).summary
    assert any("masks never move" in warning for warning in summary["warnings"])
    assert summary["seconds"]["training"] > 0


def test_resuming_another_request_is_refused_and_a_finished_run_is_read(three, tiny, tmp_path, monkeypatch):
    result = decide(three, tiny("dt"), goals=1, out=tmp_path / "r")
    with pytest.raises(InputError, match="was started with goals = 1, now it is 2"):
        decide(three, tiny("dt"), goals=2, out=tmp_path / "r", resume=True)
    with pytest.raises(InputError, match="was started with another recipe"):
        decide(three, tiny("mtdt"), goals=1, out=tmp_path / "r", resume=True)
    monkeypatch.setattr("harmonia.decide.engine.Work.train", lambda self: 1 / 0)
    assert decide(three, tiny("dt"), goals=1, out=tmp_path / "r", resume=True).summary == result.summary


# -- what is asked ------------------------------------------------------------------------------------------------


def test_tasks_by_name_by_set_and_in_order(points, three):
    data = Trajectories.open(points)
    ask = {"tasks": None, "stream": None}
    assert named_tasks(data, **ask) == ("east", "north", "south", "west")
    assert named_tasks(data, **{**ask, "tasks": "west, north"}) == ("north", "west")
    assert named_tasks(data, **{**ask, "tasks": ["conflict4"]}) == ("east", "north", "south", "west")
    assert named_tasks(data, **{**ask, "tasks": "points:conflict4"}) == ("east", "north", "south", "west")
    assert named_tasks(data, **{**ask, "stream": "west,north,west"}) == ("west", "north", "west")
    assert named_tasks(data, **{**ask, "stream": "conflict4"}) == find_world("points").sets["conflict4"]
    assert named_tasks(Trajectories.open(three), **{**ask, "stream": "repeat"}) == 2 * ("north", "east", "reach")
    for wrong, said in (
        ({"tasks": "nroth"}, "has no task 'nroth'; did you mean 'north'"),
        ({"tasks": "north,north"}, "--tasks names a task twice; a task can come again in a --stream only"),
        ({"tasks": "north", "stream": "south"}, "--tasks and --stream: .* not both"),
        ({"tasks": "ponts:north"}, "no world 'ponts'; did you mean 'points'"),
        ({"tasks": "stream3"}, "has no task 'reach'"),
    ):
        with pytest.raises(InputError, match=said):
            named_tasks(data, **{**ask, **wrong})


def test_a_task_may_be_named_like_a_set_or_with_a_colon(three, tmp_path):
    source = Trajectories.open(three)
    with TrajectoryWriter(tmp_path / "d", source.observation_size, source.action_size) as writer:
        for row in range(6):
            task = replace(source.task(source.episodes["task"][row]), name=("opposites", "kit:chen")[row % 2])
            writer.add(task, source.episode(row))
    data = Trajectories.open(tmp_path / "d")
    assert named_tasks(data, "opposites,kit:chen", None) == ("kit:chen", "opposites")


def test_a_recipe_that_trains_jointly_learns_a_stream_at_once(three, tiny, tmp_path):
    result = decide(three, tiny("mtl"), stream="reach,north,reach", goals=1, curve=2, out=tmp_path / "r")
    summary = result.summary
    assert not summary["in_sequence"] and summary["stream"] is None
    assert list(summary["success"]["given"]["tasks"]) == ["reach", "north", "reach@2"]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"goals": 11}, "--goals 11: world points holds out 10 goals per task"),
        ({"horizon": 0}, "--horizon 0: at least 1 step is needed"),
        ({"workers": 0}, "--workers 0: at least 1 is needed"),
        ({"device": "cuda:99"}, "device 'cuda:99' is not here; use auto or cpu"),
        ({"curve": -1}, "--curve -1"),
        ({"videos": -1}, "--videos -1"),
    ],
)
def test_unusable_settings_are_refused_before_anything_is_trained(three, tiny, tmp_path, monkeypatch, settings, said):
    monkeypatch.setattr("harmonia.decide.trainer.Trainer.train", lambda *_: 1 / 0)
    with pytest.raises(InputError, match=said):
        decide(three, tiny("dt"), out=tmp_path / "r", **settings)
    assert not (tmp_path / "r").exists()


def test_data_without_a_world_are_judged_by_their_error(three, tiny, tmp_path):
    source = Trajectories.open(three)
    with TrajectoryWriter(tmp_path / "d", source.observation_size, source.action_size) as writer:
        for row in range(len(source.episodes)):
            writer.add(replace(source.task(source.episodes["task"][row]), world=None), source.episode(row))
    for name, asked in (("mtdt", {}), ("finetune", {"stream": "north,reach", "curve": 2})):
        result = decide(tmp_path / "d", tiny(name), out=tmp_path / name, videos=1, **asked)
        summary = result.summary
        assert summary["success"] == {} and summary["goals"] == [] and summary["stream"] is None
        assert any("name no common world" in warning for warning in summary["warnings"])
        assert result.outcomes.is_empty()
        assert all(np.isfinite(list(summary["validation"].values())))
    with pytest.raises(InputError, match=r"reuse_test=rollout plays .* --set sharing.reuse_test=offline"):
        decide(tmp_path / "d", tiny("compoformer-prune"), stream="north,reach", out=tmp_path / "c")
    offline = tiny("compoformer-prune", "sharing.reuse_test=offline", "sharing.fit_steps=2")
    assert decide(tmp_path / "d", offline, stream="north,reach", out=tmp_path / "o").summary["validation"]
    blind = tiny("compoformer-prune", "sharing.reuse_test=offline", "sharing.fit_steps=2", "training.validation=0")
    with pytest.raises(InputError, match="no episodes are left to validate on"):
        decide(tmp_path / "d", blind, stream="north,reach", out=tmp_path / "b")


def test_a_world_of_ones_own_is_no_obstacle_to_training(three, tiny, tmp_path):
    source = Trajectories.open(three)
    with TrajectoryWriter(tmp_path / "d", source.observation_size, source.action_size) as writer:
        for row in range(len(source.episodes)):
            writer.add(replace(source.task(source.episodes["task"][row]), world="mine"), source.episode(row))
    summary = decide(tmp_path / "d", tiny("mtdt"), tasks="north,east", out=tmp_path / "r").summary
    assert summary["validation"] and any("are of world 'mine', unknown to harmonia" in w for w in summary["warnings"])


def test_data_that_do_not_fit_the_world_they_name_are_refused(three, tiny, tmp_path):
    source = Trajectories.open(three)
    with TrajectoryWriter(tmp_path / "d", 4, source.action_size) as writer:
        for row in range(len(source.episodes)):
            episode = source.episode(row)
            short = replace(episode, observations=episode.observations[:, :4])
            writer.add(source.task(source.episodes["task"][row]), short)
    with pytest.raises(InputError, match=r"an observation has 4 numbers in .* and 6 in world points"):
        decide(tmp_path / "d", tiny("dt"), out=tmp_path / "r")


def test_steps_that_the_policy_never_saw_are_told(three, tiny, tmp_path):
    longer = decide(three, tiny("dt"), goals=1, horizon=14, out=tmp_path / "long").summary
    assert longer["horizon"] == 14
    assert any("--horizon 14: the longest episode has 12 steps" in warning for warning in longer["warnings"])
    shorter = decide(three, tiny("dt"), goals=1, horizon=5, out=tmp_path / "short")
    assert shorter.outcomes["steps"].max() <= 5 and not any("--horizon" in w for w in shorter.summary["warnings"])
    table = decide(three, tiny("dt", "backbone.max_timestep=8"), goals=1, out=tmp_path / "table").summary
    assert any("12 steps and the table of timesteps has 8 rows" in warning for warning in table["warnings"])


def test_the_summary_is_json_and_says_what_was_done(trained):
    for name in ("mtdt", "finetune", "harmodt", "g-harmodt", "compoformer-grow"):
        text = (trained(name).folder / "result" / "summary.json").read_text()
        summary = json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))
        assert (summary["stage"], summary["recipe"], summary["seed"]) == ("decide", name, 0)
        assert {"training", "judging"} <= summary["seconds"].keys()
        assert summary["parameters"].keys() == {"north", "east", "reach"}
        assert (summary["stream"] is not None) == summary["in_sequence"]
        assert summary["peak_memory_bytes"] > 0


def test_the_order_of_tasks_to_learn_together_does_not_matter(three, tiny, tmp_path):
    one = decide(three, tiny("mtdt"), tasks="reach,north", goals=1, out=tmp_path / "1")
    other = decide(three, tiny("mtdt"), tasks="north,reach", goals=1, out=tmp_path / "2")
    assert files_of(one.folder) == files_of(other.folder)


@pytest.mark.slow
def test_metaworld_from_gathering_to_judgement(tiny, tmp_path):
    pytest.importorskip("metaworld")
    gather("metaworld:reach-v3,push-v3", tmp_path / "d", episodes=2, horizon=8, workers=1)
    result = decide(tmp_path / "d", tiny("harmodt"), tasks="metaworld:push-v3,reach-v3", goals=1, out=tmp_path / "r")
    assert result.outcomes["task"].to_list() == ["push-v3", "reach-v3"]
    policy = result.policy
    policy.reset("push-v3")
    assert policy.act(np.zeros(39)).shape == (4,)
    with pytest.raises(InputError, match="does not know task 'push-v2'; did you mean 'push-v3'"):
        policy.reset("push-v2")
    with pytest.raises(InputError, match="has no task 'reach-v2'; did you mean 'reach-v3'"):
        decide(tmp_path / "d", tiny("dt"), tasks="reach-v2", out=tmp_path / "x")
