"""Tasks and their data: every episode has one use, every number its own tasks."""

from __future__ import annotations

import numpy as np
import pytest

from harmonia.core.errors import InputError
from harmonia.data.trajectories import Episode, TaskRecord, Trajectories, TrajectoryWriter
from harmonia.decide.lineup import Lineup, unique_labels

ORDER = ["north", "east", "reach"]


@pytest.fixture(scope="module")
def data(three):
    return Trajectories.open(three)


def written(folder, episodes, size=2):
    """A data set from (task, id, rewards, quality, success); observations are constant within an episode."""
    with TrajectoryWriter(folder, size, 1) as writer:
        for number, (task, name, rewards, quality, success) in enumerate(episodes):
            steps = len(rewards)
            writer.add(
                TaskRecord(task, f"do {task}", None, max(steps, 9)),
                Episode(
                    name,
                    np.full((steps + 1, size), number, np.float32) * [1, 0],
                    np.zeros((steps, 1), np.float32),
                    np.array(rewards, np.float32),
                    success=success,
                    quality=quality,
                ),
            )
    return Trajectories.open(folder)


def shown(data, windows):
    """The episodes that windows were cut from, by their newest observation and its timestep."""
    table = {}
    for row in range(len(data.lengths)):
        for step, observation in enumerate(data.observations_of(row)[:-1]):
            table[step, observation.tobytes()] = row
    newest = windows.observations[:, :, -1].reshape(-1, windows.observations.shape[-1])
    return {table[int(t), o.tobytes()] for t, o in zip(windows.timesteps[:, :, -1].ravel(), newest, strict=True)}


@pytest.mark.parametrize("seed", [0, 1])
def test_no_episode_leaks_between_training_validation_and_prompts(data, tiny, seed):
    recipe = tiny("prompt-dt", "training.validation=0.3")
    lineup = Lineup.of(data, ORDER, recipe, seed)
    uses = {"train": set(), "validation": set(), "prompt": set()}
    for split in lineup.splits:
        for use, rows in uses.items():
            rows |= set(getattr(split, use).tolist())
    assert not uses["train"] & uses["validation"] and not uses["prompt"] & (uses["train"] | uses["validation"])
    drawn = [lineup.sampler.draw(range(3), 64, step, "train") for step in range(4)]
    checked = lineup.validation.draw(range(3), 256, 0, "validation")
    acting = lineup.prompts_to_act(recipe)
    assert set.union(*(shown(data, windows) for windows in drawn)) == uses["train"]
    assert shown(data, checked) == uses["validation"]
    for prompts in (*(windows.prompt for windows in drawn), checked.prompt, acting):
        assert shown(data, prompts) <= uses["prompt"]
    assert acting.valid.shape == (3, recipe.conditioning.best, recipe.conditioning.steps)


def test_recipes_of_one_seed_share_their_episodes(data, tiny):
    one, other = (Lineup.of(data, ORDER, tiny(name), 5) for name in ("mtdt", "harmodt-r"))
    for plain, prompted in zip(one.splits, other.splits, strict=True):
        # prompts take episodes away first; the rest is split in the same order
        assert set(prompted.train) <= set(plain.train) | set(plain.validation)
    assert one.targets == other.targets


def test_targets_and_scale(tmp_path, tiny):
    rows = [("a", f"a{i}", [float(i)] * 3, "expert", True) for i in range(10)]
    rows += [("a", f"n{i}", [50.0 if i == 0 else 0.0] * 3, "noisy", False) for i in range(10)]
    rows += [("b", f"b{i}", [-1.0] * 3, "expert", True) for i in range(4)]
    data = written(tmp_path / "d", rows)
    lineup = Lineup.of(data, ["a", "b"], tiny("dt", "training.target_quantile=0.5"), 0)
    # the best quality by mean return is noisy's 15 against expert's 13.5: its median is 0
    assert lineup.targets == (0.0, -3.0)
    assert lineup.return_scale == 3.0
    fixed = Lineup.of(data, ["a", "b"], tiny("dt", "training.return_scale=7"), 0)
    assert fixed.return_scale == 7.0


def test_returns_below_zero_are_scaled_by_their_size(tmp_path, tiny):
    rows = [("a", f"a{i}", [-10.0] * 5, "q", None) for i in range(18)]
    rows += [("a", f"b{i}", [-0.002] * 5, "q", None) for i in range(2)]
    lineup = Lineup.of(written(tmp_path / "d", rows), ["a"], tiny("dt"), 0)
    assert -0.1 < lineup.targets[0] < 0
    assert lineup.return_scale == 50  # and not the hundredth that is asked for


def test_normalisation_pooled_weighs_tasks_alike_and_per_task_knows_its_own(tmp_path, tiny):
    rows = [("a", f"a{i}", [1.0] * 3, "q", True) for i in range(2)]  # observations 0, 1
    rows += [("b", f"b{i}", [1.0] * 3, "q", True) for i in range(8)]  # observations 2 .. 9
    data = written(tmp_path / "d", rows)
    settings = ("training.validation=0", "sharing=all")
    pooled = Lineup.of(data, ["a", "b"], tiny("dt", *settings), 0)
    means, variances = np.array([0.5, 5.5]), np.array([0.25, 5.25])
    expected = 3.0, np.sqrt((variances + (means - 3.0) ** 2).mean())
    for place in range(2):
        np.testing.assert_allclose(pooled.mean[place], [expected[0], 0])
        np.testing.assert_allclose(pooled.inverse[place], [1 / expected[1], 0], rtol=1e-6)  # a constant column: 0
    own = Lineup.of(data, ["a", "b"], tiny("mtdt", *settings), 0)
    np.testing.assert_allclose(own.mean[:, 0], means)
    np.testing.assert_allclose(own.inverse[:, 0], 1 / np.sqrt(variances), rtol=1e-6)
    assert pooled.mean.dtype == pooled.inverse.dtype == np.float32


def test_a_task_that_comes_again_has_its_data_again_and_draws_of_its_own(data, tiny):
    lineup = Lineup.of(data, ["north", "east", "north"], tiny("finetune"), 0)
    assert lineup.labels == lineup.names == ("north", "east", "north@2")
    assert np.array_equal(lineup.splits[0].train, lineup.splits[2].train)
    assert lineup.targets[0] == lineup.targets[2]
    windows = lineup.sampler.draw([0, 2], 32, 0)
    assert not np.array_equal(windows.observations[0], windows.observations[1])


def test_labels_are_unique():
    assert unique_labels(["a", "b", "a", "a"]) == ("a", "b", "a@2", "a@3")


def test_unseen_tasks_lend_nothing_to_learning(data, tiny):
    recipe = tiny("prompt-dt", "training.normalise=pooled")
    alone = Lineup.of(data, ["north", "east"], recipe, 0)
    beside = Lineup.of(data, ["north", "east"], recipe, 0, unseen=["reach"])
    assert (beside.labels, beside.names, beside.learned) == (("north", "east", "reach"), ("north", "east"), 2)
    assert beside.return_scale == alone.return_scale
    for place in range(3):
        assert np.array_equal(beside.mean[place], alone.mean[0])
        assert np.array_equal(beside.inverse[place], alone.inverse[0])
    for step in range(3):
        one, other = alone.sampler.draw([0, 1], 8, step), beside.sampler.draw([0, 1], 8, step)
        assert np.array_equal(one.observations, other.observations)
    assert beside.prompts_to_act(recipe).valid.shape[0] == 3
    assert [sheet["name"] for sheet in beside.summary()] == ["north", "east"]
    with pytest.raises(InputError, match="task north is to be learned and to be unseen"):
        Lineup.of(data, ["north"], recipe, 0, unseen=["north"])


def test_quality_keeps_episodes_of_these_labels_alone(data, tiny):
    lineup = Lineup.of(data, ORDER, tiny("mtdt"), 0, quality=["expert"])
    for split in lineup.splits:
        for use in ("train", "validation"):
            assert set(data.qualities_of(getattr(split, use))) <= {"expert"}
    whole = Lineup.of(data, ORDER, tiny("mtdt"), 0)
    assert all(set(a.train) < set(b.train) for a, b in zip(lineup.splits, whole.splits, strict=True))
    with pytest.raises(InputError, match="task north has no episodes of quality 'exprt'; did you mean 'expert'"):
        Lineup.of(data, ORDER, tiny("mtdt"), 0, quality=["exprt"])


def test_doubts_name_tasks_without_success_and_targets_out_of_reach(tmp_path, tiny):
    rows = [("lost", f"l{i}", [1.0] * 5, "q", False) for i in range(6)]
    rows += [("untold", f"u{i}", [1.0] * 5, "q", None) for i in range(6)]
    rows += [("won", f"w{i}", [100.0 if i == 3 else 1.0] * 5, "q", i == 5) for i in range(6)]
    data = written(tmp_path / "d", rows)
    recipe = tiny("dt", "training.target_quantile=1", "training.validation=0.4")
    seed = next(s for s in range(50) if 3 not in data_rows(data, "won", recipe, s))
    doubts = Lineup.of(data, ["lost", "untold", "won"], recipe, seed).doubts(recipe)
    assert "task lost: no training episode succeeds; a policy can hardly do better than its data" in doubts
    assert not any("task untold" in doubt for doubt in doubts)  # nobody told whether it succeeded
    out_of_reach = "the target return 500 is above every training episode's (at most 5); lower training.target_quantile"
    assert f"task won: {out_of_reach}" in doubts
    blind = tiny("mt-bc", "training.target_quantile=1", "training.validation=0.4")
    assert not any("target" in d for d in Lineup.of(data, ["won"], blind, seed).doubts(blind))


def data_rows(data, task, recipe, seed):
    """Numbers of the training episodes of a task, from their ids."""
    split = Lineup.of(data, [task], recipe, seed).splits[0]
    return {int(name[1:]) for name in data.ids_of(split.train)}


def test_what_cannot_be_learned_is_refused(tmp_path, tiny, data):
    with pytest.raises(InputError, match="no task to learn"):
        Lineup.of(data, [], tiny("dt"), 0)
    with pytest.raises(InputError, match="has no task 'nroth'; did you mean 'north'"):
        Lineup.of(data, ["nroth"], tiny("dt"), 0)
    with pytest.raises(InputError, match=r"task north: its longest episode has 12 steps, the context 13: --set"):
        Lineup.of(data, ORDER, tiny("dt", "backbone.context=13"), 0)
    with pytest.raises(InputError, match=r"task north: its prompt episodes are shorter than the prompt of 13 steps"):
        Lineup.of(data, ORDER, tiny("prompt-dt", "conditioning.steps=13"), 0)
    worthless = written(tmp_path / "zero", [("a", f"a{i}", [0.0] * 4, "q", None) for i in range(4)])
    with pytest.raises(InputError, match=r"every return in .* is 0, and backbone=dt is told returns: --set back"):
        Lineup.of(worthless, ["a"], tiny("dt"), 0)
    assert Lineup.of(worthless, ["a"], tiny("mt-bc"), 0).targets == (0.0,)
    single = written(tmp_path / "one", [("a", "a0", [1.0] * 6, "q", None)])
    with pytest.raises(InputError, match="task a: no episode is left for prompts"):
        Lineup.of(single, ["a"], tiny("prompt-dt"), 0)
    assert Lineup.of(single, ["a"], tiny("dt"), 0).validation is None


def test_validation_episodes_that_fill_no_window_validate_nothing(tmp_path, tiny):
    lengths = [2] * 5 + [9]
    data = written(tmp_path / "d", [("a", f"a{i}", [1.0] * n, "q", None) for i, n in enumerate(lengths)])
    found = set()
    for seed in range(30):
        try:
            lineup = Lineup.of(data, ["a"], tiny("dt"), seed)
        except InputError as error:
            assert "longest episode has 2 steps, the context 3" in str(error)  # the long one validates
        else:
            found.add(lineup.validation is None)
    assert found == {True}
