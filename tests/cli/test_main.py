"""The command line: exit codes, one message per error, one JSON line for machines."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from harmonia.cli.main import run


def call(capsys, *arguments):
    code = run([str(a) for a in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_help_teaches(capsys):
    code, out, _ = call(capsys, "--help")
    assert code == 0
    assert all(
        word in out
        for word in (
            "select",
            "federate",
            "partition",
            "compare",
            "report",
            "diagnose",
            "recipes",
            "explain",
            "cite",
            "data",
        )
    )


def test_recipes_as_json(capsys):
    code, out, _ = call(capsys, "recipes", "select", "--json")
    rows = json.loads(out.splitlines()[-1])["recipes"]
    assert code == 0
    assert {"name", "stage", "axes", "cite"} <= rows[0].keys()
    assert set(rows[0]["axes"]) == {"features", "objective", "solver"}


def test_recipes_stand_under_the_question_of_their_stage(capsys):
    code, out, _ = call(capsys, "recipes")
    assert code == 0
    for question, recipe in (
        ("decide: One policy for many tasks, from logged trajectories?", "harmodt"),
        ("select: Which documents are worth training on?", "disf-unit"),
    ):
        assert recipe in out.partition(question)[2]


def test_select_report_cite_explain(capsys, pool_file, tmp_path):
    code, out, _ = call(
        capsys, "select", pool_file, "--budget", "10%", "--out", tmp_path / "r", "--json", "--workers", 1
    )
    record = json.loads(out.splitlines()[-1])
    assert code == 0
    assert record["picked"]["documents"] == 20
    code, out, _ = call(capsys, "report", tmp_path / "r", "--json")
    assert code == 0
    assert "<html" in (tmp_path / "r/report.html").read_text()
    code, out, _ = call(capsys, "cite", tmp_path / "r")
    assert code == 0
    assert "fan2025disf" in out
    code, out, _ = call(capsys, "explain", "disf-unit", "--json")
    assert json.loads(out)["axes"]["solver"]["fields"]["batch"]["value"] == 1024


def test_select_writes_the_page_too_when_asked(capsys, pool_file, tmp_path):
    arguments = ["select", pool_file, "--budget", "10%", "--out", tmp_path / "r", "--workers", 1, "--report"]
    code, out, _ = call(capsys, *arguments)
    assert code == 0
    assert str(tmp_path / "r/report.html") in out.replace("\n", "")
    assert "<html" in (tmp_path / "r/report.html").read_text()


def test_explain_tells_why_a_document_was_taken_or_left(capsys, pool_file, tmp_path):
    call(capsys, "select", pool_file, "--budget", "10%", "--out", tmp_path / "r", "--quiet", "--workers", 1)
    import polars as pl

    taken = pl.read_parquet(tmp_path / "r/result/picks.parquet")["id"].to_list()
    code, out, _ = call(capsys, "explain", tmp_path / "r", "--pick", taken[3], "--json")
    story = json.loads(out)
    assert (code, story["picked"], story["rank"]) == (0, True, 3)
    left = next(
        f"{s}-{i}"
        for i in range(200)
        for s in ("law", "code", "mail")
        if f"{s}-{i}" not in taken and i % 3 == 0 and s == "law"
    )
    code, out, _ = call(capsys, "explain", tmp_path / "r", "--pick", left, "--json")
    story = json.loads(out)
    assert (code, story["picked"]) == (0, False)
    assert story["gain"] is not None
    assert story["nearest_pick"]["id"] in taken
    code, _, err = call(capsys, "explain", tmp_path / "r", "--pick", "nobody")
    assert code == 2
    assert "nobody" in err


def test_suggest_budget(capsys, pool_file, tmp_path):
    code, out, _ = call(
        capsys, "select", pool_file, "--suggest-budget", "--out", tmp_path / "r", "--json", "--workers", 1
    )
    assert code == 0
    assert "suggested_budget" in json.loads(out.splitlines()[-1])


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["select"], "name the documents"),
        (["select", "nowhere", "--budget", "1"], "nowhere"),
        (["select", "x"], "--budget is missing"),
        (["selct"], "select"),
        (["select", "x", "--budget", "1", "--bogus"], "--bogus"),
        (["recipes", "selct"], "did you mean 'select'"),
        (["explain", "disf-unti"], "did you mean 'disf-unit'"),
        (["cite", "nothing-like-it"], "no recipe"),
        (["report", "nowhere"], "not the folder of a run"),
        (["select", "x", "--budget", "1", "--floor", "web"], "SOURCE=SHARE"),
        (["select", "x", "--budget", "1", "--resume"], "--out"),
        (["compare", "select", "x", "--seeds", "0"], "--seeds"),
        (["data", "get", "dmeo"], "demo"),
    ],
)
def test_bad_usage_is_exit_code_2_and_one_line(capsys, arguments, word):
    code, _, err = call(capsys, *arguments)
    assert code == 2
    assert word in err
    assert len(err.strip().splitlines()) == 1
    assert "Traceback" not in err


def test_an_unexpected_failure_is_exit_code_1_and_one_line(capsys, monkeypatch):
    monkeypatch.setattr("harmonia.stages.recipes", lambda stage: 1 / 0)
    monkeypatch.delenv("HARMONIA_DEBUG", raising=False)
    code, _, err = call(capsys, "recipes")
    assert code == 1
    assert "ZeroDivisionError" in err
    assert len(err.strip().splitlines()) == 1


def test_import_is_light():
    code = (
        "import sys, harmonia; print(sorted(m for m in ('torch', 'pydantic', 'pyarrow', 'numpy') if m in sys.modules))"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )


def test_selecting_without_models_imports_no_torch(pool_file, tmp_path):
    code = (
        "import sys, harmonia; harmonia.select(sys.argv[1], budget=5, out=sys.argv[2], workers=1); "
        "print('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(pool_file), str(tmp_path / "r")], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip().splitlines()[-1] == "False"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--budget", ""], "budget '' is not a budget"),
        (["--budget", "5", "--floor", "web=0.1", "--floor", "web=0.2"], "web has one already"),
        (["--budget", "5", "--set", "solver="], "solver: write the name of a part, or a mapping with its kind"),
        (
            ["--budget", "5", "--continue", "run", "--seed", "4"],
            "with --continue, --seed is taken from the earlier run",
        ),
        (["--budget", "5", "--continue", "run", "--id-column", "x"], "of --on-bad is taken from the earlier run"),
    ],
)
def test_options_that_would_be_lost_are_refused(capsys, pool_file, options, message):
    code, _, err = call(capsys, "select", pool_file, *options)
    assert code == 2
    assert message in err


def test_a_diagnosis_has_features_alone(capsys, pool_file):
    code, _, err = call(capsys, "diagnose", pool_file, "--set", "solver.batch=3")
    assert code == 2
    assert "a diagnosis has features alone" in err


def test_a_page_is_not_written_over_a_folder(capsys, tmp_path):
    code, _, err = call(capsys, "report", tmp_path, "--out", tmp_path)
    assert code == 2
    assert "is a folder; name the page" in err


def test_a_refused_place_is_bad_input(capsys, monkeypatch, tmp_path):
    def refuse(*_):
        raise PermissionError(13, "Permission denied", "shut/run.json")

    monkeypatch.setattr("harmonia.report.pages.page_of", refuse)
    code, _, err = call(capsys, "report", tmp_path)
    assert code == 2
    assert err.startswith("harmonia: shut/run.json: permission denied")
