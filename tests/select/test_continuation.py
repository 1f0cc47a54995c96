"""Adding files to a selection: earlier picks stay, nothing is embedded twice, gains know the picks that are there."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest
from tests.conftest import records

import harmonia
from harmonia.core.errors import InputError
from harmonia.core.run import Run
from harmonia.select.continuation import continue_selection
from harmonia.select.ingest import open_features
from harmonia.select.story import tell


@pytest.fixture
def files(tmp_path):
    rows = records(120)
    for name, part in (("old", rows[:80]), ("new", rows[80:])):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(r) + "\n" for r in part))
    return tmp_path / "old.jsonl", tmp_path / "new.jsonl"


SETTINGS = ["solver.batch=all"]


def test_earlier_picks_stay_and_new_ones_come_from_the_new_files(files, tmp_path):
    old, new = files
    before = harmonia.select(str(old), budget=8, out=tmp_path / "a", settings=SETTINGS, workers=1)
    after = continue_selection(tmp_path / "a", str(new), budget=5, out=tmp_path / "b", workers=1)
    assert after.picks[:8].equals(before.picks)
    assert after.picks["rank"].to_list() == list(range(13))
    added = set(after.picks["id"][8:])
    assert added <= {json.loads(line)["id"] for line in new.read_text().splitlines()}
    assert after.summary["documents"] == 120
    assert after.summary["picked"]["documents"] == 13


def test_gains_of_new_picks_are_against_all_picks(files, tmp_path):
    """The scores of the joint selection are those of climbing through its picks from nothing."""
    old, new = files
    harmonia.select(str(old), budget=8, out=tmp_path / "a", settings=SETTINGS, workers=1, dtype="float64")
    after = continue_selection(tmp_path / "a", str(new), budget=5, out=tmp_path / "b", workers=1)
    from harmonia.select.reopen import Finished

    found = Finished(tmp_path / "b")
    function = found.recipe.objective.fit(found.pool, found.context())
    climb = function.climb(np.sort(found.rows), 13)
    place = {row: i for i, row in enumerate(np.sort(found.rows))}
    gains = []
    for row in found.rows:
        gains.append(float(climb.gains(np.array([place[row]]))[0]))
        climb.add(place[row])
    assert np.allclose(gains[8:], after.picks["score"].to_numpy()[8:], rtol=1e-6)


def test_old_vectors_are_reused_and_new_ones_made_by_the_same_encoder(files, tmp_path):
    old, new = files
    before = harmonia.select(str(old), budget=8, out=tmp_path / "a", settings=SETTINGS, workers=1)
    continue_selection(tmp_path / "a", str(new), budget=5, out=tmp_path / "b", workers=1)
    own = open_features(before.recipe.features, Run.at(tmp_path / "b"))
    assert own.shape[0] == 40
    sample = json.loads((tmp_path / "a/state/sample.json").read_text())
    texts = [json.loads(line)["text"] for line in new.read_text().splitlines()]
    assert np.array_equal(own[:], before.recipe.features.encoder(sample)(texts).astype(np.float16))


def test_a_continued_selection_can_be_explained_and_continued(files, tmp_path):
    old, new = files
    harmonia.select(str(old), budget=8, out=tmp_path / "a", settings=SETTINGS, workers=1)
    after = continue_selection(tmp_path / "a", str(new), budget=5, out=tmp_path / "b", workers=1)
    assert tell(tmp_path / "b", after.picks["id"][10])["rank"] == 10
    assert tell(tmp_path / "b", after.picks["id"][2])["rank"] == 2
    third = tmp_path / "third.jsonl"
    third.write_text("".join(json.dumps({**r, "id": f"third-{r['id']}"}) + "\n" for r in records(30, seed=5)))
    last = continue_selection(tmp_path / "b", str(third), budget=3, out=tmp_path / "c", workers=1)
    assert last.picks[:13].equals(after.picks)
    assert len(last.picks) == 16


def test_columns_that_differ_are_filled_and_resume_is_exact(files, tmp_path):
    old, new = files
    harmonia.select(str(old), budget=8, out=tmp_path / "a", settings=SETTINGS, workers=1)
    rows = [{**json.loads(line), "extra": "x"} for line in new.read_text().splitlines()]
    new.write_text("".join(json.dumps(r) + "\n" for r in rows))
    after = continue_selection(tmp_path / "a", str(new), budget=5, out=tmp_path / "b", workers=1)
    assert after.picks["extra"].to_list() == [None] * 8 + ["x"] * 5
    again = continue_selection(tmp_path / "a", str(new), budget=5, out=tmp_path / "b", workers=1, resume=True)
    assert again.picks.equals(after.picks)


@pytest.mark.parametrize("fate", ["gone", "changed", "in memory"])
def test_earlier_documents_that_cannot_be_read_again_cost_only_their_excerpts(files, tmp_path, fate):
    old, new = files
    rows = [json.loads(line) for line in old.read_text().splitlines()]
    harmonia.select(rows if fate == "in memory" else str(old), budget=8, out=tmp_path / "a", settings=SETTINGS)
    expected = continue_selection(tmp_path / "a", str(new), budget=5, out=tmp_path / "b").picks
    if fate == "gone":
        old.unlink()
    if fate == "changed":  # as many rows, in another order: a row number now means another document
        old.write_text("".join(json.dumps(r) + "\n" for r in rows[::-1]))
    after = continue_selection(tmp_path / "a", str(new), budget=5, out=tmp_path / "c")
    assert after.picks.equals(expected)
    assert any("no excerpts of earlier documents" in warning for warning in after.summary["warnings"])
    sample = pl.read_parquet(after.folder / "result/sample.parquet")
    earlier = sample.filter(pl.col("id").is_in([r["id"] for r in rows]))
    assert set(earlier["excerpt"]) == {""}
    assert "" not in set(sample.filter(~pl.col("id").is_in(earlier["id"].to_list()))["excerpt"])


def test_refusals(files, tmp_path):
    old, new = files
    harmonia.select(str(old), budget=8, out=tmp_path / "a", settings=SETTINGS, workers=1)
    with pytest.raises(InputError, match="already"):
        continue_selection(tmp_path / "a", str(old), budget=5, out=tmp_path / "b", workers=1)
    with pytest.raises(InputError, match="another folder"):
        continue_selection(tmp_path / "a", str(new), budget=5, out=tmp_path / "a", workers=1)
    with pytest.raises(InputError, match="not the folder of a run"):
        continue_selection(tmp_path / "nothing", str(new), budget=5, workers=1)
    harmonia.select(str(old), "datamask", budget=8, out=tmp_path / "m", workers=1)
    with pytest.raises(InputError, match="cannot build on a selection"):
        continue_selection(tmp_path / "m", str(new), budget=5, out=tmp_path / "n", workers=1)


def test_recipes_without_vectors_continue_too(files, tmp_path):
    old, new = files
    before = harmonia.select(str(old), "random", budget=8, out=tmp_path / "a", workers=1)
    after = continue_selection(tmp_path / "a", str(new), budget="10%", out=tmp_path / "b", workers=1)
    assert after.picks["id"].to_list()[:8] == before.picks["id"].to_list()
    assert after.picks["id"].n_unique() == len(after.picks) == 12


def test_two_stages_continue_and_keep_a_share_of_the_new_files(files, tmp_path):
    """Prefilter and objective are the same part, fitted on the new files and on the joint pool."""
    old, new = files
    stages = {
        "kind": "two-stage",
        "prefilter": {"kind": "prototypes", "clusters": 3},
        "keep": "100%",
        "solver": {"kind": "top-n"},
    }
    settings = [f"solver={json.dumps(stages)}", "objective.clusters=3"]
    harmonia.select(str(old), "prototypes", budget=8, out=tmp_path / "a", settings=settings, workers=1)
    harmonia.select(str(old), "prototypes", budget=8, out=tmp_path / "c", settings=settings[1:], workers=1)
    two, one = (
        continue_selection(tmp_path / run, str(new), budget=5, out=tmp_path / f"{run}-on", workers=1) for run in "ac"
    )
    assert len(two.picks) == 13 and two.picks["id"].to_list() == one.picks["id"].to_list()
