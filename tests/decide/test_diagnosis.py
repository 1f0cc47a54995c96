"""A diagnosis of tasks: it finds conflict where it was planted, and says what made it say so."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import harmonia
from harmonia.core.errors import InputError
from harmonia.data.trajectories import Trajectories
from harmonia.decide.advice import advice
from harmonia.decide.diagnosis import diagnose, return_overlap
from harmonia.decide.recipes import BOOK

BRIEF = ("training.steps=60", "training.batch=16", "backbone.width=16", "backbone.layers=1", "backbone.context=2")


@pytest.fixture(scope="module")
def record(points, tmp_path_factory):
    out = tmp_path_factory.mktemp("diagnosis") / "r"
    return diagnose(points, settings=BRIEF, out=out), out


def test_opposed_tasks_are_found_opposed(record):
    found, _ = record
    order = found["conflict"]["tasks"]
    cosine = np.array(found["conflict"]["cosine"])
    assert np.allclose(cosine, cosine.T) and np.allclose(np.diag(cosine), 1)
    assert cosine[order.index("north"), order.index("south")] < 0
    assert cosine[order.index("east"), order.index("west")] < 0
    assert found["conflict"]["opposed_pairs"] >= 2 / 6
    first = found["advice"][0]
    assert "opposed directions" in first["finding"] and "harmodt" in first["recipes"]
    assert first["figures"]["opposed_pairs"] == found["conflict"]["opposed_pairs"]


def found(**more):
    """What is advised on a record in which nothing stands out but what is given."""
    calm = {"mean_cosine": 0.5, "opposed_pairs": 0.0, "conflicting_share": 0.1, "magnitude_ratio": 1.0}
    sheet = {"name": "a", "episodes": 100, "success": 0.8}
    record = {
        "conflict": {**calm, **{k: v for k, v in more.items() if k in calm}},
        "groups": more.get("groups"),
        "return_overlap": more.get("overlap", [[1.0, 0.9], [0.9, 1.0]]),
        "tasks": [{**sheet, **{k: v for k, v in more.items() if k in sheet}}, sheet],
    }
    return [(each["finding"], each["recipes"]) for each in advice(record)]


@pytest.mark.parametrize(
    ("more", "said", "recipe"),
    [
        ({"opposed_pairs": 0.25}, "25 % of the pairs of tasks pull the shared weights in opposed directions", "pcgrad"),
        ({"conflicting_share": 0.4}, "tasks agree on the whole .* in 40 % of the weights", "harmodt"),
        ({}, "tasks hardly disagree", "prompt-dt"),
        ({"magnitude_ratio": 7.0}, "the gradient of one task is 7 times that of another", "famo"),
        ({"groups": {"silhouette": 0.5, "groups": [["a", "b"], ["c"]]}}, "fall into 2 groups: a, b; c", "g-harmodt"),
        ({"overlap": [[1.0, 0.2], [0.2, 1.0]]}, "returns of two tasks overlap by 20 % in the median", "mtdt"),
        ({"episodes": 9}, "1 of 2 tasks have fewer than 10 episodes: a", "prompt-dt"),
        ({"success": 0.0}, "40 % of the episodes succeed", "harmodt"),
    ],
)
def test_each_finding_has_its_threshold_and_its_recipes(more, said, recipe):
    matching = [recipes for finding, recipes in found(**more) if re.search(said, finding)]
    assert len(matching) == 1 and recipe in matching[0]
    assert len(found(**more)) == (2 if set(more) - {"opposed_pairs", "conflicting_share"} else 1)


def test_every_recipe_that_is_advised_exists(record):
    for each in record[0]["advice"]:
        assert all(BOOK.get(name) for name in each["recipes"])


def test_groups_name_every_task_once(record):
    groups = record[0]["groups"]
    assert sorted(name for group in groups["groups"] for name in group) == ["east", "north", "south", "west"]
    assert groups["silhouette"] == max(groups["silhouettes"].values())


def test_the_record_is_json_and_a_finished_diagnosis_is_read(record, points, monkeypatch):
    found, out = record
    text = (out / "result" / "diagnosis.json").read_text()
    assert json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is not JSON")) == found
    monkeypatch.setattr("harmonia.decide.diagnosis.Lineup", None)
    assert diagnose(points, settings=BRIEF, out=out, resume=True) == found


def test_fewer_than_four_tasks_have_no_groups_and_a_folder_may_come_in_a_list(points, tmp_path):
    found = harmonia.diagnose([points], tasks="north,south", settings=BRIEF, out=tmp_path / "r")
    assert found["groups"] is None and [sheet["name"] for sheet in found["tasks"]] == ["north", "south"]
    data = Trajectories.open(points)
    again = harmonia.diagnose(data, tasks="north,south", settings=BRIEF, out=tmp_path / "s")
    assert again["conflict"] == found["conflict"]


def test_doubts_about_the_data_are_told(points, tmp_path):
    settings = [*BRIEF, "backbone.max_timestep=20"]
    found = diagnose(points, tasks="north,south", settings=settings, out=tmp_path / "r")
    assert any("the table of timesteps has 20 rows" in warning for warning in found["warnings"])


def test_what_cannot_be_diagnosed_is_refused(points, three, tmp_path):
    with pytest.raises(InputError, match="a diagnosis compares tasks, and there is only north"):
        diagnose(points, tasks="north", out=tmp_path / "r")
    with pytest.raises(InputError, match="name one trajectory data set; .* joins several"):
        harmonia.diagnose([points, three], out=tmp_path / "r")
    with pytest.raises(InputError, match="holds no trajectories"):
        diagnose(tmp_path / "nothing", out=tmp_path / "r")
    assert not (tmp_path / "r").exists()


def test_returns_that_never_vary_overlap_whatever_their_size():
    for value in (0.0, 1.0, -3e9, 1e12):
        assert return_overlap([np.full(3, value), np.full(5, value)]) == [[1, 1], [1, 1]]


def test_the_overlap_of_two_halves():
    low, high = np.linspace(0, 1, 1000), np.linspace(0.5, 1.5, 1000)
    assert return_overlap([low, high])[0][1] == pytest.approx(0.5, abs=0.06)
    assert return_overlap([low, low + 10])[0][1] == 0


@given(st.lists(arrays(float, st.integers(1, 8), elements=st.floats(-1e6, 1e6)), min_size=2, max_size=4))
@example([np.array([0.0]), np.array([5e-324])])
@example([np.array([1e6]), np.array([1e6 + 1e-9])])
def test_an_overlap_is_a_share_symmetric_and_whole_with_itself(returns):
    found = np.array(return_overlap(returns))
    assert np.array_equal(found, found.T) and np.allclose(np.diag(found), 1)
    assert (found >= 0).all() and (found <= 1 + 1e-9).all()
