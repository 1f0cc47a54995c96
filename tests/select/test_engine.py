"""The engine: what is written, what decides it, what does not."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest
from tests.conftest import records

import harmonia
from harmonia.core.errors import InputError
from harmonia.core.run import Run
from harmonia.select import Decorrelation, Greedy, SelectRecipe, pick
from harmonia.select.ingest import open_features


def run(data, out=None, **options):
    return harmonia.select(
        data, options.pop("recipe", "disf-unit"), **{"budget": 12, "workers": 1, "out": out, **options}
    )


def test_picks_have_rank_score_terms_source_and_the_original_columns(documents):
    picks = run(documents).picks
    assert picks.columns == ["id", "rank", "score", "decorrelation", "source", "text", "quality"]
    assert picks["rank"].to_list() == list(range(12))
    by_id = {d["id"]: d for d in documents}
    assert all(
        by_id[r["id"]]["text"] == r["text"] and by_id[r["id"]]["source"] == r["source"] for r in picks.to_dicts()
    )
    assert picks["id"].n_unique() == 12


def test_report_is_a_function_however_often_it_is_called(documents, tmp_path):
    result = run(documents, tmp_path / "r")
    assert [harmonia.report(tmp_path / "r"), result.report(), harmonia.report(tmp_path / "r")] == [
        tmp_path / "r/report.html"
    ] * 3
    assert harmonia.report(tmp_path / "r", tmp_path / "page.html").read_bytes() == result.report().read_bytes()


def test_ids_only_leaves_the_documents_out(documents):
    assert run(documents, ids_only=True).picks.columns == ["id", "rank", "score", "decorrelation", "source"]


def test_the_picks_are_those_of_the_parts_on_the_stored_vectors(documents, tmp_path):
    result = run(documents, tmp_path / "r")
    features = open_features(result.recipe.features, Run.at(tmp_path / "r"))
    chosen = pick(features, result.recipe.objective, result.recipe.solver, budget=12, ids=[d["id"] for d in documents])
    assert [documents[i]["id"] for i in chosen.rows] == result.picks["id"].to_list()
    assert np.allclose(chosen.scores, result.picks["score"].to_numpy(), rtol=1e-12)


def test_the_file_is_identical_whatever_the_workers_and_the_folder(pool_file, tmp_path):
    one = run(str(pool_file), tmp_path / "a", workers=1)
    two = run(str(pool_file), tmp_path / "b", workers=2)
    assert (one.folder / "result/picks.parquet").read_bytes() == (two.folder / "result/picks.parquet").read_bytes()


def test_another_seed_gives_other_picks(documents):
    assert run(documents, seed=0).picks["id"].to_list() != run(documents, seed=1).picks["id"].to_list()


def test_budget_in_tokens_is_reached_by_the_last_pick(documents):
    result = run(documents, budget="500tok", recipe="random")
    tokens = [max(1, len(t.encode()) // 4) for t in result.picks["text"]]
    assert sum(tokens[:-1]) < 500 <= sum(tokens)


def test_floors_and_ceilings_bind(documents):
    counts = run(documents, floors={"law": 0.5}, ceilings={"code": 0.25}).picks["source"].value_counts()
    counts = dict(counts.iter_rows())
    assert counts["law"] >= 6
    assert counts.get("code", 0) <= 3


def test_rejected_lists_everything_else_with_a_reason(documents):
    result = run(documents, recipe="quality", keep_rejected=True)
    left = pl.read_parquet(result.folder / "result/rejected.parquet")
    assert len(left) == 48
    assert not set(left["id"]) & set(result.picks["id"])
    assert left["score"].max() <= result.picks["score"].min()
    assert left["reason"].str.contains("not among the best").all()


def test_skipped_rows_are_written_with_reasons_and_counted(tmp_path):
    path = tmp_path / "pool.jsonl"
    rows = [json.dumps(r) for r in records(30)]
    path.write_text(
        "\n".join([*rows[:10], "{broken", json.dumps({"id": "x", "text": None, "source": "law"}), *rows[10:]]) + "\n"
    )
    with pytest.raises(InputError, match=r"pool\.jsonl.*11"):
        run(str(path), tmp_path / "stop")
    result = run(str(path), tmp_path / "skip", on_bad="skip")
    rejects = pl.read_parquet(result.folder / "result/rejects.parquet")
    assert rejects["row"].to_list() == [11, 12]
    assert sum(result.summary["rejects"].values()) == 2
    assert result.summary["documents"] == 30


def test_given_vectors_keep_their_precision(documents, tmp_path):
    rng = np.random.default_rng(0)
    data = [{**d, "vector": rng.normal(size=8).tolist()} for d in documents]
    result = run(data, tmp_path / "r", settings=["features=given"], embedding_column="vector", dtype="float64")
    features = open_features(result.recipe.features, Run.at(tmp_path / "r"))
    assert features.dtype == np.float64
    assert np.array_equal(features[:], np.array([d["vector"] for d in data]))
    with pytest.raises(InputError, match="--embedding-column"):
        run(documents, settings=["features=given"])


def test_original_columns_that_collide_are_kept_under_another_name():
    data = [{"id": f"d{i}", "text": f"words {i} of some text", "rank": i, "score": "high"} for i in range(40)]
    picks = run(data, recipe="random").picks
    assert {"original_rank", "original_score"} <= set(picks.columns)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"budget": 0}, "no documents"),
        ({"budget": 61}, "only 60"),
        ({"budget": "many"}, "not a budget"),
        ({"budget": "150%"}, "at most 100%"),
        ({"budget": 2.5}, "whole"),
        ({"budget": "nan"}, "budget"),
        ({"budget": "9Gtok"}, "tokens"),
        ({"recipe": "disf-unti"}, "did you mean 'disf-unit'"),
        ({"settings": ["solver.bach=3"]}, "did you mean 'batch'"),
        ({"settings": ["solver.batch=0"]}, "solver.batch"),
        ({"floors": {"lwa": 0.1}}, "did you mean 'law'"),
        ({"floors": {"law": 1.5}}, r"\[0, 1\]"),
        ({"floors": {"law": 0.7, "code": 0.7}}, "at most 1"),
        ({"floors": {"law": 0.7}, "ceilings": {"law": 0.1}}, "above its ceiling"),
        ({"quality_column": "qualty"}, "qual"),
        ({"on_bad": "ignore"}, "stop or skip"),
        ({"dtype": "float16"}, "float32 or float64"),
        ({"engine": "spark"}, "engine"),
        ({"text_column": "txt"}, "txt"),
    ],
)
def test_bad_settings_are_one_clear_error(documents, change, word):
    with pytest.raises(InputError, match=word) as caught:
        run(documents, **change)
    assert "\n" not in str(caught.value)


def test_quality_missing_and_constant(documents):
    bare = [{k: v for k, v in d.items() if k != "quality"} for d in documents]
    with pytest.raises(InputError, match="--quality-column"):
        run(bare, recipe="quality")
    result = run([{**d, "quality": 1.0} for d in documents], recipe="quality")
    assert any("tells none from another" in w for w in result.summary["warnings"])


def test_a_custom_recipe_from_parts(documents):
    recipe = SelectRecipe(
        name="mine", features=harmonia.select.Hashing(dimension=32), objective=Decorrelation(), solver=Greedy(batch=20)
    )
    assert run(documents, recipe=recipe).recipe == recipe


@pytest.mark.parametrize("change", [{"budget": 61}, {"floors": {"lwa": 0.1}}])
def test_what_cannot_be_met_is_refused_before_anything_is_embedded(documents, tmp_path, change):
    with pytest.raises(InputError):
        run(documents, tmp_path / "r", **change)
    assert not (tmp_path / "r").exists()
