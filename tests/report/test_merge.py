"""What the pages of merges and of diagnoses of experts say follows from their records."""

import json
import re
from html import unescape

import numpy as np
import pytest

from harmonia.core.errors import RunError
from harmonia.report import diagnose_merge, experts, merge


def visible(page):
    return " ".join(unescape(re.sub(r"<(style|script)[^>]*>.*?</\1>|<[^>]+>", " ", page, flags=re.DOTALL)).split())


def told(gram, conflict, base=100.0):
    gram = np.array(gram, float)
    norms = np.sqrt(np.diag(gram))
    return {
        "size": 100,
        "norms": norms.tolist(),
        "relative_norms": (norms / np.sqrt(base)).tolist(),
        "cosines": (gram / np.outer(norms, norms)).tolist(),
        "sign_conflict": conflict,
    }


def disagreement():
    tensors = {
        "model.layers.0.mlp.up_proj.weight": told([[1, 0.5], [0.5, 1]], 0.1),
        "model.layers.0.mlp.up_proj.bias": told([[1, 0], [0, 1]], 0.9),
        "model.layers.10.mlp.up_proj.weight": told([[4, -2], [-2, 4]], 0.6),
        "model.layers.10.self_attn.q_proj.weight": told([[4, -2], [-2, 4]], 0.4),
        "model.norm.weight": told([[1, 0], [0, 4]], 0.95),
    }
    layers = {
        "0": told([[2, 0.5], [0.5, 2]], 0.2),
        "10": told([[8, -4], [-4, 8]], 0.5),
        "model.norm": tensors["model.norm.weight"],
    }
    whole = told([[11, -3.5], [-3.5, 14]], 0.3)
    return {"experts": ["law", "<b>code"], "model": whole, "layers": layers, "tensors": tensors, "warnings": []}


def summary():
    found = disagreement()
    return {
        "recipe": "ties",
        "base": "smollm",
        "experts": [{"name": "law", "weight": 1.0}, {"name": "<b>code", "weight": 0.5}],
        "weights_of": 2,
        "seed": 0,
        "models": [{"folder": "model-scaling-0.5", "scaling": 0.5}, {"folder": "model-scaling-1", "scaling": 1.0}],
        "parameters": 1_500_000,
        "tensors": 5,
        "untouched": 3,
        "copied": ["lm_head.weight"],
        "dtypes": ["BF16"],
        "bytes": {"inputs": 9 * 2**20, "model": 3 * 2**20},
        "disagreement": {"model": found["model"], "layers": found["layers"]},
        "seconds": {"merge": 2.0},
        "peak_memory_bytes": 3 * 2**27,
        "warnings": ["<script>alert(1)</script>"],
        "cite": ["@misc{one}"],
    }


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "result").mkdir()
    (tmp_path / "result" / "summary.json").write_text(json.dumps(summary()))
    (tmp_path / "result" / "disagreement.json").write_text(json.dumps(disagreement()))
    return tmp_path


def test_findings_are_what_the_figures_say():
    said = " ".join(merge.findings(summary()))
    assert "2 experts of 1.50 M parameters became 2 models of 3.00 MiB; 9.00 MiB of weights were read." in said
    assert "Mean cosine of their task vectors −0.28, the lowest −0.28; they move 30.0 %" in said
    assert "Most conflict of signs in layer 10: 50.0 % of its weights." in said  # the norm lies in no layer
    assert "<b>code moved farthest from the base: 37.4 % of its length." in said
    assert "3 tensors no expert had changed" in said and "1 tensors are taken from the base" in said


def test_nothing_is_said_that_was_not_measured():
    record = {**summary(), "disagreement": None, "untouched": None, "copied": []}
    assert len(merge.findings(record)) == 1


def test_the_page_draws_layers_and_escapes_names(folder):
    page = merge.page(folder)
    words = visible(page)
    for title in ("In which directions experts moved", "Directions, layer by layer", "Where signs conflict"):
        assert title in words
    assert "<b>code" not in page and "<script>alert" not in page and "<b>code" in words
    assert "model-scaling-0.5" in words and "2 tensors have weights of their own" in words
    assert "from_pretrained(folder)" in words and "@misc{one}" in words


def test_a_run_without_disagreement_has_a_page(folder):
    (folder / "result" / "disagreement.json").unlink()
    (folder / "result" / "summary.json").write_text(json.dumps({**summary(), "disagreement": None}))
    assert "Where signs conflict" not in visible(merge.page(folder))
    (folder / "result" / "summary.json").unlink()
    with pytest.raises(RunError, match="summary.json is missing"):
        merge.page(folder)


def test_heat_maps_have_layers_in_their_order_and_matrices_only():
    whole, directions, far, conflicts = (picture["heat"] for picture in experts.pictures(disagreement()))
    assert [name for name, _ in directions.rows] == ["0", "10", "model.norm"]
    assert directions.columns == ["law · <b>code"] and directions.rows[1][1][0].words == "−0.50"
    assert directions.rows[1][1][0].tone == "bad" and directions.rows[0][1][0].tone == "good"
    assert far.columns == ["law", "<b>code"] and far.rows[1][1][0].words == "28.3"
    assert conflicts.columns == ["mlp.up_proj", "self_attn.q_proj"]
    assert [[c.words for c in row] for _, row in conflicts.rows] == [["10", ""], ["60", "40"]]
    assert whole.rows[0][1][1].words == "−0.28"


def test_many_experts_are_drawn_by_the_mean_of_pairs():
    n = 7
    gram = np.eye(n) + 0.5 * (1 - np.eye(n))
    layers = {"0": told(gram, 0.5)}
    record = {"experts": [f"e{i}" for i in range(n)], "model": layers["0"], "layers": layers, "tensors": {}}
    pictures = experts.pictures(record)
    assert len(pictures) == 3  # no matrices
    assert pictures[1]["heat"].columns == ["mean of pairs"] and pictures[1]["heat"].rows[0][1][0].words == "0.50"


def test_a_diagnosis_names_findings_figures_and_recipes():
    finding = {"finding": "experts conflict", "figures": {"sign_conflict": 0.3}, "recipes": ["ties", "pcb"]}
    record = {**disagreement(), "base": "smollm", "parameters": 500, "advice": [finding], "warnings": ["far away"]}
    words = visible(diagnose_merge.page(record))
    assert "How 2 experts disagree" in words and "Experts conflict." in words and "far away" in words
    assert "ties pcb" in words and "sign conflict 30.0 %" in words and "farthest 37.4 %" in words


def test_one_expert_has_no_pairs():
    one = told([[4.0]], 0.0)
    assert experts.facts(one)["mean_cosine"] == "–"
    record = {**summary(), "experts": [{"name": "law", "weight": 1.0}], "disagreement": {"model": one, "layers": {}}}
    said = " ".join(merge.findings(record))
    assert "cosine" not in said and "law moved farthest from the base: 20.0 %" in said
