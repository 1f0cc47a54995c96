"""What the page of a compression says follows from its record, and a record with gaps has a page."""

import copy
import re
from html import unescape

import pytest

from harmonia.core.errors import RunError
from harmonia.core.files import write_json
from harmonia.report import compress
from harmonia.report.compare import page as compared

LAYER = {"name": "model.layers.0.mlp.down_proj", "layer": 0, "kind": "neurons", "units": 100, "kept": 60}
ERRORS = {"E_none": 80.0, "E_bias": 40.0, "E_ls": 12.0, "E_affine": 10.0, "R2": 0.75, "error": 11.0, "ridge": 0.03}
OTHER = {**LAYER, "name": "model.layers.1.mlp.down_proj", "layer": 1, "kept": 50, **ERRORS, "R2": 0.25}


def point(share, score, speed=1.5):
    seconds = {batch: {"dense": 0.003 * speed, "pruned": 0.003} for batch in ("1", "8")}
    return {
        "ratio": share,
        "folder": f"model-{share}",
        "stock": False,
        "parameters": round(1e6 * (1 - share)),
        "macs": 8e5 * (1 - share),
        "score": score,
        "seconds_per_token": seconds,
        "layers": [{**LAYER, **ERRORS}, OTHER],
        "blocks": None,
    }


def summary(**changes):
    record = {
        "stage": "compress",
        "recipe": "liar-wifv",
        "axes": {"structure": "both", "criterion": "wifv", "allocation": "uniform", "reconstruction": "liar"},
        "model": "folder/<tiny>",
        "architecture": "LlamaForCausalLM",
        "task": "causal",
        "seed": 0,
        "calibration": {"sequences": 40, "tokens": 4000, "length": 128, "held": 0.15, "target": "dense-input"},
        "judged": {"sequences": 10, "tokens": 1000},
        "score": {"name": "perplexity", "better": "lower"},
        "length": 128,
        "dense": {"parameters": 10**6, "macs": 8e5, "score": 22.69},
        "points": [point(0.2, 24.57), point(0.4, 27.66)],
        "influence": None,
        "warnings": ["mind the gap"],
        "seconds": {"calibrate": 3.0, "repair": 1.0},
        "peak_memory_bytes": 2**20,
        "cite": ["@misc{x}"],
    }
    return {**record, **changes}


def page(folder, record):
    write_json(folder / "result" / "summary.json", record)
    return compress.page(folder)


def visible(text):
    return " ".join(unescape(re.sub(r"<(style|script)[^>]*>.*?</\1>|<[^>]+>", " ", text, flags=re.DOTALL)).split())


def test_what_is_gone_and_what_it_costs():
    said = compress.findings(summary())
    assert said[0] == (
        "At 0.2, 20.0 % of the parameters and 20.0 % of the multiplications are gone; perplexity 24.57, 22.69 before."
    )
    assert (
        "give back 25.0 % (model.layers.1.mlp.down_proj) to 75.0 % (model.layers.0.mlp.down_proj), at 0.4." in said[2]
    )
    assert "Measured speed at 0.4: × 1.50 at batch 1, × 1.50 at batch 8; its multiplications promise × 1.67." in said
    assert "What was made at 0.2, 0.4 needs harmonia.models.pruned.load" in said[-1]


def test_an_encoder_is_told_by_its_embeddings():
    one = summary(score={"name": "cosine", "better": "higher"}, points=[point(0.5, 0.91)])
    assert compress.findings(one)[0].endswith("embeddings have a cosine of 0.91 to those of the dense model.")
    one["points"][0]["stock"] = True
    assert compress.findings(one)[-1] == "Plain transformers loads every model."


def test_a_page_shows_every_figure(tmp_path):
    words = visible(page(tmp_path, summary()))
    for part in ("24.57", "27.66", "22.69", "mind the gap", "1.00 MiB", "4,000 tokens of calibration", "× 1.50"):
        assert part in words, part
    assert "Perplexity against what is left" in words and "Against milliseconds per token at batch 8" in words
    assert "60 of 100" in words and "50.0 % 15.0 % 12.5 %" in words and "0.03" in words
    assert "<tiny>" in words


def test_names_are_escaped(tmp_path):
    assert "<tiny>" not in page(tmp_path, summary())


def test_a_record_with_gaps_has_a_page(tmp_path):
    record = summary(score={"name": None, "better": None}, calibration=None, judged=None)
    record["dense"]["score"] = None
    for each in record["points"]:
        each.update(score=None, seconds_per_token={})
        each["layers"] = [dict.fromkeys(ERRORS) | LAYER for _ in each["layers"]]
    words = visible(page(tmp_path, record))
    assert "perplexity" not in words.lower() and "Measured speed" not in words
    whole = copy.deepcopy(record)
    for each in whole["points"]:
        each.update(layers=[], blocks=[0, 2])
    words = visible(page(tmp_path, {**whole, "influence": [0.5, 0.01, 0.3]}))
    assert "How much each layer turns its input" in words and "At 0.2000 stay: 0, 2." in words
    with pytest.raises(RunError, match=r"summary\.json is missing"):
        compress.page(tmp_path / "nowhere")


def test_a_comparison_draws_the_curves_of_several_ratios():
    statistic = {"mean": 25.0, "std": 1.0, "n": 2, "difference": 0.0, "low": 0.0, "high": 0.0, "values": [24.0, 26.0]}
    curve = [{"ratio": share, "score": 20 + share} for share in (0.2, 0.4)]
    record = {
        "stage": "compress",
        "metrics": ["perplexity/mean", "perplexity/0.2", "perplexity/0.4", "parameters"],
        "baseline": "bias-wifv",
        "better": {"perplexity": "lower"},
        "recipes": {
            name: dict.fromkeys(("perplexity/mean", "perplexity/0.2", "perplexity/0.4", "parameters"), statistic)
            for name in ("bias-wifv", "liar-wifv")
        },
        "ratios": [0.2, 0.4],
        "dense": {"score": 19.5},
        "shrinking": {"bias-wifv": [curve, curve], "liar-wifv": [curve, curve]},
    }
    words = visible(compared(record))
    assert "What is left at each ratio" in words and "the dense model has 19.5" in words
    assert compress.shrinking({**record, "ratios": [0.2]}) is None and compress.shrinking({}) is None
