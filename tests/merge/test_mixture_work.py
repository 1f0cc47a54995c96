import json

import numpy as np
import pytest
import torch
import transformers

import harmonia
from harmonia.core.errors import InputError
from harmonia.merge.prompts import Prompts
from harmonia.models.mixture.folder import load


@pytest.fixture
def texts(llamas):
    return {name: str(path) for name, path in llamas.texts.items()}


def test_a_mixture_is_made_and_told_of(llamas, texts, tmp_path):
    result = harmonia.merge(
        [llamas.law, llamas.code], "ridge-router", base=llamas.base, prompts=texts, out=tmp_path / "r"
    )
    found = result.summary["mixture"]
    assert found["stock"] and found["layout"] == "mixtral" and found["decides"] == "token-gate"
    shares = np.array(found["router"]["shares"])
    assert found["router"]["experts"] == found["router"]["domains"] == ["law", "code"]
    assert shares.sum(axis=1) == pytest.approx([1, 1]) and shares[0, 0] > shares[1, 0] and shares[1, 1] > shares[0, 1]
    stock = transformers.AutoModelForCausalLM.from_pretrained(result.model)
    held = sum(t.numel() for n, t in stock.state_dict().items() if "gate.weight" not in n and n != "lm_head.weight")
    assert result.summary["parameters"] == held
    expert = 3 * 16 * 24 * 2  # three matrices in two layers
    assert result.summary["mixture"]["active_parameters"] == held and held > 2 * expert
    one = harmonia.merge(
        [llamas.law, llamas.code], "mergeme-free", settings=["routing.top_k=1"], base=llamas.base, out=tmp_path / "one"
    )
    assert one.summary["parameters"] - one.summary["mixture"]["active_parameters"] > expert
    assert result.disagreement["experts"] == ["law", "code"]
    card = (result.model / "README.md").read_text()
    assert "AutoModelForCausalLM" in card and "ridge-router" in card and "law, weight 1" in card
    page = result.report().read_text()
    assert "Who works for what" in page and "Mixture of experts" in page


def test_a_mixture_that_stock_classes_cannot_hold_says_how_it_is_loaded(llamas, tmp_path):
    result = harmonia.merge([llamas.law, llamas.code], "mergeme-free", base=llamas.base, out=tmp_path / "r")
    assert not result.summary["mixture"]["stock"] and result.summary["mixture"]["router"] is None
    assert "harmonia.models.mixture.folder" in (result.model / "README.md").read_text()
    assert "harmonia.models.mixture.folder" in result.report().read_text()
    new = load(result.model).generate([[5, 6, 7], [8, 9]], max_new_tokens=4)
    assert [len(each) for each in new] == [4, 4]


def test_the_base_as_an_expert_is_no_task_vector(llamas, tmp_path):
    result = harmonia.merge(
        [llamas.base, llamas.law, llamas.code], "mergeme-free", base=llamas.base, out=tmp_path / "r"
    )
    assert result.disagreement["experts"] == ["law", "code"]
    assert len(result.summary["experts"]) == 3
    ids = torch.arange(6)[None] + 5
    assert torch.isfinite(load(result.model)(input_ids=ids).logits).all()


def test_an_estimate_is_what_is_written(llamas, texts, tmp_path):
    experts = [llamas.law, llamas.code]
    told = harmonia.merge.dry_run(experts, "btx", base=llamas.base, prompts=texts, out=tmp_path / "r")
    made = harmonia.merge(experts, "btx", settings=["routing.steps=2"], base=llamas.base, prompts=texts)
    assert told["parameters"] == made.summary["parameters"]
    assert told["active_parameters"] == made.summary["mixture"]["active_parameters"]
    written = sum(path.stat().st_size for path in made.model.glob("*.safetensors"))
    assert told["bytes"]["written"] == pytest.approx(written, rel=0.15) and told["files"] == 2
    assert not (tmp_path / "r").exists()


def test_short_prompts_count_and_windows_are_drawn_by_their_words(llamas, tmp_path):
    from harmonia.models.pretrained import load_tokenizer

    tokenizer = load_tokenizer(str(llamas.base))
    held = Prompts({"law": ["the court", "a clerk", "shall hear"], "code": ["def value"]}, length=64)
    windows = held.windows(["law", "code"], tokenizer, 0)
    assert [len(own) for own in windows.positive] == [3, 1] and windows.negative == [[], []]
    other = Prompts({"code": ["def value"], "law": ["shall hear", "the court", "a clerk"]}, length=64)
    assert windows.fingerprint() == other.windows(["law", "code"], tokenizer, 0).fingerprint()
    assert not windows.examples().negative


@pytest.mark.parametrize(
    ("recipe", "options", "message"),
    [
        ("mergeme-free", {"scalings": [0.5]}, "sweep: recipe mergeme-free makes a mixture"),
        ("mergeme-free", {"weights_of": {"embed": [1, 0]}}, "weights_of: recipe mergeme-free"),
        ("mergeme-free", {"unmatched": "reference"}, "unmatched=reference: recipe mergeme-free"),
        ("linear", {"settings": ["bridging=projector"]}, "take routing=sequence-linear or ppl"),
        ("btx", {}, "routing=token-linear is fitted to texts"),
        ("btx", {"prompts": {"law": ["a b c"]}}, "no prompts of code: give text of every expert, --prompts code=FILE"),
        ("btx", {"prompts": {"laws": ["a b c"]}}, "no expert is called so; did you mean 'law'"),
        ("btx", {"prompts": {"law": ["a b c"], "code": []}}, "the prompts of code has no text"),
        ("mergeme-free", {"settings": ["routing.top_k=3"]}, "routing.top_k=3 of 2 experts"),
        ("mergeme-free", {"base": None}, "base"),
    ],
)
def test_what_does_not_suit_is_said_before_a_folder_is_made(recipe, options, message, llamas, tmp_path):
    with pytest.raises(InputError, match=message) as caught:
        harmonia.merge([llamas.law, llamas.code], recipe, **{"base": llamas.base, "out": tmp_path / "r"} | options)
    assert "\n" not in str(caught.value) and not (tmp_path / "r").exists()


def test_the_run_tells_what_was_asked(llamas, texts, tmp_path):
    result = harmonia.merge(
        [llamas.law, llamas.code], "btx", settings=["routing.steps=2"], prompts=texts, base=llamas.base
    )
    request = json.loads((result.folder / "run.json").read_text())["request"]
    assert request["prompts"] and "davari2024breadcrumbs" not in request["references"]
    assert "sukhbaatar2024btx" in request["references"]
