import json

import numpy as np
import pytest
import torch
from tests.data.checkpoints.saved import drawn, saved
from tests.merge.planned import SHAPES, planned
from tests.merge.rules import Mean, Sum, Twice

from harmonia.core.errors import InputError
from harmonia.data.checkpoints import open_checkpoint
from harmonia.merge.disagreement import Notes, disagreement, summary
from harmonia.merge.plan import plan
from harmonia.merge.streaming import merge


def test_disagreement_is_the_same_with_and_without_merging(tmp_path):
    held, made = planned(tmp_path, dtype=torch.float16)
    alone = disagreement(made, piece=50)
    passing = merge(made, Twice(), tmp_path / "o", measure=True, threads=3).disagreement
    assert list(alone) == list(passing) == [t.slot.name for t in made.merged]
    for name in alone:
        tau = np.stack([(t[name].double() - held[0][name].double()).flatten().numpy() for t in held[1:]])
        for found in (alone[name], passing[name]):
            np.testing.assert_allclose(found.gram, tau @ tau.T, rtol=1e-5)
            assert found.sign_conflict == ((tau > 0).any(0) & (tau < 0).any(0)).mean() and found.size == tau.shape[1]
    with pytest.raises(InputError, match="name the base that they were trained from"):
        disagreement(plan(made.experts))
    assert merge(plan(made.experts), Mean(), tmp_path / "p", measure=True).disagreement == {}


def test_measures_that_were_lost_are_taken_again(tmp_path, monkeypatch):
    _, made = planned(tmp_path)
    monkeypatch.setattr(Notes, "keep", lambda *rest: None)
    assert merge(made, Sum(), tmp_path / "o", measure=True).disagreement.keys() == disagreement(made).keys()


def test_the_summary_is_json_and_warns_of_another_base(tmp_path):
    held, made = planned(tmp_path, experts=1)
    strange = open_checkpoint(saved(tmp_path / "s", drawn(99, SHAPES)))
    found = summary(disagreement(plan([*made.experts, strange], made.base), piece=7), ["mine", "strange"])
    assert found == json.loads(json.dumps(found)) and list(found["tensors"]) == [t.slot.name for t in made.merged]
    assert [line.partition(" ")[0] for line in found["warnings"]] == ["strange"]
    base, expert = (torch.cat([t.flatten() for t in tensors.values()]).double() for tensors in held)
    assert found["model"]["norms"][0] == pytest.approx(float((expert - base).norm()), rel=1e-5)
    assert found["model"]["relative_norms"][0] == pytest.approx(float((expert - base).norm() / base.norm()), rel=1e-5)
    assert found["model"]["size"] == len(base)


def test_notes_survive_a_line_that_was_cut_off(tmp_path):
    _, made = planned(tmp_path)
    found = disagreement(made)
    names = list(found)
    path = tmp_path / "notes.jsonl"
    with Notes(path) as notes:
        notes.keep(names[0], found[names[0]])
    with open(path, "a") as file:
        file.write('{"name": "cut o')
    with Notes(path) as notes:
        notes.keep(names[1], found[names[1]])
    held = Notes(path).held
    assert list(held) == names[:2]
    assert all((held[name].gram == found[name].gram).all() and held[name].size == found[name].size for name in held)
