"""Bad trajectories, tasks and settings: one line that names what is wrong and what to do, before any training."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import numpy as np
import pytest

from harmonia.cli.main import run
from harmonia.core.progress import set_quiet
from harmonia.data.trajectories import Episode, Trajectories, TrajectoryWriter
from harmonia.worlds.gather import gather

TINY = (
    "backbone.width=8",
    "backbone.layers=1",
    "backbone.heads=1",
    "backbone.context=2",
    "training.steps=8",
    "training.batch=2",
)
SET = [word for setting in TINY for word in ("--set", setting)]


@pytest.fixture(autouse=True)
def heard():
    """``--quiet`` silences the process; other tests want to hear."""
    yield
    set_quiet(False)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("faults") / "data"
    gather("points:stream3", folder, episodes=4, horizon=8, workers=1)
    return folder


def changed(source, folder, change=lambda episode: episode, **task):
    """A copy of a data set with other episodes or other facts of its tasks."""
    held = Trajectories.open(source)
    with TrajectoryWriter(folder, held.observation_size, held.action_size) as writer:
        for row in range(len(held.episodes)):
            record = held.task(held.episodes["task"][row])
            writer.add(replace(record, **task), change(replace(held.episode(row))))
    return folder


def refused(capsys, *arguments, code=2):
    """Run a command that must fail; return what it said, which is one line."""
    assert run([str(a) for a in arguments]) == code
    said = capsys.readouterr().err
    assert len([line for line in said.strip().splitlines() if line.startswith("harmonia: ")]) == 1
    assert "Traceback" not in said and "internal error" not in said
    return said


def decided(capsys, data, out, *arguments):
    """Run ``harmonia decide`` on small settings; return its summary."""
    asked = ["--goals", "1", "--workers", "1", "--quiet", "--out", str(out)]
    assert run(["decide", str(data), *asked, *SET, *map(str, arguments)]) == 0, capsys.readouterr().err
    return json.loads((out / "result" / "summary.json").read_text())


# -- trajectories -------------------------------------------------------------------------------------------------


def save(path, steps=8, **more):
    random = np.random.default_rng(0)
    arrays = {
        "observations": random.normal(size=(steps + 1, 3)),
        "actions": random.uniform(-1, 1, (steps, 2)),
        "rewards": random.uniform(size=steps),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **{**arrays, **more})


SPOILED = {
    "observation sizes": ({"observations": np.zeros((9, 4))}, "observations"),
    "nan": ({"actions": np.full((8, 2), np.nan)}, "actions"),
    "infinite": ({"rewards": np.full(8, np.inf)}, "rewards"),
    "too few observations": ({"observations": np.zeros((5, 3))}, "observations"),
    "too few rewards": ({"rewards": np.zeros(3)}, "rewards"),
}


@pytest.mark.parametrize("name", SPOILED)
def test_episodes_that_do_not_fit_are_named(capsys, tmp_path, name):
    arrays, word = SPOILED[name]
    save(tmp_path / "logs/push/0.npz")
    save(tmp_path / "logs/push/1.npz", **arrays)
    said = refused(capsys, "trajectories", "import", tmp_path / "logs", "--out", tmp_path / "d")
    assert "1.npz" in said and word in said
    assert not (tmp_path / "d" / "trajectories.json").exists()


def test_actions_out_of_range_are_told_and_learned(capsys, data, tmp_path):
    wide = changed(data, tmp_path / "wide", lambda e: replace(e, actions=e.actions * 3))
    capsys.readouterr()
    asked = ["--recipe", "mt-bc", "--goals", "1", "--workers", "1", "--out", str(tmp_path / "r")]
    assert run(["decide", str(wide), *asked, *SET]) == 0
    said = capsys.readouterr().err
    assert "steps with an action outside [-1, 1]: " in said and "of task north" in said


def test_hdf5_without_terminals_names_the_way_out(capsys, tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "log.hdf5", "w") as file:
        file["observations"], file["actions"], file["rewards"] = np.ones((10, 3)), np.ones((10, 2)), np.ones(10)
    said = refused(capsys, "trajectories", "import", tmp_path / "log.hdf5", "--out", tmp_path / "d")
    assert "log.hdf5" in said and "--horizon" in said


def test_a_damaged_data_set_is_named(capsys, data, tmp_path):
    spoiled = changed(data, tmp_path / "d")
    (spoiled / "actions.npy").write_bytes(b"junk")
    assert "actions.npy is missing or damaged" in refused(capsys, "decide", spoiled)
    head = json.loads((data / "trajectories.json").read_text())
    twice = changed(data, tmp_path / "twice")
    (twice / "trajectories.json").write_text(json.dumps({**head, "tasks": [*head["tasks"], head["tasks"][0]]}))
    assert f"two tasks are named {head['tasks'][0]['name']!r}" in refused(capsys, "decide", twice)
    head["tasks"].append({**head["tasks"][0], "name": "nothing"})
    (twice / "trajectories.json").write_text(json.dumps(head))
    assert "task 'nothing' has no episode" in refused(capsys, "decide", twice)


def test_a_task_without_success_is_told(capsys, data, tmp_path):
    lost = changed(data, tmp_path / "lost", lambda e: replace(e, success=False))
    summary = decided(capsys, lost, tmp_path / "r", "--recipe", "mtdt", "--tasks", "reach")
    assert "task reach: no training episode succeeds" in " ".join(summary["warnings"])


def test_success_that_nobody_recorded_is_no_failure(capsys, data, tmp_path):
    untold = changed(data, tmp_path / "untold", lambda e: replace(e, success=None))
    summary = decided(capsys, untold, tmp_path / "r", "--recipe", "mtdt")
    assert not any("succeeds" in warning for warning in summary["warnings"])
    assert summary["success"]["given"]["tasks"].keys() == {"north", "east", "reach"}  # judged in the world all the same


def test_returns_that_the_data_do_not_reach_are_told(capsys, data, tmp_path):
    def lucky(episode: Episode) -> Episode:
        return replace(episode, rewards=episode.rewards * (100 if episode.id.endswith("00002") else 1))

    high = changed(data, tmp_path / "high", lucky)
    found = []
    for seed in range(6):
        asked = ["--recipe", "dt", "--tasks", "north", "--seed", seed]
        asked += ["--set", "training.target_quantile=1", "--set", "training.validation=0.5"]
        summary = decided(capsys, high, tmp_path / str(seed), *asked)
        found.append(any("lower training.target_quantile" in warning for warning in summary["warnings"]))
    assert 0 < sum(found) < 6  # as the best episode validates or trains


def test_rewards_that_are_all_zero_have_no_return_to_ask_for(capsys, data, tmp_path):
    worthless = changed(data, tmp_path / "zero", lambda e: replace(e, rewards=e.rewards * 0))
    said = refused(capsys, "decide", worthless, "--recipe", "mtdt", "--out", tmp_path / "r")
    assert "every return in" in said and "--set backbone=mt-bc" in said
    decided(capsys, worthless, tmp_path / "bc", "--recipe", "mt-bc")


@pytest.mark.parametrize(
    ("recipe", "setting", "said"),
    [
        ("mtdt", "backbone.context=9", "task east: its longest episode has 8 steps, the context 9"),
        ("prompt-dt", "conditioning.steps=9", "its prompt episodes are shorter than the prompt of 9 steps"),
    ],
)
def test_windows_longer_than_episodes_are_refused(capsys, data, tmp_path, recipe, setting, said):
    assert said in refused(capsys, "decide", data, "--recipe", recipe, "--out", tmp_path / "r", *SET, "--set", setting)
    assert not (tmp_path / "r").exists()


# -- libraries ----------------------------------------------------------------------------------------------------


def test_a_simulator_that_is_missing_is_told_before_training(capsys, data, tmp_path, monkeypatch):
    from harmonia.worlds import metaworld

    monkeypatch.setitem(sys.modules, "metaworld", None)
    monkeypatch.setattr("harmonia.worlds.metaworld.MetaWorld.observation_size", 6)
    monkeypatch.setattr("harmonia.worlds.metaworld.MetaWorld.action_size", 2)
    monkeypatch.setattr("harmonia.decide.trainer.Trainer.train", lambda *_: 1 / 0)
    metaworld._goals.cache_clear()
    held = Trajectories.open(data)
    with TrajectoryWriter(tmp_path / "d", 6, 2) as writer:
        for row in held.rows_of("north"):
            record = replace(held.task("north"), name="push-v3", world="metaworld")
            writer.add(record, held.episode(int(row)))
    said = refused(capsys, "decide", tmp_path / "d", "--recipe", "dt", "--out", tmp_path / "r", *SET)
    assert "metaworld is not installed; install it with: pip install 'harmonia[metaworld]'" in said
    said = refused(capsys, "trajectories", "gather", "--env", "metaworld:push-v3", "--out", tmp_path / "g")
    assert "harmonia[metaworld]" in said


def test_torch_that_is_missing_is_told_before_anything_is_written(capsys, data, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    for command in (["decide"], ["compare", "decide"], ["diagnose"]):
        said = refused(capsys, *command, data, "--out", tmp_path / "r")
        assert "torch is not installed; install it with: pip install 'harmonia[decide]'" in said
        assert not (tmp_path / "r").exists()


def test_a_text_encoder_that_is_missing_is_told(capsys, data, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    for asked in (
        ["--recipe", "text-dt", "--set", "conditioning.encoder=sentence-transformers"],
        ["--recipe", "compoformer-prune", "--stream", "north,east", "--set", "sharing.text=sentence-transformers"],
    ):
        said = refused(capsys, "decide", data, "--out", tmp_path / "r", *asked, *SET)
        assert "harmonia[embeddings]" in said
        assert not (tmp_path / "r").exists()


# -- tasks and their descriptions ---------------------------------------------------------------------------------


@pytest.mark.parametrize("recipe", ["text-dt", "compoformer-grow"])
def test_descriptions_that_are_missing_are_named(capsys, data, tmp_path, recipe):
    silent = changed(data, tmp_path / "silent", text="")
    order = ["--stream" if recipe == "compoformer-grow" else "--tasks", "north,east"]
    said = refused(capsys, "decide", silent, "--recipe", recipe, "--out", tmp_path / "r", *order, *SET)
    assert "has no description; give it one" in said


def test_descriptions_that_tell_nothing_apart_are_named(capsys, data, tmp_path):
    same = changed(data, tmp_path / "same", text="move")
    said = refused(capsys, "decide", same, "--recipe", "text-dt", "--out", tmp_path / "r", *SET)
    assert "tasks east and north have the same vector" in said


@pytest.mark.parametrize(
    ("vectors", "said"),
    [
        ({"north": [1, 0]}, "has no vector for task east"),
        ({"north": [1, 0], "east": [1], "reach": [1, 1]}, "all need the same number"),
        ({"north": [1, 0], "east": [0, 0], "reach": [1, 1]}, "the vector of task east is all zeros"),
        ([1, 2], "is not a JSON object"),
    ],
)
def test_vectors_that_do_not_fit_the_tasks_are_named(capsys, data, tmp_path, vectors, said):
    (tmp_path / "v.json").write_text(json.dumps(vectors))
    given = f"conditioning.encoder={{kind: given, path: {tmp_path / 'v.json'}}}"
    assert said in refused(capsys, "decide", data, "--recipe", "text-dt", "--set", given, "--out", tmp_path / "r", *SET)


# -- sharing ------------------------------------------------------------------------------------------------------

GROUPED = [
    ("sharing.groups=4", "4 groups of 3 tasks; give 1 to 3 with sharing.groups"),
    ("sharing.groups=0", "sharing.groups: input should be greater than or equal to 1"),
    ("sharing.cluster={kind: given, groups: {north: 0, east: 1}}", "task 'reach' has no group; give every task one"),
    ("sharing.cluster={kind: given, groups: {nroth: 0}}", "there is no task 'nroth'; did you mean 'north'"),
    ("training.normalise=per-task", "normalisation per task would tell it: --set training.normalise=pooled"),
    ("conditioning=task-id", "conditioning tells the policy its task, and a gate is to find it out"),
    ("stream.heads=per-task", "a head per task needs the task, and a gate finds the group only"),
]


@pytest.mark.parametrize(("setting", "said"), GROUPED)
def test_groups_that_cannot_be_are_refused(capsys, data, tmp_path, setting, said):
    out = tmp_path / "r"
    assert said in refused(capsys, "decide", data, "--recipe", "g-harmodt", "--out", out, *SET, "--set", setting)
    assert not out.exists()


def test_a_task_whose_gradient_vanishes_cannot_be_placed(capsys, tmp_path, monkeypatch):
    from harmonia.decide.sharing.group_masks import GroupMasksLearner

    gather("points:conflict4", tmp_path / "d", episodes=4, horizon=8, workers=1)
    found = GroupMasksLearner._mean_gradients

    def vanished(self, tasks, around, cluster):
        gradients = found(self, tasks, around, cluster)
        gradients[2] = 0
        return gradients

    monkeypatch.setattr(GroupMasksLearner, "_mean_gradients", vanished)
    said = refused(capsys, "decide", tmp_path / "d", "--recipe", "g-harmodt", "--out", tmp_path / "r", *SET)
    assert "task south" in said and "gradient" in said


def test_more_swaps_than_a_mask_has_coordinates_are_refused(capsys, data, tmp_path):
    swaps = ["--set", "sharing.selector.swaps=100000"]
    said = refused(capsys, "decide", data, "--recipe", "harmodt", "--out", tmp_path / "r", *SET, *swaps)
    assert "100000" in said and "mask" in said
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize("recipe", ["packnet", "compoformer-prune"])
def test_masks_that_are_full_name_the_task_and_the_remedy(capsys, data, tmp_path, recipe):
    greedy = ["--set", "sharing.prune=0.01"]
    if recipe == "compoformer-prune":
        greedy += ["--set", "sharing.reuse_test=never", "--set", "sharing.last_takes_all=false"]
    stream = ["--stream", "north,east,reach,north,east,reach", "--goals", 1, "--workers", 1, "--quiet"]
    asked = ["decide", data, "--recipe", recipe, "--out", tmp_path / "r", *stream, *SET, *greedy]
    said = refused(capsys, *asked)
    assert "the masks are full" in said and "larger sharing.prune, a wider backbone, or fewer tasks" in said
    assert said.startswith(("harmonia: task reach", "harmonia: task north@2"))
    assert said == refused(capsys, *asked, "--resume")  # it comes to the same place


# -- settings -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--recipe", "famo", "--tasks", "north"], "gradient=famo .* and there is only one"),
        (["--recipe", "mtl", "--set", "gradient=pcgrad", "--tasks", "north"], "only one"),
        (["--recipe", "er", "--stream", "north,east", "--set", "gradient=famo"], "a stream trains one at a time"),
        (
            ["--recipe", "expert", "--stream", "north,east", "--set", "stream=er"],
            "sharing=experts keeps earlier tasks by construction",
        ),
        (["--recipe", "harmodt", "--set", "sharing.sparsity=1"], "should be less than 1"),
        (["--recipe", "harmodt", "--set", "sharing.selector.interval=0"], "greater than or equal to 1"),
        (["--recipe", "packnet", "--set", "sharing.prune=1"], "should be less than 1"),
        (["--recipe", "compoformer-grow", "--set", "sharing.eta=1.5"], "less than or equal to 1"),
        (["--recipe", "harmodt", "--set", "training.steps=0"], "greater than or equal to 1"),
        (["--recipe", "g-harmodt", "--set", "sharing.router=orcale"], "sharing.router"),
    ],
)
def test_settings_that_make_no_sense_are_refused(capsys, data, tmp_path, arguments, said):
    import re

    found = refused(capsys, "decide", data, "--out", tmp_path / "r", *arguments)
    assert re.search(said, found), found
    assert not (tmp_path / "r").exists()


def test_a_recipe_file_for_another_stage_is_refused(capsys, data, tmp_path):
    (tmp_path / "r.yaml").write_text("stage: select\n")
    said = refused(capsys, "decide", data, "--recipe", tmp_path / "r.yaml")
    assert "this recipe is for stage 'select', not 'decide'" in said
    (tmp_path / "r.yaml").write_text("backbone: [")
    assert "not valid YAML" in refused(capsys, "decide", data, "--recipe", tmp_path / "r.yaml")
    assert "no recipe file" in refused(capsys, "decide", data, "--recipe", tmp_path / "s.yaml")


# -- a policy in use ----------------------------------------------------------------------------------------------


def test_a_policy_with_an_oracle_must_be_told_the_task(capsys, data, tmp_path):
    from harmonia.core.errors import InputError
    from harmonia.decide import load

    decided(capsys, data, tmp_path / "o", "--recipe", "g-harmodt", "--set", "sharing.router=oracle")
    with pytest.raises(InputError, match="name the task to act in"):
        load(tmp_path / "o").reset()


def test_a_checkpoint_that_is_damaged_is_named_with_the_remedy(capsys, data, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("harmonia.decide.output.write", lambda *_, **__: 1 / 0)
        asked = ["decide", data, "--recipe", "mtdt", "--out", tmp_path / "r", "--goals", 1, "--workers", 1, "--quiet"]
        assert run([str(a) for a in (*asked, *SET)]) == 1
    capsys.readouterr()
    state = next((tmp_path / "r" / "state").rglob("training.safetensors"))
    state.write_bytes(state.read_bytes()[:100])
    said = refused(capsys, *asked, *SET, "--resume", code=1)
    assert "training.safetensors is damaged" in said and "delete it and go on with --resume" in said
    state.unlink()
    assert run([str(a) for a in (*asked, *SET, "--resume")]) == 0


def test_a_full_disk_is_one_line_and_can_be_resumed(capsys, data, tmp_path, monkeypatch):
    from safetensors import numpy as arrays

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    asked = ["decide", data, "--recipe", "mtdt", "--out", tmp_path / "r", "--goals", 1, "--workers", 1, "--quiet", *SET]
    with monkeypatch.context() as patch:
        patch.setattr(arrays, "save_file", full)
        said = refused(capsys, *asked, code=1)
    assert "the disk is full" in said and "--resume" in said
    assert run([str(a) for a in (*asked, "--resume")]) == 0
