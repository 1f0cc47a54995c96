"""Comparing recipes by training: held-out parts stay out, tables are paired, interrupted tables go on."""

from __future__ import annotations

import json

import pytest
from tests.conftest import records

from harmonia.core.errors import InputError
from harmonia.select import comparison
from harmonia.select.comparison import compare
from harmonia.select.judge.probe import Probe
from harmonia.stages import citation, cite, explain


@pytest.fixture
def pool(tmp_path):
    path = tmp_path / "pool.jsonl"
    path.write_text("".join(json.dumps(r) + "\n" for r in records(240)))
    return str(path)


def test_probe_table(pool, tmp_path):
    record = compare(
        pool, ["random", "disf-unit"], budget="20%tok", seeds=[0, 1, 2], held_out=10, out=tmp_path / "r", workers=1
    )
    assert record["metrics"][:2] == ["bpb/mean", "bpb/worst"]
    assert {f"bpb/{s}" for s in ("law", "code", "mail")} <= set(record["metrics"])
    random, disf = record["recipes"]["random"], record["recipes"]["disf-unit"]
    assert random["bpb/mean"]["difference"] == 0
    assert disf["bpb/mean"]["low"] < disf["bpb/mean"]["difference"] < disf["bpb/mean"]["high"]
    assert record["held_out"] == {"code": 10, "law": 10, "mail": 10}


def test_a_comparison_cites_every_recipe_and_the_judge(pool, tmp_path):
    out = tmp_path / "r"
    record = compare(pool, ["quality", "disf-unit"], seeds=[0], held_out=10, out=out, quality_column="quality")
    used = [*cited("quality"), *cited("disf-unit"), *Probe.references]
    assert citation(out)["keys"] == list(dict.fromkeys(used))
    assert cite(out) == "\n\n".join(record["cite"])
    assert {"fan2025disf", "kneser1995improved"} <= set(used)
    with pytest.raises(InputError, match="compares several recipes; name one of them: quality, disf-unit"):
        explain(out)


def cited(recipe):
    return citation(recipe)["keys"]


def test_no_recipe_sees_a_held_out_document(pool, tmp_path, monkeypatch):
    seen, held = [], []

    def judge(self, name, texts, exam):
        seen.extend(texts)
        held.append({t for part in exam.held_out.values() for t in part})
        return {"bpb/mean": 1.0, "bpb/worst": 1.0}

    monkeypatch.setattr(Probe, "judge", judge)
    compare(pool, ["full", "random"], seeds=[0], held_out=10, out=tmp_path / "r", workers=1)
    assert len(held[0]) == 30
    assert held[0] == held[1]
    assert not held[0] & set(seen)
    assert len(seen) > 200


def test_an_interrupted_comparison_goes_on_with_the_cells_it_has(pool, tmp_path, monkeypatch):
    whole = compare(pool, ["random", "disf-unit"], seeds=[0, 1], held_out=10, out=tmp_path / "whole", workers=1)
    original, calls = comparison.choose, []

    def failing(*arguments):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return original(*arguments)

    monkeypatch.setattr(comparison, "choose", failing)
    with pytest.raises(KeyboardInterrupt):
        compare(pool, ["random", "disf-unit"], seeds=[0, 1], held_out=10, out=tmp_path / "r", workers=1)
    again = compare(
        pool, ["random", "disf-unit"], seeds=[0, 1], held_out=10, out=tmp_path / "r", workers=1, resume=True
    )
    assert len(calls) == 5
    for name in ("bpb/mean", "picked_documents"):
        assert again["recipes"]["disf-unit"][name]["values"] == whole["recipes"]["disf-unit"][name]["values"]


@pytest.mark.slow
def test_language_model_judge_keeps_a_checkpoint_that_transformers_loads(pool, tmp_path):
    transformers = pytest.importorskip("transformers")
    settings = [
        "judge.width=32",
        "judge.layers=1",
        "judge.heads=2",
        "judge.kv_heads=1",
        "judge.context=32",
        "judge.steps=6",
        "judge.batch=2",
        "judge.vocab_size=300",
        "judge.save=true",
    ]
    record = compare(
        pool,
        ["random", "stratified"],
        seeds=[0, 1],
        judge="lm",
        held_out=5,
        settings=settings,
        out=tmp_path / "r",
        workers=1,
    )
    assert record["judge"] == "lm"
    assert record["recipes"]["random"]["train_tokens"]["std"] == 0
    folder = tmp_path / "r/state/judge/models/random-seed0"
    model = transformers.AutoModelForCausalLM.from_pretrained(folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    out = model.generate(**tokenizer("court shall", return_tensors="pt"), max_new_tokens=4, do_sample=False)
    assert out.shape[1] >= 5


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"recipes": ["random", "random"]}, "named twice"),
        ({"recipes": ["randm"]}, "did you mean 'random'"),
        ({"recipes": ["random"], "judge": "jury"}, "jury"),
        ({"recipes": ["random"], "baseline": "disf"}, "baseline"),
        ({"recipes": ["random"], "settings": ["judge.ordr=3"]}, "did you mean 'order'"),
        ({"recipes": ["random"], "held_out": 0}, "hold out at least 1"),
        ({"recipes": []}, "at least one recipe"),
    ],
)
def test_bad_comparisons_are_one_clear_error(pool, tmp_path, arguments, word):
    with pytest.raises(InputError, match=word):
        compare(pool, out=tmp_path / "r", workers=1, **{"seeds": [0], "held_out": 5, **arguments})
