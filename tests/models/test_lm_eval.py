"""Scores by lm-eval: what is read of its record, what is refused, and, where it is installed, its real answers."""

import json
import sys
from importlib.util import find_spec
from types import ModuleType, SimpleNamespace

import pytest
import torch
import yaml
from tests.merge.small import language_models

from harmonia.core.errors import InputError, MissingExtraError
from harmonia.models import lm_eval as judged

RECORD = {
    "results": {
        "quiz": {
            "alias": "quiz",
            "acc,none": 0.25,
            "acc_stderr,none": 0.1,
            "ppl,none": 9,
            "em,strict": 0.5,
            "sample_len": 4,
            "em_stderr,strict": "N/A",
            "f1,none": 0.3,
        },
        "both": {"alias": "both", "acc,none": 0.5},
    },
    "higher_is_better": {"quiz": {"acc": True, "ppl": False, "em": True, "f1": None}, "both": {"acc": True}},
    "n-samples": {"quiz": {"original": 40, "effective": 4}},
}


class Manager:
    """Stands for lm-eval's index of tasks."""

    def __init__(self, include_defaults):
        self.all_tasks = ["quiz", "lambada_openai"] if include_defaults else []


@pytest.fixture
def stand_in(monkeypatch):
    """An lm-eval that answers with a record, and what it was asked."""
    asked = []

    def evaluate(**options):
        asked.append(options)
        if isinstance(answer.record, Exception):
            raise answer.record
        return answer.record

    answer = SimpleNamespace(record=RECORD, asked=asked)
    made = {name: ModuleType(name) for name in ("lm_eval", "lm_eval.tasks", "lm_eval.models.huggingface")}
    made["lm_eval"].simple_evaluate = evaluate
    made["lm_eval.tasks"].TaskManager = Manager
    made["lm_eval.models.huggingface"].HFLM = lambda **options: SimpleNamespace(**options)
    made["lm_eval.models"] = ModuleType("lm_eval.models")
    if find_spec("accelerate") is None:
        made["accelerate"] = ModuleType("accelerate")
    for name, module in made.items():
        monkeypatch.setitem(sys.modules, name, module)
    return answer


class TinyForCausalLM(torch.nn.Module):
    """Named as a causal language model is."""


def test_the_record_is_read(stand_in):
    found = judged.scores(TinyForCausalLM(), ["quiz"], 4, tokenizer="t", shots=2, batch=3)
    assert found.values == {"quiz/acc": 0.25, "quiz/ppl": 9.0, "quiz/em,strict": 0.5, "quiz/f1": 0.3, "both/acc": 0.5}
    assert found.errors == {"quiz/acc": 0.1} and found.examples == {"quiz": 4}
    assert found.better == {"quiz/acc": "higher", "quiz/ppl": "lower", "quiz/em,strict": "higher", "both/acc": "higher"}
    [options] = stand_in.asked
    assert (options["limit"], options["num_fewshot"], options["tasks"]) == (4, 2, ["quiz"])
    assert options["model"].batch_size == 3 and options["model"].tokenizer == "t"


def test_what_cannot_be_asked_is_told(stand_in, tmp_path):
    model = TinyForCausalLM()
    with pytest.raises(InputError, match="no task 'quizz' in lm-eval; did you mean 'quiz'"):
        judged.scores(model, ["quizz"])
    with pytest.raises(InputError, match="no task 'zzzzzzzzz' in lm-eval; lm-eval ls tasks shows all"):
        judged.scores(model, ["zzzzzzzzz"])
    with pytest.raises(InputError, match="no tasks: name at least one of lm-eval's"):
        judged.scores(model, [])
    with pytest.raises(InputError, match="limit 0: at least 1 example"):
        judged.scores(model, ["quiz"], 0)
    with pytest.raises(InputError, match="a Linear predicts no text"):
        judged.scores(torch.nn.Linear(1, 1), ["quiz"])
    with pytest.raises(InputError, match=r"none.yaml: the task cannot be read: .*No such file"):
        judged.scores(model, [tmp_path / "none.yaml"])
    (tmp_path / "odd.yaml").write_text("doc_to_text: x")
    with pytest.raises(InputError, match=r"odd.yaml describes no task of lm-eval: it has no name"):
        judged.scores(model, [tmp_path / "odd.yaml"])
    (tmp_path / "code.yaml").write_text("task: !function utils.run")
    with pytest.raises(InputError, match=r"code.yaml: the task cannot be read: could not determine a constructor"):
        judged.scores(model, [tmp_path / "code.yaml"])
    stand_in.record = ConnectionError("cannot reach\nthe Hub")
    with pytest.raises(InputError, match=r"tasks quiz cannot be asked \(ConnectionError\): cannot reach the Hub"):
        judged.scores(model, ["quiz"])


def test_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "lm_eval", None)
    with pytest.raises(MissingExtraError, match=r"lm_eval is not installed; install it with: pip install 'harmonia\[e"):
        judged.check_tasks(["quiz"])


def test_the_answers_of_a_model_are_those_of_its_likelihoods(tmp_path):
    """A task of two answers each: the right one is what the model itself finds likelier, or what it does not."""
    pytest.importorskip("lm_eval")
    from harmonia.models.pretrained import load_model, load_tokenizer

    folder = language_models(tmp_path).law
    model, tokenizer = load_model(str(folder), causal=True), load_tokenizer(str(folder))
    questions = [f"the court shall hear party number {i} and" for i in range(6)]
    answers = [" the clerk", " self list"]

    def nats(question, answer):
        ids = torch.tensor([tokenizer(question)["input_ids"] + tokenizer(answer)["input_ids"]])
        length = len(tokenizer(answer)["input_ids"])
        laws = model(ids).logits[0].log_softmax(-1)
        return float(laws[-length - 1 : -1].gather(1, ids[0, -length:, None]).sum())

    best = [int(nats(question, answers[1]) > nats(question, answers[0])) for question in questions]
    rows = [
        {"q": q, "a": answers, "gold": gold if i < 4 else 1 - gold}
        for i, (q, gold) in enumerate(zip(questions, best, strict=True))
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    task = {
        "task": "who",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(tmp_path / "rows.jsonl")}},
        "output_type": "multiple_choice",
        "test_split": "test",
        "doc_to_text": "{{q}}",
        "doc_to_choice": "{{a}}",
        "doc_to_target": "gold",
        "target_delimiter": "",
        "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
    }
    (tmp_path / "who.yaml").write_text(yaml.safe_dump(task))
    found = judged.scores(folder, [tmp_path / "who.yaml"], batch=4)
    assert found.values["who/acc"] == pytest.approx(4 / 6) and found.examples == {"who": 6}
    assert found.better == {"who/acc": "higher"}
    assert judged.scores(folder, [tmp_path / "who.yaml"], 4).values["who/acc"] == 1
