"""Stages: which of them reads some data, and what can be asked of any."""

from __future__ import annotations

import pytest

from harmonia.core.errors import HarmoniaError, InputError
from harmonia.stages import STAGES, diagnose, find_stage, recipes, stage_of_data, stage_of_recipe


def test_stages_are_found_by_name_by_recipe_and_by_data(tmp_path):
    assert [find_stage(name).name for name in STAGES] == list(STAGES)
    with pytest.raises(InputError, match="no stage 'decied'; did you mean 'decide'"):
        find_stage("decied")
    assert stage_of_recipe("harmodt-f").name == "decide"
    assert stage_of_recipe("disf-unit").name == "select"
    with pytest.raises(InputError, match="no recipe 'pakcnet'; did you mean 'packnet'"):
        stage_of_recipe("pakcnet")
    (tmp_path / "trajectories.json").write_text("{}")
    assert stage_of_data([tmp_path]).name == stage_of_data([str(tmp_path)]).name == "decide"
    assert stage_of_data([tmp_path, tmp_path / "a.jsonl"]).name == "select"
    assert stage_of_data([[{"text": "a document"}]]).name == "select"
    assert stage_of_data(["digits"]).name == "federate"
    # documents may have labels too: who names clients means those
    assert stage_of_data([tmp_path / "a.jsonl"], clients=True).name == "federate"
    with pytest.raises(InputError, match="name the data"):
        stage_of_data([])


def test_a_diagnosis_goes_to_the_stage_that_reads_the_data(tmp_path):
    with pytest.raises(InputError, match="cannot read documents from int"):
        diagnose(3)
    (tmp_path / "trajectories.json").write_text("{}")
    for data in (tmp_path, str(tmp_path), [tmp_path]):
        with pytest.raises(InputError, match="is not of the format"):
            diagnose(data, out=tmp_path / "r")
    with pytest.raises(InputError, match="a diagnosis compares clients, at least two"):
        diagnose(tmp_path, clients=1)


def test_every_recipe_is_of_one_stage_with_references_that_exist():
    rows = recipes()
    names = [name for row in rows for name in (row["name"], *row["aliases"])]
    assert len(set(names)) == len(names)
    for row in rows:
        find_stage(row["stage"]).cite(row["cite"])
    with pytest.raises(HarmoniaError):
        find_stage("decide").cite(["nobody1900nothing"])
