# ruff: noqa: E402
from dataclasses import replace
from functools import partial

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("tokenizers")

from harmonia.core.errors import InputError
from harmonia.select.judge.base import Exam
from harmonia.select.judge.lm import LanguageModel

LAW = [f"section {i}: the court held that clause {i % 7} of the act is void and the appeal fails. " for i in range(60)]
MAIL = [f"hi bob, shall we meet at {i % 9} for coffee and cake? see you soon, ann {i} " for i in range(60)]
TINY = LanguageModel(
    vocab_size=300,
    width=16,
    layers=1,
    heads=2,
    kv_heads=1,
    context=16,
    batch=4,
    steps=40,
    warmup=4,
    learning_rate=0.02,
    device="cpu",
)


@pytest.fixture
def exam(tmp_path):
    return Exam({"law": LAW[50:], "mail": MAIL[50:]}, LAW[:50] + MAIL[:50], seed=0, folder=tmp_path)


def test_training_on_a_source_helps_that_source(exam):
    law, mail, both = (
        TINY.judge(name, texts, exam)
        for name, texts in (("law", LAW[:50]), ("mail", MAIL[:50]), ("both", LAW[:50:2] + MAIL[:50:2]))
    )
    assert law["bpb/law"] < mail["bpb/law"] - 0.5 and mail["bpb/mail"] < law["bpb/mail"] - 0.5
    assert both["bpb/worst"] < min(law["bpb/worst"], mail["bpb/worst"])
    assert both["bpb/mean"] == pytest.approx((both["bpb/law"] + both["bpb/mail"]) / 2)
    assert both["bpb/worst"] == max(both["bpb/law"], both["bpb/mail"])


def test_every_selection_sees_the_same_number_of_tokens(exam):
    few, many = TINY.judge("few", LAW[:5], exam), TINY.judge("many", LAW[:50], exam)
    assert few["train_tokens"] == many["train_tokens"] == 40 * 4 * 16
    for found in (few, many):
        assert found["epochs"] == pytest.approx(found["train_tokens"] / found["selected_tokens"])
    assert few["selected_tokens"] < many["selected_tokens"] / 5


def test_a_selection_is_a_set_and_the_seed_decides(exam):
    first = TINY.judge("a", LAW[:20], exam)
    assert TINY.judge("b", LAW[:20][::-1], exam) == first
    assert TINY.judge("a", LAW[:20], replace(exam, seed=1)) != first


def test_one_tokenizer_serves_all_selections_and_seeds(exam):
    TINY.judge("a", LAW[:20], exam)
    (folder,) = exam.folder.glob("tokenizer-*")
    before = (folder / "tokenizer.json").stat().st_mtime_ns
    TINY.judge("b", MAIL[:20], replace(exam, seed=1, vocabulary=exam.vocabulary[::-1]))
    assert list(exam.folder.glob("tokenizer-*")) == [folder]
    assert (folder / "tokenizer.json").stat().st_mtime_ns == before


def test_an_interrupted_judgement_goes_on(exam, monkeypatch):
    from harmonia.models import train_lm

    expected = TINY.judge("a", LAW[:20], exam)
    take, calls = train_lm.Windows.take, []

    def fails(self, first, count):
        calls.append(first)
        if len(calls) == 30:
            raise KeyboardInterrupt
        return take(self, first, count)

    # a checkpoint every ten steps, so that a short training leaves one
    monkeypatch.setattr(train_lm, "Checkpoints", partial(train_lm.Checkpoints, every=10))
    monkeypatch.setattr(train_lm.Windows, "take", fails)
    with pytest.raises(KeyboardInterrupt):
        TINY.judge("a", LAW[:20], exam)
    assert [p.name for p in exam.folder.glob("*.safetensors")] == ["a-seed0.safetensors"]
    assert TINY.judge("a", LAW[:20], exam) == expected
    assert calls[30] == 20 * TINY.batch
    assert not list(exam.folder.glob("*.safetensors"))


def test_saved_model_loads_and_generates_in_transformers(exam):
    transformers = pytest.importorskip("transformers")
    TINY.model_copy(update={"save": True}).judge("my/recipe", LAW[:20], exam)
    folder = exam.folder / "models" / "my-recipe-seed0"
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder)
    prompt = tokenizer("section 3: the court", return_tensors="pt")
    written = model.generate(**prompt, max_new_tokens=6, do_sample=False)
    assert tokenizer.decode(written[0]).startswith("section 3: the court")
    assert written.shape[1] > prompt["input_ids"].shape[1]
    assert tokenizer.model_max_length == TINY.context


def test_bad_input_is_named(exam):
    with pytest.raises(InputError, match="empty: the selection holds no text"):
        TINY.judge("empty", ["", ""], exam)
    with pytest.raises(InputError, match="no held-out documents"):
        TINY.judge("a", LAW[:20], replace(exam, held_out={}))
