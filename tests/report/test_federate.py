"""What the page of a federated training says follows from its record, and a record with gaps has a page."""

import math
import re
from html import unescape

import pytest
from made_up_training import CLASSES, make_training_run, training

from harmonia.core.errors import RunError
from harmonia.report import federate


def said(summary):
    return " ".join(federate.findings(summary))


def visible(page):
    return " ".join(unescape(re.sub(r"<(style|script)[^>]*>.*?</\1>|<[^>]+>", " ", page, flags=re.DOTALL)).split())


def test_the_headline_is_the_last_round_never_the_best():
    summary = training()
    summary["history"][3]["accuracy"] = 0.99
    words = said(summary)
    assert "After 6 rounds the model is right on 80.0 % of the test examples (66.7 % on average" in words
    assert "99" not in words


def test_classes_that_are_never_right_are_named_before_best_and_worst():
    summary = training()
    assert "Never right on dog; mean over classes 80.0 %." in said(summary)
    summary["final"]["per_class"] = [0.5, 0.9, 0.25, math.nan]
    words = said(summary)
    assert "Best on class bee (90.0 %), worst on cat (25.0 %)" in words and "dog" not in words


def test_own_models_are_told_with_their_range():
    words = said(training())
    assert (
        "a client's own model is right on 91.5 % of its own test examples, of its own classes (90.0 % to 93.0 %)"
        in words
    )
    assert "own model" not in said(training(personal=False))


def test_a_head_that_stays_with_its_client_leaves_no_model_for_all():
    words = said(training(private=True))
    assert "there is no model for all" in words and "After" not in words and "91.5 %" in words


def test_fewer_averages_than_rounds_are_told():
    assert "averaged" not in said(training())
    assert "models were averaged 2 times in 6 rounds." in said(training(period=3))
    assert "234 KiB were sent, 39.1 KiB per round" in said(training())


def test_figures_of_the_run_stand_on_the_page(tmp_path):
    words = visible(federate.page(make_training_run(tmp_path, training(warnings=["mind the gap"]))))
    for part in ("80.0 %", "234 KiB", "7.5 s", "mind the gap", "768 MiB", "5 clients · 160 examples of animals"):
        assert part in words
    assert "c_i" in words and "kept by the server" in words  # the planner's table
    assert "from harmonia.federate import load" in words and "@inproceedings{karimireddy2020scaffold}" in words
    assert "training: sgd" not in words


def test_accuracy_is_drawn_against_rounds_bytes_and_seconds_and_averages_where_they_differ(tmp_path):
    plain = visible(federate.page(make_training_run(tmp_path / "plain", training())))
    assert all(f"Against {words}" in plain for words in ("rounds", "bytes sent, down and up", "client seconds"))
    assert "Against averages" not in plain
    assert "Against averages" in visible(federate.page(make_training_run(tmp_path / "skip", training(period=3))))


def test_the_table_of_classes_is_thinned_and_ends_with_the_last_round():
    table = federate._classes(training(rounds=150))
    rounds = [int(name) for name in table.columns]
    assert len(rounds) == federate.COLUMNS and rounds[0] == 1 and rounds[-1] == 150 and rounds == sorted(rounds)
    assert [name for name, _ in table.rows] == list(CLASSES)
    assert table.rows[-1][1][-1].words == "0" and table.rows[0][1][-1].words == "100"


def test_clients_are_told_with_what_they_have_and_how_often_they_took_part():
    summary = training()
    found = federate._clients(summary)
    assert [c["examples"] for c in found] == summary["population"]["sizes"]
    assert [c["rounds"] for c in found] == [sum(n in row["clients"] for row in summary["history"]) for n in range(5)]
    assert [c["lost"] for c in found] == [1, 0, 0, 0, 0] and found[-1]["accuracy"] is None


@pytest.mark.parametrize(
    "summary",
    [
        training(private=True),
        training(personal=False),
        training(private=True, personal=False),
        training(clients=2, rounds=1),
        training(clients=60, every=4),
        training(classes=[f"class {i}" for i in range(40)], clients=40),
    ],
)
def test_gaps_in_a_record_are_dashes(tmp_path, summary):
    page = federate.page(make_training_run(tmp_path, summary))
    assert not {"nan", "None"} & set(visible(page).split())
    assert not re.search(r'(d|x|x1|cx|style)="[^"]*nan', page)


def test_a_missing_result_is_said_in_one_line(tmp_path):
    with pytest.raises(RunError, match=r"summary\.json is missing"):
        federate.page(tmp_path)
