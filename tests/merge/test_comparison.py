import json

import numpy as np
import pytest
import torch

import harmonia
from harmonia.core.errors import InputError
from harmonia.merge.comparison import compare
from harmonia.merge.recipe import MergeRecipe
from harmonia.merge.recipes import BOOK
from harmonia.models.pretrained import load_model, load_tokenizer
from harmonia.models.windows import windows

SMALL = {"length": 32, "windows": 2, "seeds": [3, 4]}


@pytest.fixture
def asked(llamas):
    data = {name: str(path) for name, path in llamas.texts.items()}
    return {"experts": [llamas.law, llamas.code], "base": llamas.base, "data": data, **SMALL}


def test_perplexities_are_those_of_the_models_on_windows_of_their_seed(asked, llamas, tmp_path):
    recipes = ["linear", "dare-linear"]
    record = compare(recipes=recipes, out=tmp_path / "r", **asked)
    assert list(record["recipes"]) == ["linear", "dare-linear", "base", "expert law", "expert code"]
    assert record["metrics"] == ["perplexity/mean", "perplexity/law", "perplexity/code"]
    assert record["baseline"] == "linear" and record["windows"] == {"law": 2, "code": 2}
    texts = llamas.texts["law"].read_text().splitlines()
    texts = [json.loads(line)["text"] for line in texts]
    ids = windows(texts, load_tokenizer(str(llamas.base)), 32, 4, 0, "held out", named="law")
    models = {"base": llamas.base, "expert code": llamas.code}
    for place, seed in enumerate(asked["seeds"]):
        merged = harmonia.merge(
            asked["experts"], "dare-linear", base=llamas.base, seed=seed, out=tmp_path / f"{seed}"
        ).model
        for row, folder in {**models, "dare-linear": merged}.items():
            model, nats = load_model(str(folder), causal=True), []
            for own in ids[place::2]:
                logits = model(input_ids=torch.tensor([own])).logits[0, 7:-1].double()  # a quarter of a window is read
                nats += torch.nn.functional.cross_entropy(logits, torch.tensor(own[8:]), reduction="none").tolist()
            found = record["recipes"][row]["perplexity/law"]["values"][place]
            assert found == pytest.approx(np.exp(np.mean(nats)), rel=1e-4)
    cells = record["recipes"]["base"]
    for place in range(2):
        law, code = (cells[f"perplexity/{domain}"]["values"][place] for domain in ("law", "code"))
        assert cells["perplexity/mean"]["values"][place] == pytest.approx(np.sqrt(law * code))


def test_merged_models_are_not_kept_and_a_finished_table_is_read(asked, tmp_path):
    first = compare(recipes=["ties"], baseline="base", out=tmp_path / "r", **asked)
    assert first["baseline"] == "base" and not list((tmp_path / "r").rglob("*.safetensors"))
    assert compare(recipes=["ties"], baseline="base", out=tmp_path / "r", resume=True, **asked) == first
    other = {**asked, "data": {"law": asked["data"]["code"], "code": asked["data"]["law"]}}
    with pytest.raises(InputError, match="was started with text"):
        compare(recipes=["ties"], baseline="base", out=tmp_path / "r", resume=True, **other)


def test_an_interrupted_table_goes_on(asked, tmp_path, monkeypatch):
    import harmonia.merge.comparison as module

    whole = compare(recipes=["linear", "ties"], out=tmp_path / "w", **asked)
    merge, calls = module.merge, []

    def merge_once(*arguments, **options):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return merge(*arguments, **options)

    monkeypatch.setattr(module, "merge", merge_once)
    with pytest.raises(KeyboardInterrupt):
        compare(recipes=["linear", "ties"], out=tmp_path / "r", **asked)
    resumed = compare(recipes=["linear", "ties"], out=tmp_path / "r", resume=True, **asked)
    assert resumed["recipes"] == whole["recipes"] and len(calls) == 3


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"data": {}}, "name held-out text of at least one domain"),
        ({"data": {"law": ["court"]}}, "the text of law has only . tokens"),
        ({"data": {"law": ["the court shall hear the party " * 5]}, "seeds": range(9)}, "9 seeds want one each"),
        ({"recipes": ["linear", "linear"]}, "linear, linear"),
        ({"recipes": ["slerp", "fisher"]}, "law has no fisher.safetensors"),
        ({"recipes": ["ties"], "base": None}, "give the base"),
        ({"baseline": "expert mail"}, "baseline 'expert mail' is not among the recipes; did you mean 'expert law'"),
        ({"windows": 0}, "--windows 0"),
    ],
)
def test_what_cannot_be_compared_is_told(options, match, asked, tmp_path):
    with pytest.raises(InputError, match=match):
        compare(**{"recipes": ["linear"], "out": tmp_path / "r", **asked, **options})
    assert not (tmp_path / "r").exists()


def test_mixtures_stand_beside_dense_merges_and_are_judged_behind_what_they_choose_by(asked, llamas, tmp_path):
    prompts = {name: str(path) for name, path in llamas.texts.items()}
    recipes = ["linear", "mergeme-free", "ridge-router"]
    one = compare(recipes=recipes, prompts=prompts, out=tmp_path / "r", prompt=12, **asked)
    assert list(one["recipes"])[:3] == recipes and "behind the first 12" in one["judge"]
    assert not list((tmp_path / "r").rglob("*.safetensors"))
    changes = ["routing.shared=nothing", "routing.top_k=1", "weights=linear"]
    chosen = MergeRecipe.model_validate(
        BOOK.get("mergeme-free").with_settings(changes).model_dump() | {"name": "chosen"}
    )
    rows = compare(recipes=[chosen], out=tmp_path / "alone", prompt=12, **asked | {"windows": 1})["recipes"]
    for domain in ("law", "code"):  # of one window each, the mixture is one of its experts
        for place in range(2):
            found = rows["chosen"][f"perplexity/{domain}"]["values"][place]
            each = [rows[f"expert {name}"][f"perplexity/{domain}"]["values"][place] for name in ("law", "code")]
            assert any(found == pytest.approx(one, rel=1e-5) for one in each)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"recipes": ["ridge-router"]}, "give text of each expert's domain"),
        ({"prompt": 16}, "--prompt 16: 2 to 15 tokens of windows of 32"),
        ({"recipes": ["btx"], "prompts": {"law": ["a b c"]}}, "no prompts of code"),
    ],
)
def test_what_routers_need_is_said(asked, changes, message, tmp_path):
    with pytest.raises(InputError, match=message):
        compare(**{"recipes": ["linear"], "out": tmp_path / "r"} | asked | changes)


def test_dense_models_answer_tasks_and_mixtures_are_not_asked(asked, tmp_path, monkeypatch):
    from harmonia.models import lm_eval

    answers = lm_eval.Scores({"quiz/acc": 0.5}, {}, {"quiz/acc": "higher"}, {"quiz": 3})
    monkeypatch.setattr(lm_eval, "scores", lambda folder, tasks, limit: answers)
    monkeypatch.setattr(lm_eval, "check_tasks", list)
    record = compare(recipes=["linear"], tasks=["quiz"], limit=3, out=tmp_path / "r", **asked)
    assert record["recipes"]["base"]["quiz/acc"]["values"] == [0.5, 0.5] and record["better"]["quiz/acc"] == "higher"
    with pytest.raises(InputError, match="--tasks are asked of dense models, and recipe mergeme-free makes a mixture"):
        compare(recipes=["mergeme-free"], tasks=["quiz"], out=tmp_path / "none", **asked)
