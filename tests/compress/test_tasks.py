"""Tasks of lm-eval beside the score of a stage: what is asked, told and refused. The harness itself stands aside."""

import pytest

import harmonia
from harmonia.compress.engine import compress
from harmonia.core.errors import InputError
from harmonia.models import lm_eval


@pytest.fixture
def asked(monkeypatch):
    """What models were asked, and answers that tell them apart by their size."""
    calls = []

    def scores(model, tasks, limit=None, *, tokenizer=None, **_):
        calls.append((tuple(tasks), limit, tokenizer is not None))
        size = sum(weight.numel() for weight in model.parameters())
        return lm_eval.Scores({"quiz/acc": size / 1e6}, {}, {"quiz/acc": "higher"}, {"quiz": 3})

    monkeypatch.setattr(lm_eval, "scores", scores)
    monkeypatch.setattr(lm_eval, "check_tasks", list)
    return calls


def test_a_language_model_answers_before_and_after(causal, texts, tmp_path, asked):
    result = compress(
        causal,
        calibration=texts,
        ratio=[0.25, 0.5],
        tasks=["quiz"],
        limit=3,
        judged=64,
        out=tmp_path / "r",
        settings=["calibration.sequences=20", "calibration.length=16"],
        timed=False,
    )
    summary = result.summary
    assert asked == [(("quiz",), 3, True)] * 3
    for point in summary["points"]:
        assert point["tasks"]["quiz/acc"] == {"value": point["parameters"] / 1e6, "better": "higher"}
    page, card = result.report().read_text(), (result.path(0.5) / "README.md").read_text()
    assert "quiz/acc of lm-eval:" in page and "higher is better" in page and "| quiz/acc of lm-eval |" in card


def test_a_comparison_has_a_column_for_each_task(causal, texts, tmp_path, asked):
    record = harmonia.compare(
        "compress",
        str(causal),
        ["none-wifv", "bias-wifv"],
        calibration=texts,
        ratio=0.5,
        tasks=["quiz"],
        seeds=[0, 1],
        judged=64,
        settings=["calibration.sequences=20", "calibration.length=16"],
        out=tmp_path / "r",
    )
    assert "quiz/acc" in record["metrics"] and record["better"]["quiz/acc"] == "higher"


def test_an_encoder_is_not_asked(encoder, texts, tmp_path):
    with pytest.raises(InputError, match="--tasks are asked of language models, and .* is none; leave them out"):
        compress(encoder, calibration=texts, tasks=["quiz"], out=tmp_path / "r")
