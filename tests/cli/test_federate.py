"""``harmonia federate`` and what goes with it: for people and for machines."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from harmonia.cli.main import run
from harmonia.core.files import read_json
from harmonia.core.progress import set_quiet
from harmonia.federate import load, partition

pytest.importorskip("torch")

SHAPE = ["--clients", 4, "--partition", "pcdd:3", "--rounds", 2, "--model", "mlp:8"]
RUN = [*SHAPE, "--engine", "loop", "--batch", 64]


@pytest.fixture(autouse=True)
def heard():
    """``--quiet`` silences the process; other tests want to hear."""
    yield
    set_quiet(False)


def call(capsys, *arguments):
    code = run([str(a) for a in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def record(capsys, *arguments):
    code, out, err = call(capsys, *arguments, "--json", "--quiet")
    assert code == 0, err
    assert len(out.splitlines()) == 1
    return json.loads(out, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Five classes around corners, as vectors in an archive."""
    random = np.random.default_rng(0)
    labels = np.arange(200) % 5
    place = tmp_path_factory.mktemp("cli") / "blobs.npz"
    np.savez(place, x=(3 * np.eye(5)[labels] + random.normal(size=(200, 5))).astype(np.float32), y=labels)
    return place


@pytest.fixture(scope="module")
def finished(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli") / "run"
    assert run(["federate", str(data), "--recipe", "scaffold", "--out", str(folder), "--quiet", *map(str, RUN)]) == 0
    return folder


def test_one_json_line_says_what_came_out_and_where(capsys, data, tmp_path):
    found = record(capsys, "federate", data, "--recipe", "fedgela", *RUN, "--out", tmp_path / "r")
    assert found["model"] == str(tmp_path / "r" / "result" / "model")
    assert found["recipe"] == "fedgela" and found["rounds"] == 2 and 0 <= found["accuracy"] <= 1
    assert len(found["personal"]["clients"]) == 4
    assert load(found["run"]).predict(np.zeros((3, 5), np.float32)).shape == (3,)


def test_the_table_has_the_headline_first_and_says_where_the_model_is(capsys, data, tmp_path):
    code, out, _ = call(capsys, "federate", data, *RUN, "--out", tmp_path / "r", "--report")
    rows = [line for line in out.splitlines() if "%" in line]
    assert code == 0 and rows[0].strip().startswith("of all test examples")
    assert "model: " in out and "report: " in out
    assert "<html" in (tmp_path / "r" / "report.html").read_text()


def test_short_names_are_settings_and_what_is_set_by_name_comes_last(capsys, data, tmp_path):
    short = ["--local-epochs", 2, "--learning-rate", 0.5]
    first = record(capsys, "federate", data, *RUN, *short, "--out", tmp_path / "a")
    long = ["--set", "training.epochs=2", "training.learning_rate=0.5", "training.batch=64"]
    again = record(capsys, "federate", data, *SHAPE, "--engine", "loop", *long, "--out", tmp_path / "b")
    assert first["accuracy"] == again["accuracy"] and first["personal"] == again["personal"]
    recipes = [(tmp_path / name / "recipe.yaml").read_text() for name in "ab"]
    assert recipes[0] == recipes[1]
    record(capsys, "federate", data, *RUN, *short, "--set", "training.epochs=1", "--out", tmp_path / "c")
    assert "epochs: 1" in (tmp_path / "c" / "recipe.yaml").read_text()


def test_parts_are_mixed_in_one_line(capsys, data, tmp_path):
    mixed = ["--set", "loss=mr-intra", "perturb=lesam", "head=gela", "schedule=skip:2"]
    record(capsys, "federate", data, *RUN, *mixed, "--out", tmp_path / "r")
    summary = read_json(tmp_path / "r" / "result" / "summary.json")
    assert {axis: summary["axes"][axis] for axis in ("loss", "perturb", "head", "schedule")} == {
        "loss": "mr-intra",
        "perturb": "lesam",
        "head": "gela",
        "schedule": "skip",
    }
    assert summary["averages"] == 1


def test_resuming_a_finished_run_tells_the_same(capsys, data, finished):
    asked = ["--recipe", "scaffold", *RUN, "--out", finished, "--resume"]
    first, again = (record(capsys, "federate", data, *asked) for _ in range(2))
    assert first == again


def test_report_explain_and_cite_take_the_run(capsys, finished, tmp_path):
    code, *_ = call(capsys, "report", finished, "--out", tmp_path / "page.html", "--quiet")
    assert code == 0 and "Federated training" in (tmp_path / "page.html").read_text()
    code, out, _ = call(capsys, "cite", finished)
    assert code == 0 and "karimireddy" in out
    code, out, _ = call(capsys, "explain", finished, "--json")
    assert json.loads(out)["axes"]["training"]["fields"]["batch"]["value"] == 64


def test_a_plan_is_told_without_training(capsys, data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    asked = ["federate", "plan", data, "--recipe", "scaffold", "--model", "mlp:8", "--clients", 100, "--active", 0.1]
    found = record(capsys, *asked)
    numbers = 5 * 8 + 8 + 8 * 5 + 5
    assert found["bytes"] == {"down": 8 * numbers, "up": 8 * numbers, "kept": 4 * numbers, "server": 4 * numbers}
    assert found["round"] == {"down": 80 * numbers, "up": 80 * numbers}
    code, out, _ = call(capsys, *asked)
    assert code == 0 and "10 of 100 clients" in " ".join(out.split()) and "control change" in out
    assert not list(tmp_path.iterdir())


def test_a_partition_is_shown_and_drawn(capsys, data, tmp_path):
    asked = ["partition", data, "--clients", 4, "--partition", "pcdd:2", "--seed", 3]
    found = record(capsys, *asked, "--plot", tmp_path / "p.html")
    assert found["population"] == partition(data, "pcdd:2", clients=4, seed=3)["population"]
    assert found["population"]["classes_held"] == [2] * 4
    assert "client 3" in (tmp_path / "p.html").read_text()
    code, out, _ = call(capsys, *asked)
    assert code == 0 and "2 of 5" in out and "lacks 60.0 % of them" in out and "plot" not in out


def test_a_comparison_is_a_table_and_a_page(capsys, data, tmp_path):
    asked = ["--recipes", "fedavg,fedskip,fedper", "--seeds", 2, *SHAPE, "--workers", 1, "--out", tmp_path / "r"]
    found = record(capsys, "compare", "federate", data, *asked)
    assert found["baseline"] == "fedavg" and found["seeds"] == [0, 1]
    assert found["metrics"][0] == "accuracy/last"
    assert found["recipes"]["fedper"]["accuracy/last"]["mean"] is None
    assert [len(curve) for curve in found["curves"]["fedavg"]] == [2, 2]
    code, out, _ = call(capsys, "compare", "federate", data, *asked, "--resume", "--report")
    assert code == 0 and "accuracy of the last round" in out and "megabytes" in out
    assert "Accuracy against what was spent" in (tmp_path / "r" / "report.html").read_text()


def test_a_diagnosis_of_clients(capsys, data, tmp_path):
    asked = ["diagnose", data, "--clients", 4, "--partition", "pcdd:2", "--model", "mlp:8", "--out", tmp_path / "r"]
    found = record(capsys, *asked)
    assert found["stage"] == "federate" and len(found["conflict"]["cosine"]) == 4
    assert found["advice"][0]["figures"]["missing_classes"] == 0.6
    code, out, _ = call(capsys, *asked, "--resume", "--report")
    assert code == 0 and "→ fedgela" in out
    assert "How 4 clients disagree" in (tmp_path / "r" / "report.html").read_text()


def test_who_names_clients_means_labelled_examples_and_not_documents(capsys, tmp_path):
    table = tmp_path / "mail.csv"
    words = {"spam": "win money now prize", "ham": "lunch meeting at noon"}
    rows = [f"{words[kind]} {i},{kind}" for i in range(30) for kind in words]
    table.write_text("text,label\n" + "\n".join(rows) + "\n")
    asked = [table, "--clients", 2, "--partition", "iid", "--out"]
    assert record(capsys, "diagnose", *asked, tmp_path / "clients")["stage"] == "federate"
    found = record(capsys, "diagnose", table, "--out", tmp_path / "documents", "--workers", 1)
    assert found["documents"] == 60


def test_recipes_of_the_stage_are_listed_with_their_slots(capsys):
    code, out, _ = call(capsys, "recipes", "federate", "--json")
    rows = {row["name"]: row for row in json.loads(out.splitlines()[-1])["recipes"]}
    slots = {"head", "loss", "perturb", "drift", "schedule", "weight", "server", "training"}
    assert code == 0 and set(rows["fedgela"]["axes"]) == slots


def test_nothing_needs_torch_until_something_is_trained(data):
    code = (
        "import sys; from harmonia.cli.main import run; "
        "run(['recipes', 'federate']); run(['partition', sys.argv[1]]); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(data)], capture_output=True, text=True, check=True)
    assert done.stdout.strip().splitlines()[-1] == "False"


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["federate"], ["--recipe fedgela", "schedule=skip:5", "harmonia federate plan"]),
        (["federate", "plan"], ["--recipe scaffold", "nothing is trained"]),
        (["partition"], ["dirichlet:0.1", "--plot clients.html"]),
        (["compare", "federate"], ["fedavg,fedprox,fedskip,fedgela", "never the best one"]),
        (["diagnose"], ["--clients 10", "dirichlet:0.1"]),
    ],
)
def test_help_teaches_by_examples(capsys, command, words):
    code, out, _ = call(capsys, *command, "--help")
    told = " ".join(out.split())
    assert code == 0 and all(word in told for word in words)


WRONG = [
    (["--recipe", "fedgella"], "no recipe 'fedgella' in stage federate; did you mean 'fedgela'"),
    (["--partition", "pcd:2"], "no partition 'pcd'; did you mean 'pcdd'"),
    (["--partition", "pcdd:9"], "pcdd"),
    (["--partition", "column:site"], "no column 'site'"),
    (["--clients", "0"], "--clients 0: a number of at least 1"),
    (["--clients", "999"], "999 clients"),
    (["--rounds", "0"], "--rounds 0"),
    (["--every", "0"], "--every 0"),
    (["--active", "0"], "--active 0.0: a share above 0 and at most 1"),
    (["--active", "1.5"], "--active 1.5"),
    (["--local-epochs", "0"], "training.epochs"),
    (["--learning-rate", "-1"], "training.learning_rate"),
    (["--engine", "warp"], "--engine warp: one of auto, loop"),
    (["--on-failure", "ignore"], "--on-failure ignore: one of abort, drop, retry"),
    (["--model", "mpl"], "did you mean 'mlp'"),
    (["--model", "cnn"], "model=cnn reads images"),
    (["--device", "abacus"], "device 'abacus' is not here"),
    (["--set", "loss=mrr"], "no part 'mrr'; did you mean 'mr'"),
    (["--set", "drift=scaffold", "schedule=skip"], "drift=scaffold"),
    (["--set", "server=dyn"], "server=dyn corrects for drift=dyn"),
    (["--set", "loss.tempo=3"], "loss.tempo: unknown field"),
    (["--resume"], "--resume needs --out"),
    (["--bogus"], "--bogus"),
]


@pytest.mark.parametrize(("arguments", "said"), WRONG)
def test_wrong_usage_is_exit_code_2_and_one_line(capsys, data, tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    code, _, err = call(capsys, "federate", data, *arguments)
    assert code == 2, err
    assert said in err
    assert len(err.strip().splitlines()) == 1
    assert not (tmp_path / "runs").exists() or not any((tmp_path / "runs").iterdir())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["federate", "nowhere"], "no data set and no file 'nowhere'"),
        (["federate", "dgits"], "did you mean 'digits'"),
        (["federate", "plan", "DATA", "--set", "drift=scaffold", "weight=nova"], "drift=scaffold and weight=nova"),
        (["partition", "DATA", "--partition", "dirichlet:-1"], "dirichlet"),
        (["partition", "DATA", "--plot", "."], "--plot . is a folder; name the page"),
        (["compare", "federate", "DATA", "--seeds", "0"], "--seeds 0"),
        (["compare", "federate", "DATA", "--recipes", ""], "at least one recipe"),
        (["compare", "federate", "DATA", "--recipes", "fedavg,fedavg"], "fedavg, fedavg"),
        (["compare", "federate", "DATA", "--recipes", "fedavg", "--baseline", "moon"], "baseline 'moon'"),
        (["diagnose", "DATA", "--clients", "1"], "--clients 1: a diagnosis compares clients"),
        (["diagnose", "DATA", "DATA", "--clients", "2"], "name one set of labelled examples"),
        (["diagnose", "DATA", "--clients", "2", "--tasks", "push"], "--tasks is for trajectories"),
    ],
)
def test_wrong_usage_around_it_is_exit_code_2_and_one_line(capsys, data, tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    code, _, err = call(capsys, *(str(data) if word == "DATA" else word for word in arguments))
    assert code == 2, err
    assert said in err
    assert len(err.strip().splitlines()) == 1
