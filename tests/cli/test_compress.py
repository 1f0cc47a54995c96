"""``harmonia compress`` and what goes with it: for people and for machines."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from tests.compress import folders

from harmonia.cli.main import run
from harmonia.compress.result import CompressResult
from harmonia.core.progress import set_quiet

SMALL = ["--set", "calibration.length=16", "calibration.sequences=40"]
JUDGED = ["--judged", 100, "--no-timed"]


@pytest.fixture(autouse=True)
def heard():
    """``--quiet`` silences the process; other tests want to hear."""
    yield
    set_quiet(False)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return folders.causal(tmp_path_factory.mktemp("cli") / "model")


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    path = tmp_path_factory.mktemp("cli") / "text.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in folders.texts()))
    return path


def call(capsys, *arguments):
    code = run([str(a) for a in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def record(capsys, *arguments):
    code, out, err = call(capsys, *arguments, "--json", "--quiet")
    assert code == 0, err
    assert len(out.splitlines()) == 1
    return json.loads(out, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))


def test_one_json_line_says_what_came_out_and_where(capsys, model, text, tmp_path):
    asked = ["--ratios", "0.25,0.5", "--calibration", text, *JUDGED, *SMALL, "--out", tmp_path / "r"]
    found = record(capsys, "compress", model, *asked)
    assert found["models"] == [str(tmp_path / "r" / "result" / name) for name in ("model-0.25", "model-0.5")]
    assert [point["ratio"] for point in found["points"]] == [0.25, 0.5]
    assert found["recipe"] == "liar-wifv" and found["score"]["name"] == "perplexity"
    assert CompressResult(tmp_path / "r").model(0.5).num_parameters() == found["points"][1]["parameters"]
    assert record(capsys, "compress", model, *asked, "--resume") == found


def test_the_table_and_the_page_say_the_same(capsys, model, text, tmp_path):
    asked = ["--ratio", 0.5, "--calibration", text, "--judged", 100, *SMALL, "--out", tmp_path / "r", "--report"]
    code, out, err = call(capsys, "compress", model, *asked)
    told = " ".join(out.split())
    assert code == 0, err
    assert "perplexity" in told and "dense" in told and "at 1" in told and "model: " in told
    page = (tmp_path / "r" / "report.html").read_text()
    assert "What is left at each ratio" in page and "Units kept in each layer" in page and "Measured speed" in page
    assert "o_proj" in page and "from transformers import LlamaForCausalLM" in page
    code, out, _ = call(capsys, "cite", tmp_path / "r")
    assert code == 0 and "2407.13331" in out


def test_a_plan_needs_no_text_and_writes_nothing(capsys, model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = record(capsys, "compress", model, "--plan", "--ratio", 0.5, *SMALL)
    assert found["points"][0]["kept"] == [1, 24, 1, 24]
    code, out, _ = call(capsys, "compress", model, "--plan", "--recipe", "flap", "--ratio", 0.5)
    told = " ".join(out.split())
    assert code == 0 and "only a calibration tells" in told and "on disk" in told
    code, out, _ = call(capsys, "compress", model, "--plan", "--recipe", "shortgpt", "--ratio", 0.5)
    assert code == 0 and "1 of 2 layers are left" in " ".join(out.split())
    assert not list(tmp_path.iterdir())


def test_a_comparison_is_a_table_and_a_page(capsys, model, text, tmp_path):
    asked = [
        "--recipes",
        "none-random,bias-wifv,liar-wifv",
        "--seeds",
        2,
        "--ratios",
        "0.25,0.5",
        "--calibration",
        text,
    ]
    asked += ["--judged", 100, *SMALL, "--out", tmp_path / "r"]
    found = record(capsys, "compare", "compress", model, *asked)
    assert found["baseline"] == "none-random" and found["seeds"] == [0, 1]
    assert found["metrics"][0] == "perplexity/mean" and "perplexity/0.5" in found["metrics"]
    code, out, _ = call(capsys, "compare", "compress", model, *asked, "--resume", "--report")
    assert code == 0 and "perplexity, mean over ratios" in out and "parameters" in out
    page = (tmp_path / "r" / "report.html").read_text()
    assert "What is left at each ratio" in page and "Perplexity on each ratio" in page


def test_recipes_are_listed_and_explained(capsys):
    code, out, _ = call(capsys, "recipes", "compress", "--json")
    rows = {row["name"]: row for row in json.loads(out.splitlines()[-1])["recipes"]}
    assert code == 0
    assert set(rows["flap"]["axes"]) == {"structure", "criterion", "allocation", "reconstruction", "calibration"}
    code, out, _ = call(capsys, "explain", "liar", "--json")
    assert json.loads(out)["axes"]["reconstruction"]["fields"]["ridge"]["value"] == "auto"
    code, out, _ = call(capsys, "explain", "random", "--json")
    assert code == 0 and json.loads(out)["stage"] == "select"


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_same_models(model, text, tmp_path):
    asked = [sys.executable, "-c", "import sys; from harmonia.cli.main import run; sys.exit(run(sys.argv[1:]))"]
    asked += ["compress", str(model), "--ratios", "0.25,0.5", "--calibration", str(text), *map(str, JUDGED), *SMALL]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    out = tmp_path / "killed"
    working = subprocess.Popen([*asked, "--out", str(out)], env=environment, stderr=subprocess.DEVNULL)
    end = time.monotonic() + 120
    while not any((out / "state").rglob("moments/*.safetensors")) and time.monotonic() < end and working.poll() is None:
        time.sleep(0.005)
    working.send_signal(signal.SIGKILL)
    working.wait()
    assert (out / "run.json").exists() and json.loads((out / "run.json").read_text())["status"] == "running"
    for folder, options in ((out, ["--resume"]), (tmp_path / "whole", [])):
        subprocess.run([*asked, "--out", str(folder), *options], env=environment, check=True, capture_output=True)
    for name in ("model-0.25", "model-0.5"):
        files = [folder / "result" / name / "model.safetensors" for folder in (out, tmp_path / "whole")]
        assert files[0].read_bytes() == files[1].read_bytes()


def test_nothing_needs_torch_until_something_is_cut():
    code = (
        "import sys; from harmonia.cli.main import run; "
        "run(['recipes', 'compress']); run(['explain', 'flap']); run(['cite', 'flap']); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().splitlines()[-1] == "False"


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["compress"], ["--ratios 0.1,0.2,0.3", "--plan", "--no-fold-bias", "criterion=obs:joint"]),
        (["compare", "compress"], ["none-wifv,bias-wifv,liar-wifv", "--keep-models"]),
    ],
)
def test_help_teaches_by_examples(capsys, command, words):
    code, out, _ = call(capsys, *command, "--help")
    told = " ".join(out.split())
    assert code == 0 and all(word in told for word in words)


WRONG = [
    (["--recipe", "liar-wvif"], "no recipe 'liar-wvif' in stage compress; did you mean 'liar-wifv'"),
    (["--ratio", "1.5"], "a ratio of 1.5: the share that is removed is at least 0 and below 1"),
    (["--ratio", "0.1", "--ratios", "0.2"], "--ratio and --ratios: give one of them"),
    (["--ratios", "a,b"], "--ratios a,b: expected numbers"),
    (["--ratios", "0.2,0.2"], "one is named twice"),
    (["--set", "criterion=wandasp"], "no part 'wandasp'; did you mean 'wanda-sp'"),
    (["--set", "reconstruction.ridge=11"], "reconstruction.ridge"),
    (["--set", "calibration.held=1"], "calibration.held"),
    (["--set", "structure=depth"], "structure=depth removes whole layers"),
    (["--set", "structure.spare_first=2"], "leave nothing of 2 layers to cut"),
    (["--label", "topic"], "is no classifier"),
    (["--device", "abacus"], "device 'abacus' cannot be used"),
    (["--resume"], "--resume needs --out"),
    (["--bogus"], "--bogus"),
    (["--statistics", "README/x"], "--statistics README/x: "),
    (
        ["--recipe", "flap", "--no-fold-bias"],
        "o_proj: it has no bias to mend, and none may be added: allow --fold-bias",
    ),
    (["--recipe", "kcm", "--ratio", "0.99"], "less multiplications than one unit of each of 4 layers"),
    (["--set", "calibration.sequences=9999"], "and 9999 are needed; give more text, or lower calibration.sequences"),
    (["--set", "reconstruction.ridge=0", "calibration.sequences=3"], "and without a ridge at least 96 are needed"),
    (["--text-column", "words"], "no text column 'words'; known: text"),
    (["--held-out", "nowhere.txt"], "nowhere.txt: no such file or folder"),
]


@pytest.mark.parametrize(("arguments", "said"), WRONG)
def test_wrong_usage_is_exit_code_2_and_one_line(capsys, model, text, tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "README").touch()
    asked = ["--calibration", text, *JUDGED, *arguments]
    if "--set" not in arguments:
        asked += SMALL
    code, _, err = call(capsys, "compress", model, *asked)
    assert code == 2, err
    assert said in err
    assert len(err.strip().splitlines()) == 1
    assert not (tmp_path / "runs").exists() or not any((tmp_path / "runs").iterdir())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["compress", "./nowhere", "--calibration", "TEXT"], "no model folder ./nowhere"),
        (["compress", "MODEL"], "give --calibration, or take a recipe without data"),
        (["compress", "MODEL", "--calibration", "TEXT", "--judged", "0"], "--judged 0: at least 2 tokens are needed"),
        (["compress", "MODEL", "--calibration", "nowhere.jsonl"], "nowhere.jsonl"),
        (["compare", "compress", "MODEL"], "models are judged by text: give --calibration"),
        (["compare", "compress", "MODEL", "--calibration", "TEXT", "--seeds", "0"], "--seeds 0"),
        (["diagnose", "MODEL"], ""),
    ],
)
def test_other_wrong_usage(capsys, model, text, tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    places = {"MODEL": str(model), "TEXT": str(text)}
    code, _, err = call(capsys, *(places.get(word, word) for word in arguments))
    assert code == 2 and said in err and len(err.strip().splitlines()) == 1


TEXTS = [
    ("empty.txt", "", "empty.txt row 1: text is empty; mend it, or leave such rows out with --on-bad skip"),
    ("white.txt", " \n\n ", "white.txt row 1: text is empty"),
    ("empty.jsonl", "", "empty.jsonl: no documents"),
    ("one.txt", "w1", "one.txt: no text to judge by has two tokens"),
    (
        "short.txt",
        "w1 w2 w3",
        "short.txt: the text gives 0 sequences of up to 16 tokens beside what is judged by, and 40",
    ),
    ("broken.jsonl", '{"text": \n', "broken.jsonl line 1: line is not valid JSON"),
    ("other.jsonl", '{"a": 1}\n', "other.jsonl: no text column recognised (it has: a); name it with --text-column"),
    ("what.dat", "w1 w2", "what.dat: unknown extension"),
]


@pytest.mark.parametrize(("name", "content", "said"), TEXTS)
def test_text_that_is_empty_or_too_short_is_told_in_one_line(capsys, model, tmp_path, name, content, said):
    path = tmp_path / name
    path.write_text(content)
    code, _, err = call(capsys, "compress", model, "--calibration", path, *JUDGED, *SMALL, "--out", tmp_path / "r")
    assert code == 2 and said in err and len(err.strip().splitlines()) == 1
    assert not (tmp_path / "r").exists()


def test_a_bad_row_is_left_out_where_that_is_allowed(capsys, model, text, tmp_path):
    path = tmp_path / "text.jsonl"
    path.write_text(text.read_text() + '{"text": ""}\n')
    asked = ["--calibration", path, *JUDGED, *SMALL, "--ratio", 0.5]
    code, _, err = call(capsys, "compress", model, *asked)
    assert code == 2 and "text.jsonl line 121: text is empty" in err
    found = record(capsys, "compress", model, *asked, "--on-bad", "skip", "--out", tmp_path / "r")
    assert any("text.jsonl: 1 unusable row was left out" in line for line in found["warnings"])


def test_models_that_are_none_are_told_in_one_line(capsys, model, text, tmp_path):
    """Missing, cut off, pickled, quantised: each names the file and what to do, and leaves nothing behind."""
    import shutil

    import torch
    from safetensors.torch import load_file

    def spoiled(name):
        return shutil.copytree(model, tmp_path / name)

    whole = (model / "model.safetensors").read_bytes()
    (spoiled("cut") / "model.safetensors").write_bytes(whole[:-10])
    (spoiled("bare") / "config.json").unlink()
    (spoiled("weightless") / "model.safetensors").unlink()
    shards = spoiled("shards")
    (shards / "model.safetensors").replace(shards / "model-00001-of-00002.safetensors")
    tensors = load_file(model / "model.safetensors")
    places = {name: f"model-0000{1 + place % 2}-of-00002.safetensors" for place, name in enumerate(tensors)}
    (shards / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}))
    pickled = spoiled("pickled")
    torch.save(tensors, pickled / "pytorch_model.bin")
    (pickled / "model.safetensors").unlink()
    asked = ["--calibration", text, *JUDGED, *SMALL, "--out", tmp_path / "r"]
    for name, said in (
        ("cut", "cut/model.safetensors is cut off: its header says"),
        ("bare", "bare is not the folder of a model: it has no config.json"),
        ("weightless", "weightless has no weights (model.safetensors or model.safetensors.index.json)"),
        ("shards", "names shard model-00002-of-00002.safetensors that the folder lacks: copy or download the rest"),
        ("pickled", "save_pretrained(NEW), or read nothing but its tensors with --allow-pytorch-bin"),
    ):
        code, _, err = call(capsys, "compress", tmp_path / name, *asked)
        assert code == 2 and said in err and len(err.strip().splitlines()) == 1, err
        assert not (tmp_path / "r").exists()
    for asked_of in (["--plan"], asked):
        assert record(capsys, "compress", pickled, "--allow-pytorch-bin", "--ratio", 0.5, *asked_of)["model"]
    code, _, err = call(capsys, "compress", model, *asked[:-1], model)
    assert code == 2 and "is the folder of the model; name another" in err
