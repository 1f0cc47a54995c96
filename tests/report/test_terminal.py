import io

import numpy as np
from made_up_run import make_pool, make_run, picks_of
from rich.console import Console

from harmonia.core.compare import statistic
from harmonia.report import terminal
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
