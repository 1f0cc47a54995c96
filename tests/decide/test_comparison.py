"""Comparisons: paired, resumable, and honest about what a recipe cannot be asked."""

from __future__ import annotations

import json
import math

import numpy as np
import polars
import pytest

from harmonia.core.errors import InputError, RunError
from harmonia.decide import comparison
from harmonia.decide.comparison import compare

ORDER = ["north", "east", "reach"]


@pytest.fixture(scope="module")
def table(three, tiny, tmp_path_factory):
    recipes = [tiny("mtdt"), tiny("prompt-dt", "training.normalise=pooled"), tiny("g-harmodt")]
    out = tmp_path_factory.mktemp("table") / "r"
    return compare(three, recipes, seeds=[0, 1], goals=2, out=out, baseline="prompt-dt"), out


def test_every_recipe_has_every_metric_and_what_was_not_asked_is_null(table):
    record, _ = table
    assert record["metrics"][0] == "success/mean"
    assert {f"success/{task}" for task in ORDER} < set(record["metrics"])
    for metrics in record["recipes"].values():
        assert list(metrics) == record["metrics"]
    unknown = {name: metrics["success_unknown"] for name, metrics in record["recipes"].items()}
    assert unknown["mtdt"]["mean"] is None and unknown["mtdt"]["values"] == [None, None]
    assert unknown["g-harmodt"]["mean"] is not None and unknown["g-harmodt"]["difference"] is None
    assert {metric.partition("/")[0] for metric in record["metrics"]} - {"parameters"} <= record["better"].keys()


def test_the_record_is_json_without_nan(table):
    text = (table[1] / "result" / "comparison.json").read_text()
    assert json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is not JSON")) == table[0]


def test_means_and_differences_are_those_of_the_cells(table):
    record, out = table
    success = {}
    for name in ("mtdt", "prompt-dt"):
        success[name] = [
            polars.read_parquet(out / "runs" / f"{name}-{seed}" / "result" / "outcomes.parquet")["success"].mean()
            for seed in (0, 1)
        ]
        assert record["recipes"][name]["success/mean"]["values"] == pytest.approx(success[name])
    difference = np.subtract(success["mtdt"], success["prompt-dt"])
    assert record["recipes"]["mtdt"]["success/mean"]["difference"] == pytest.approx(difference.mean())
    assert record["baseline"] == "prompt-dt"


def test_intervals_over_seed_and_goal_pairs_stand_beside(table):
    record, _ = table
    for name, pairs in record["pairs"].items():
        assert pairs["pairs"] == 4  # 2 seeds x 2 goals
        assert pairs["low"] <= pairs["mean"] <= pairs["high"]
        assert pairs["mean"] == pytest.approx(record["recipes"][name]["success/mean"]["mean"])
        assert pairs["difference"] == pytest.approx(record["recipes"][name]["success/mean"]["difference"])
        assert pairs["difference_low"] <= pairs["difference"] <= pairs["difference_high"]
    mine = record["pairs"]["prompt-dt"]
    assert (mine["difference_low"], mine["difference"], mine["difference_high"]) == (0, 0, 0)


def test_pairs_join_the_same_seed_and_goal(tmp_path):
    """Two recipes that agree on every (seed, goal) differ by exactly nothing, however the rows are ordered."""
    random = np.random.default_rng(0)
    cells = {}
    for seed in (0, 1):
        rows = [
            {
                "after": "all",
                "step": None,
                "task": t,
                "mode": "given",
                "goal": g,
                "success": bool(random.random() < 0.5),
            }
            for t in "ab"
            for g in (40, 41, 42)
        ]
        for name, order in (("one", rows), ("two", rows[::-1])):
            folder = tmp_path / f"{name}-{seed}"
            (folder / "result").mkdir(parents=True)
            schema = {"step": polars.Int64}
            polars.DataFrame(order, schema_overrides=schema).write_parquet(folder / "result" / "outcomes.parquet")
            cells[name, seed] = comparison._Cell("", None, folder, seed, {})
    found = comparison._pairs(cells, ["one", "two"], [0, 1], "one")["two"]
    assert (found["difference_low"], found["difference"], found["difference_high"]) == (0, 0, 0)
    assert found["pairs"] == 6


def test_a_stream_with_references(three, tiny, tmp_path):
    recipes = [tiny(name) for name in ("finetune", "packnet", "single", "mtl")]
    record = compare(three, recipes, stream="north,east,north", seeds=[0], goals=2, curve=2, out=tmp_path / "r")
    assert record["in_sequence"] and record["tasks"] == ["north", "east", "north"]
    metrics = {name: {k: of["mean"] for k, of in r.items()} for name, r in record["recipes"].items()}
    assert {"success/north", "success/east", "success/north@2"} <= metrics["mtl"].keys()
    assert metrics["mtl"]["forgetting"] is None and metrics["mtl"]["forward_transfer"] is None
    assert metrics["packnet"]["forgetting"] == metrics["single"]["forgetting"] == 0
    assert metrics["single"]["forward_transfer"] == 0  # against itself
    assert metrics["single"]["parameters"] > 2 * metrics["finetune"]["parameters"]
    assert record["matrices"].keys() == {"finetune", "packnet", "single"}
    assert np.shape(record["matrices"]["finetune"]["matrix"]) == (4, 3)
    areas = {
        name: json.loads((tmp_path / "r/runs" / f"{name}-0" / "result/summary.json").read_text())["stream"]
        for name in ("packnet", "single")
    }
    gains = [
        (areas["packnet"]["area_under_curve"][task] - alone) / (1 - alone)
        for task, alone in areas["single"]["area_under_curve"].items()
        if alone < 1
    ]
    assert metrics["packnet"]["forward_transfer"] == pytest.approx(np.mean(gains))


def test_recipes_that_validate_on_nothing_have_no_error(three, tiny, tmp_path):
    recipes = [tiny("mtdt"), tiny("dt", "training.validation=0")]
    record = compare(three, recipes, tasks="north,east", seeds=[0], goals=1, out=tmp_path / "r")
    errors = {name: of["validation_error"]["mean"] for name, of in record["recipes"].items()}
    assert errors["dt"] is None and errors["mtdt"] > 0


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_cells_that_are_finished_are_not_done_again(three, tiny, tmp_path, monkeypatch, workers):
    recipes = [tiny("mtdt"), tiny("mt-bc")]
    settings = {"tasks": ["north", "east"], "seeds": [0, 1], "goals": 1}
    whole = compare(three, recipes, out=tmp_path / "whole", **settings)
    done = []
    decide = comparison.decide

    def third_fails(*arguments, **more):
        if len(done) == 2:
            raise RunError("the machine went away")
        done.append(more["out"])
        return decide(*arguments, **more)

    with monkeypatch.context() as patch, pytest.raises(RunError, match="went away"):
        patch.setattr(comparison, "decide", third_fails)
        compare(three, recipes, out=tmp_path / "r", **settings)
    times = {path: (path / "run.json").stat().st_mtime_ns for path in done}
    record = compare(three, recipes, out=tmp_path / "r", resume=True, workers=workers, **settings)
    assert {path: (path / "run.json").stat().st_mtime_ns for path in done} == times
    for name, metrics in record["recipes"].items():
        assert metrics == whole["recipes"][name]
    assert record["pairs"] == whole["pairs"]
    again = compare(three, recipes, out=tmp_path / "r", resume=True, **settings)
    assert again == record


def test_nan_of_one_seed_is_null_in_the_record(three):
    summaries = {
        ("a", 0): {
            "success": {"given": {"mean": 0.5, "tasks": {"x": {"rate": 0.5, "return": 1.0}}}},
            "validation": {"x": 0.25},
            "stream": None,
            "parameters": {"x": 3},
            "seconds": {"training": 1.0, "judging": 0.5},
            "peak_memory_bytes": 7,
        }
    }
    summaries["b", 0] = {**summaries["a", 0], "validation": None}
    summaries["b", 0]["success"] = {**summaries["a", 0]["success"], "unseen": {"mean": 1.0, "tasks": {}}}
    a, b = (comparison._cell(summaries, name, 0) for name in "ab")
    assert a.metrics.keys() == b.metrics.keys()
    assert math.isnan(a.metrics["success_unseen"]) and math.isnan(b.metrics["validation_error"])
    assert (a.seconds, a.peak_memory_bytes) == (1.5, 7)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"seeds": []}, "at least one recipe and one seed"),
        ({"seeds": [1, 1]}, "a seed is named twice in 1, 1"),
        ({"baseline": "mtd"}, "baseline 'mtd' is not among the recipes; did you mean 'mtdt'"),
        ({"names": ["mtdt", "mtdt"]}, "a recipe is named twice"),
        ({"names": ["mtdt", "finetune"]}, "learns one task after another: say in which order with --stream"),
        ({"names": ["mtdt"], "unseen": "reach"}, "conditioning=task-id has nothing for a task that was not learned"),
        ({"names": ["mtdt", "famo"], "tasks": "north"}, "gradient=famo .* there is only one"),
        ({"tasks": "nroth"}, "did you mean 'north'"),
        ({"goals": 99}, "--goals 99"),
        ({"settings": ["backbone.context=50"]}, "longest episode has 12 steps, the context 50"),
    ],
)
def test_what_cannot_be_compared_is_refused_and_leaves_no_folder(three, tiny, tmp_path, settings, said):
    asked = {"seeds": [0], "goals": 1, **settings}
    recipes = [tiny(name, *asked.pop("settings", ())) for name in asked.pop("names", ["mtdt", "mt-bc"])]
    with pytest.raises(InputError, match=said):
        compare(three, recipes, out=tmp_path / "r", **asked)
    assert not (tmp_path / "r").exists()
