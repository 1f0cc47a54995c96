import math
import re

import numpy as np
import pytest
from made_up_policy import compared
from made_up_training import compared_trainings

from harmonia.core.compare import statistic
from harmonia.report import compare


def record(values, metrics=("bpb/mean",), baseline="random", **extra):
    """``values``: recipe -> values over seeds, the same for every metric."""
    return {
        "metrics": list(metrics),
        "baseline": baseline,
        "recipes": {r: {m: vars(statistic(v, values[baseline])) for m in metrics} for r, v in values.items()},
        "seconds": {},
        "peak_memory_bytes": {},
        **extra,
    }


BASE = np.array([2.0, 2.1, 2.2, 2.05])
NOISE = np.array([0.01, -0.01, 0.02, -0.02])


def test_verdicts_follow_the_interval_and_the_direction():
    given = {"random": BASE, "good": BASE - 0.5 + NOISE, "bad": BASE + 0.5 + NOISE, "same": BASE + NOISE}
    found = {c.recipe: c for c in compare.cells(record(given), "bpb/mean")}
    assert [found[r].verdict for r in ("random", "good", "bad", "same")] == ["baseline", "better", "worse", "even"]
    assert found["good"].difference == pytest.approx(-0.5) and found["good"].high < 0
    flipped = record(given, better={"bpb": "higher"})
    assert {c.recipe: c.verdict for c in compare.cells(flipped, "bpb/mean")}["good"] == "worse"
    unknown = record(given, metrics=["epochs"])
    assert {c.recipe: c.verdict for c in compare.cells(unknown, "epochs")}["good"] == "lower"


def test_an_interval_that_touches_zero_is_no_winner():
    given = record({"random": BASE, "other": BASE - 0.1})
    given["recipes"]["other"]["bpb/mean"] |= {"difference": -0.1, "low": -0.2, "high": 0.0}
    assert compare.cells(given, "bpb/mean")[1].verdict == "even"


def test_rows_are_ordered_from_the_best_with_the_baseline_first():
    given = record({"random": BASE, "bad": BASE + 1, "good": BASE - 1})
    assert [c.recipe for c in compare.cells(given, "bpb/mean")] == ["random", "good", "bad"]
    more = record({"random": BASE, "low": BASE - 1, "high": BASE + 1}, ["accuracy"], better={"accuracy": "higher"})
    assert [c.recipe for c in compare.cells(more, "accuracy")] == ["random", "high", "low"]


@pytest.mark.parametrize("missing", [None, math.nan])
def test_one_seed_names_no_winner(missing):
    given = record({"random": [2.0], "good": [1.0]})
    for recipe in given["recipes"].values():
        recipe["bpb/mean"] |= {"std": missing, "low": missing, "high": missing}
    cell = compare.cells(given, "bpb/mean")[1]
    assert cell.verdict == "unknown" and "no interval" in cell.words
    said = " ".join(compare.findings(given))
    assert "nothing is said about which recipe is better" in said and "Better than" not in said
    page = compare.page(given)
    assert ">better<" not in page and "no interval" in page


def test_every_named_winner_stands_with_its_interval():
    given = record({"random": BASE, "good": BASE - 0.5 + NOISE, "same": BASE + NOISE})
    said = compare.findings(given)
    cell = compare.cells(given, "bpb/mean")[1]
    assert cell.recipe == "good" and cell.words in said[0]
    assert said[0].startswith("Better than random on bits per byte, mean over sources: good")
    assert "[" in cell.words and "same" in said[1] and "holds zero" in said[1]


def test_intervals_share_one_scale_and_mark_zero():
    given = record({"random": BASE, "good": BASE - 0.5 + NOISE, "bad": BASE + 0.5 + NOISE})
    table = compare._table(given, "bpb/mean")
    drawn = {c.recipe: str(svg) for c, svg in table["rows"]}
    zero = {svg.split('class="grid zero" x1="')[1].split('"')[0] for svg in drawn.values()}
    assert len(zero) == 1

    def centre(svg):
        return float(svg.split('cx="')[1].split('"')[0])

    assert centre(drawn["good"]) < float(zero.pop()) < centre(drawn["bad"])
    assert "interval" not in drawn["random"]


def test_the_heat_table_tints_by_difference_and_emphasises_what_is_sure():
    given = record({"random": BASE, "good": BASE - 0.5 + NOISE, "same": BASE + NOISE}, ["bpb/law", "bpb/mean"])
    heat = compare._heat(given, "bpb", ["bpb/law"])["table"]
    assert heat.columns == ["random", "good", "same"] and heat.rows[0][0] == "law"
    random, good, same = heat.rows[0][1]
    assert random.depth == 0 and good.depth == 60 and good.strong and not same.strong
    assert good.tone == "good"


def test_only_the_baseline_is_a_comparison_of_nothing():
    assert compare.findings(record({"random": BASE})) == ["Only the baseline random was measured."]
    assert "Only the baseline" in compare.page(record({"random": BASE}))


STREAMS = {"finetune": 0.1, "packnet": 1.0}


def test_shares_are_told_in_percent_and_their_differences_in_points():
    given = compared({"finetune": 0.2, "packnet": 0.9, "mtl": 0.8}, streams=STREAMS)
    cell = next(c for c in compare.cells(given, "success/mean") if c.recipe == "packnet")
    assert cell.shown == f"{100 * cell.mean:.1f} %" and cell.words.endswith("] points")
    assert cell.words.startswith(f"+{100 * cell.difference:.1f} [")
    assert compare.cells(given, "return/mean")[1].unit is compare.PLAIN


def test_what_has_no_value_is_a_dash_and_comes_last():
    given = compared({"finetune": 0.2, "packnet": 0.9, "mtl": 0.8}, streams=STREAMS)
    *_, last = compare.cells(given, "forgetting")
    assert (last.recipe, last.verdict, last.shown, last.words, last.said) == ("mtl", "unmeasured", "–", "–", "–")
    first = compared({"mtl": 0.8, "finetune": 0.2, "packnet": 0.9}, streams=STREAMS)
    assert {c.verdict for c in compare.cells(first, "forgetting")} == {"baseline", "unmeasured"}
    for record_of in (given, first):
        page = compare.page(record_of)
        assert not re.search(r">\s*(nan|None)\b", page) and "Success after each task" in page


def test_intervals_over_pairs_have_a_verdict_of_their_own():
    given = compared({"mtdt": 0.3, "harmodt": 0.9, "random masks": 0.3}, seeds=2)
    paired = {p.cell.recipe: p for p in compare.pairs(given)}
    assert next(iter(paired)) == "mtdt" and paired["harmodt"].cell.verdict == "better"
    assert paired["harmodt"].cell.n == 20 and paired["harmodt"].low < paired["harmodt"].cell.mean
    assert compare.pairs({**given, "pairs": {}}) == []


def test_pairs_are_told_where_they_say_other_than_seeds():
    given = compared({"mtdt": 0.3, "harmodt": 0.9}, seeds=1)
    said = compare.findings(given)
    assert "nothing is said about which recipe is better" in said[0]
    assert said[1].startswith("Better than mtdt over the 10 (seed, goal) pairs: harmodt +")
    many = compare.findings(compared({"mtdt": 0.2, "harmodt": 0.9}, seeds=6))
    assert "The intervals over the 60 (seed, goal) pairs say the same." in many


def test_tasks_that_nobody_solves_and_who_forgets_are_named():
    given = compared({"finetune": 0.5, "packnet": 0.6}, streams=STREAMS)
    for of in given["recipes"].values():
        of["success/push"]["mean"] = 0.0
    said = " ".join(compare.findings(given))
    assert "No recipe solves push" in said
    assert "Forgotten nothing at all: packnet." in said and "Forgotten most: finetune, 90.0 %" in said


def test_metrics_of_tasks_are_named_after_tasks():
    page = compare.page(compared({"mtdt": 0.3, "harmodt": 0.9}))
    assert "Success, mean over tasks" in page and "on each task" in page and "on each source" not in page
    assert page.index("Success on each task") < page.index("Return, mean over tasks")
    assert "Size of the policy" in page and "Success after each task" not in page


def test_policies_that_were_not_played_are_compared_by_their_error():
    given = compared({"mtdt": 0.3, "harmodt": 0.9}, pairs={})
    given["metrics"] = ["validation_error", "parameters"]
    given["recipes"] = {r: {m: of[m] for m in given["metrics"]} for r, of in given["recipes"].items()}
    page = compare.page(given)
    assert "Error on held-out episodes" in page and "goal) pairs" not in page


TRAININGS = {"fedavg": 0.6, "scaffold": 0.9, "fedper": 0.9, "fedskip": 0.5}


def trainings(**extra):
    return compared_trainings(TRAININGS, private=["fedper"], periods={"fedskip": 3}, **extra)


def test_accuracy_of_the_last_round_is_the_headline_and_told_in_percent():
    given = trainings()
    assert compare.headline(given["metrics"])[0] == "accuracy/last" and compare.held(given) == "client"
    assert compare.per_source(given["metrics"]) == {}
    cell = next(c for c in compare.cells(given, "accuracy/last") if c.recipe == "scaffold")
    assert cell.shown == f"{100 * cell.mean:.1f} %" and cell.words.endswith("] points") and cell.verdict == "better"
    assert compare.findings(given)[0].startswith("Better than fedavg on accuracy of the last round: scaffold +")
    assert (
        compare.spelled("personal_accuracy/mean", "client") == "accuracy of each client's own model, mean over clients"
    )


def test_a_recipe_without_a_model_for_all_has_a_dash_and_comes_last():
    *_, last = compare.cells(trainings(), "accuracy/last")
    assert (last.recipe, last.verdict, last.shown) == ("fedper", "unmeasured", "–")


def test_trainings_are_compared_by_what_they_spent():
    page = compare.page(trainings())
    assert page.count('class="around c') == 4 * 3  # rounds, averages, bytes, seconds; a head per client has no curve
    for words in ("What was spent", "What each recipe sends and keeps", "Who has which examples", "Against averages"):
        assert words in page
    assert "on each client" not in page and "Size of the policy" not in page
    assert page.index("Accuracy of the last round") < page.index("Accuracy against what was spent")


def test_a_spread_that_is_rounding_alone_is_not_told():
    facts = compare._facts(trainings(), ["megabytes", "client_seconds"])
    mean, words, spread = facts["rows"][0]["values"][0]
    assert (words, spread) == ("0.3000", "") and mean == pytest.approx(0.3)
    assert facts["rows"][0]["values"][1][1] == "12.0 s"


def test_other_comparisons_have_no_curves():
    assert compare._spent(compared({"mtdt": 0.3, "harmodt": 0.9})) is None
