"""Why a document was left, by objective and solver."""

import json

import numpy as np
import pytest

import harmonia
from harmonia.select.story import tell


@pytest.fixture
def rows():
    random = np.random.default_rng(0)
    vectors = random.normal(size=(20, 3))
    vectors[4] = 0
    return [
        {"id": f"d{i}", "text": f"text {i}", "a": float(i), "b": float(-i), "vector": vectors[i].tolist()}
        for i in range(20)
    ]


def left(rows, tmp_path, recipe, document, settings=()):
    tmp_path.mkdir(exist_ok=True)
    path = tmp_path / "pool.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    columns = {"quality_column": ["a", "b"], "embedding_column": "vector"}
    harmonia.select(str(path), recipe, budget=4, out=tmp_path / "run", settings=settings, workers=1, **columns)
    return tell(tmp_path / "run", document)


def test_the_best_scores_are_named_as_such_and_draws_are_not(rows, tmp_path):
    story = left(rows, tmp_path, "quality", "d3", ["objective.column=a"])
    assert story["because"] == "left: its score of 3 was not among the best 4 that top-n took (the last one has 16)"
    drawn = left(rows, tmp_path / "b", "qurating", "d3", ["objective.column=a"])["because"]
    assert drawn.startswith("left: gumbel took 4 others; its score is 3, the last one has")


def test_a_document_that_a_term_excludes(rows, tmp_path):
    settings = ["features=given", "objective.zero=drop"]
    story = left(rows, tmp_path, "facility-location", "d4", settings)
    assert story["gain"] is None and story["because"] == "left: the objective excludes it (facility-location)"


def test_every_term_had_its_turn(rows, tmp_path):
    terms = [{"weight": 1, "objective": {"kind": "quality", "column": name}} for name in "ab"]
    objective = json.dumps({"kind": "weighted", "terms": terms})
    solver = json.dumps({"kind": "per-term", "solver": {"kind": "top-n"}})
    story = left(rows, tmp_path, "quality", "d9", [f"objective={objective}", f"solver={solver}"])
    assert story["because"] == "left: no term took it; its scores are quality 9, quality-2 -9"
    assert story["terms"] == {"quality": 9.0, "quality-2": -9.0}
