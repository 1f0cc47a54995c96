import io

import numpy as np
from made_up_policy import compared, disagreement, in_order, together
from made_up_run import make_pool, make_run, picks_of
from made_up_training import clients_that_disagree, compared_trainings, dealt, messages, training
from rich.console import Console

from harmonia.core.compare import statistic
from harmonia.report import terminal
from harmonia.report.numbers import cosine
from harmonia.select.context import Context
from harmonia.select.diagnosis import measure


def shown(renderable, width=140):
    console = Console(width=width, record=True, file=io.StringIO(), force_terminal=False)
    console.print(renderable)
    return console.export_text()


def test_a_selection_shows_sources_findings_and_cost(tmp_path):
    pool, texts = make_pool(["law", "[bold]mail[/bold]\x1b[31m"])
    summary = make_run(tmp_path / "run", pool, texts, picks_of(np.arange(12)))
    text = shown(terminal.selection(summary))
    assert "law" in text and "[bold]mail[/bold]" in text and "\x1b[31m" not in text
    assert "10.0 % of the documents" in text and "14.0 s, peak memory 768 MiB" in text


def test_many_sources_are_cut_with_a_word(tmp_path):
    pool, texts = make_pool([f"s{i:02d}" for i in range(30)], 5)
    text = shown(terminal.selection(make_run(tmp_path / "run", pool, texts, picks_of(np.arange(10)))))
    assert "and 10 more sources" in text


def test_a_comparison_never_shows_a_difference_without_its_interval():
    base = np.array([2.0, 2.1, 2.2])
    values = {"random": base, "good": base - 0.5 + np.array([0.01, 0, -0.01])}
    record = {
        "metrics": ["bpb/mean", "bpb/law"],
        "baseline": "random",
        "recipes": {r: {m: vars(statistic(v, base)) for m in ("bpb/mean", "bpb/law")} for r, v in values.items()},
        "seconds": {"random": 1.0, "good": 2.0},
        "peak_memory_bytes": {"random": 2**20, "good": 2**21},
    }
    text = shown(terminal.comparison(record))
    row = next(line for line in text.splitlines() if "good" in line)
    assert "−0.5000 [−0.5248, −0.4752]" in row and "better" in row and "2.0 s" in row
    assert "bpb/law" not in text  # one table per headline metric


def test_a_comparison_says_which_way_is_better():
    base = np.array([0.5, 0.6])
    values = {"random": base, "good": base + np.array([0.3, 0.31])}
    record = {
        "metrics": ["accuracy", "rounds"],
        "better": {"accuracy": "higher"},
        "baseline": "random",
        "recipes": {r: {m: vars(statistic(v, base)) for m in ("accuracy", "rounds")} for r, v in values.items()},
    }
    text = shown(terminal.comparison(record))
    assert "accuracy (more is better)" in text and "less is better" not in text
    assert "better" in next(line for line in text.splitlines() if line.strip().startswith("good"))
    assert "rounds" not in text  # nobody says which way is better


def test_a_diagnosis_names_its_recipes():
    pool, texts = make_pool(["law", "mail"], 60)
    text = shown(terminal.diagnosis(measure(pool, Context(), lambda rows: [texts[i] for i in rows])))
    assert "sources lie apart" in text and "→ stratified, facility-location" in text and "effective rank" in text


def test_a_policy_shows_tasks_findings_and_cost():
    text = shown(terminal.policy(together(["reach", "[bold]push[/bold]\x1b[31m"], [8, 2], unknown=True)))
    row = next(line for line in text.splitlines() if "reach" in line)
    assert "80.0 % [49.0, 94.3] %" in row and "70.0 %" in row and "120 k" in row
    assert "[bold]push[/bold]" in text and "\x1b[31m" not in text
    assert "…" not in shown(terminal.policy(together(["handle-press-side", "push"], unknown=True)), 80)
    assert "1 of 2 tasks are solved" in text and "2 min 18 s, peak memory 768 MiB" in text


def test_a_stream_shows_what_was_learned_beside_what_was_kept():
    text = shown(terminal.policy(in_order(kept=0.3)), 80)
    row = next(line for line in text.splitlines() if line.strip().startswith("reach"))
    assert "30.0 % [10.8, 60.3] %" in row and "100.0 %" in row and "…" not in text
    assert "Forgetting: −52.5 points" in " ".join(text.split())


def test_a_policy_that_was_not_played_shows_its_error():
    text = shown(terminal.policy(together(success={}, world=None)))
    assert "0.01230" in text and "was not played" in text


def test_a_comparison_of_policies_fits_a_screen():
    record = compared({"finetune": 0.2, "compoformer-prune": 0.9, "mtl": 0.8}, streams={"finetune": 0.1})
    text = shown(terminal.comparison(record), 80)
    assert "success, mean over tasks (more is better)" in text and "over 40 (seed, goal) pairs" in text
    assert "[95 %] in points" in text and "better" in text and "peak memory" in text
    table = text[text.index("means over the seeds") :]
    mtl = next(line for line in table.splitlines() if line.strip().startswith("mtl"))
    assert mtl.split()[-3:] == ["–", "–", "–"] and "…" not in text


def test_a_comparison_of_policies_that_were_not_played_has_no_table_of_lesser_metrics():
    record = compared({"mtdt": 0.3, "harmodt": 0.9}, pairs={})
    record["metrics"] = ["validation_error", "parameters"]
    text = shown(terminal.comparison(record), 80)
    assert "error on held-out episodes (less is better)" in text and "means over the seeds" not in text


def test_a_diagnosis_of_tasks_names_the_most_opposed():
    record = disagreement()
    row = record["conflict"]["cosine"][0]
    lowest = min(range(1, 4), key=lambda j: row[j])
    text = shown(terminal.diagnosis(record))
    line = next(line for line in text.splitlines() if line.strip().startswith("reach"))
    assert record["conflict"]["tasks"][lowest] in line and cosine(row[lowest]) in line
    assert "→ mtdt, harmodt, pcgrad" in text and "83.3 % opposed" in text
    assert "group" not in shown(terminal.diagnosis(disagreement(("a", "b")))).splitlines()[1]


def test_a_training_shows_its_headline_first():
    lines = shown(terminal.federation(training()), 80).splitlines()
    rows = [line.split() for line in lines if "%" in line]
    assert rows[0] == ["of", "all", "test", "examples", "80.0", "%", "66.7", "%"]
    assert any("own models" in line and "91.5 %" in line for line in lines)
    assert "14.0 s (7.5 s of clients), peak memory 768 MiB" in " ".join(" ".join(lines).split())


def test_a_training_without_a_model_for_all_shows_own_models():
    text = shown(terminal.federation(training(private=True)), 80)
    assert "of all test examples" not in text and "91.5 %" in text
    assert "accuracy" in shown(terminal.federation(training(personal=False)), 80)


def test_a_plan_shows_what_is_sent_before_what_is_kept():
    record = {
        "recipe": "scaffold",
        "network": {"kind": "mlp"},
        "parameters": {"shared": 1000, "private": 0},
        "clients": 100,
        "active": 10,
        "messages": messages("scaffold"),
        "bytes": {"down": 8000, "up": 8000, "kept": 4000, "server": 4000},
        "round": {"down": 80_000, "up": 80_000},
        "backward": 1,
        "notes": ["something was resolved"],
    }
    text = shown(terminal.messages(record), 80)
    places = [text.index(words) for words in ("↓ sent", "↑ returned", "client keeps", "server keeps")]
    assert places == sorted(places) and "…" not in text
    assert "10 of 100 clients, 156 KiB per round" in text and "• something was resolved" in text


def test_clients_are_listed_with_what_they_have_most_of():
    text = shown(terminal.clients(dealt(classes=["ant", "[i]bee\x1b[31m", "cat", "dog"])), 100)
    assert "2 of 4" in text and "[i]bee" in text and "\x1b[31m" not in text
    assert "and 10 more clients" in shown(terminal.clients(dealt(30)))


def test_a_diagnosis_of_clients_names_its_recipes():
    record = clients_that_disagree()
    text = " ".join(shown(terminal.diagnosis(record), 200).split())
    assert f"mean cosine {cosine(record['conflict']['mean_cosine'])}" in text
    assert "→ fedgela, fedmr, fedmr-intra" in text and "by 10.0 % of the model's length" in text


def test_a_comparison_of_trainings_fits_a_screen_and_its_headings_differ():
    text = shown(terminal.comparison(compared_trainings({"fedavg": 0.6, "scaffold": 0.9, "fedlesam-d": 0.7})), 80)
    assert "accuracy of the last round (more is better)" in text and "…" not in text
    table = text[text.index("means over the seeds") :]
    assert "last 3" in table and "weighted" in table and "own" in table and "megabytes" in table
