"""``harmonia merge`` and what goes with it: for people and for machines."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.data.checkpoints.saved import drawn, moved, saved
from tests.data.checkpoints.test_adapter import adapted
from tests.merge.small import language_models

from harmonia.cli.main import run
from harmonia.core.progress import set_quiet
from harmonia.data.checkpoints import writer

SHAPES = {
    "model.embed_tokens.weight": (21, 8),
    "model.layers.0.mlp.up_proj.weight": (12, 8),
    "model.layers.1.mlp.up_proj.weight": (12, 8),
    "model.norm.weight": (8,),
}


@pytest.fixture(autouse=True)
def heard():
    """``--quiet`` silences the process; other tests want to hear."""
    yield
    set_quiet(False)


@pytest.fixture(scope="module")
def llamas(tmp_path_factory):
    return language_models(tmp_path_factory.mktemp("llamas"))


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working folder with a base, three experts and nothing else."""
    monkeypatch.chdir(tmp_path)
    base = drawn(0, SHAPES)
    saved(tmp_path / "base", base)
    for place, name in enumerate(("law", "code", "mail")):
        saved(tmp_path / name, moved(base, place + 1))
    return tmp_path


def call(capsys, *arguments):
    code = run([str(a) for a in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def record(capsys, *arguments):
    code, out, err = call(capsys, *arguments, "--json", "--quiet")
    assert code == 0, err
    assert len(out.splitlines()) == 1
    return json.loads(out, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))


def refused(capsys, *arguments):
    code, _, err = call(capsys, *arguments)
    assert code == 2, err
    assert len(err.strip().splitlines()) == 1
    return err


TIES = ["--base", "base", "--recipe", "ties"]


def test_one_json_line_says_what_came_out_and_where(here, capsys):
    asked = ["merge", "law", "code", "mail", *TIES, "--set", "weights.density=0.2", "--out", "r"]
    found = record(capsys, *asked)
    assert found["model"] == "r/result/model" and found["recipe"] == "ties"
    assert [e["name"] for e in found["experts"]] == ["law", "code", "mail"]
    assert len(found["disagreement"]["model"]["cosines"]) == 3
    assert set(load_file("r/result/model/model.safetensors")) == set(SHAPES)
    assert record(capsys, *asked, "--resume") == found


def test_people_get_a_table_findings_and_a_page(here, capsys):
    code, out, _ = call(capsys, "merge", "law", "code", *TIES, "--out", "r", "--report")
    told = " ".join(out.split())
    assert code == 0 and "cosine to" in told and "moved farthest from the base" in told
    assert "model: r/result/model" in told
    page = (here / "r" / "report.html").read_text()
    assert "Merged model" in page and "Where signs conflict" in page and "layer by layer" in page


def test_a_folder_is_made_under_runs(here, capsys):
    assert record(capsys, "merge", "law", "code", "--seed", 1)["run"] == "runs/merge-linear-1"


def test_weights_types_files_and_threads(here, capsys):
    asked = ["--weights", "1,0", "--weights-of", "layers.1=0,1", "--dtype", "bfloat16", "--shard-size", "500"]
    found = record(capsys, "merge", "law", "code", *asked, "--threads", 2, "--out", "r")
    shards = sorted((here / "r/result/model").glob("*.safetensors"))
    out = {name: t for path in shards for name, t in load_file(path).items()}
    law, code = (load_file(f"{name}/model.safetensors") for name in ("law", "code"))
    assert len(shards) > 1 and found["experts"][1]["weight"] == 0
    for name, t in out.items():
        assert torch.equal(t, (code if "layers.1" in name else law)[name].bfloat16())


def test_a_sweep_writes_a_model_for_each_scaling(here, capsys):
    found = record(capsys, "merge", "law", "code", *TIES, "--sweep", "scaling=0.3,0.5,1.0", "--out", "r")
    assert [m["scaling"] for m in found["models"]] == [0.3, 0.5, 1.0] and "model" not in found
    base = load_file("base/model.safetensors")["model.norm.weight"]
    a, b = (load_file(f"{m['folder']}/model.safetensors")["model.norm.weight"] for m in found["models"][::2])
    torch.testing.assert_close((a - base) / 0.3, b - base, rtol=1e-4, atol=1e-6)


def test_a_dry_run_tells_what_it_takes_and_writes_nothing(here, capsys):
    asked = ["merge", "law", "code", *TIES, "--out", "r", "--dry-run"]
    found = record(capsys, *asked)
    assert found["bytes"]["inputs"] == 3 * 4 * sum(t.numel() for t in load_file("law/model.safetensors").values())
    assert found["passes"] > 1 and found["disk"]["free"] > found["disk"]["needed"]
    code, out, _ = call(capsys, *asked)
    told = " ".join(out.split())
    assert code == 0 and "passes over" in told and "time without writing" in told
    assert not (here / "r").exists()


def test_a_diagnosis_of_experts_and_its_page(here, capsys):
    asked = ["diagnose", "--experts", "law", "code", "mail", "--base", "base", "--out", "r"]
    found = record(capsys, *asked)
    assert found["stage"] == "merge" and len(found["model"]["cosines"]) == 3 and found["advice"]
    code, out, _ = call(capsys, *asked, "--resume", "--report")
    assert code == 0 and "→ ties" in out and "signs conflict in" in " ".join(out.split())
    assert "How 3 experts disagree" in (here / "r" / "report.html").read_text()
    assert record(capsys, "diagnose", "law", "code", "--base", "base", "--out", "s")["stage"] == "merge"


def test_explain_cite_and_recipes(here, capsys):
    record(capsys, "merge", "law", "code", *TIES, "--out", "r")
    assert json.loads(call(capsys, "explain", "r", "--json")[1])["axes"]["weights"]["fields"]["density"]["value"] == 0.2
    assert "Yadav" in call(capsys, "cite", "r")[1]
    rows = {row["name"]: row for row in json.loads(call(capsys, "recipes", "merge", "--json")[1])["recipes"]}
    assert rows["official-ties"]["axes"]["weights"] == "ties" and "slerp" in rows


def test_what_is_measured_is_read_by_fisher(llamas, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name in ("law", "code"):
        shutil.copytree(getattr(llamas, name), name)
        asked = ["merge", "measure", name, "--statistic", "fisher", "--text", llamas.texts[name], "--length", 32]
        code, out, _ = call(capsys, *asked, "--windows", 3)
        assert code == 0 and "fisher of" in out and "from 3 windows" in out
    found = record(capsys, "merge", "law", "code", "--recipe", "fisher", "--out", "r")
    held = [
        load_file(f"{name}/{file}") for file in ("model.safetensors", "fisher.safetensors") for name in ("law", "code")
    ]
    name = "model.norm.weight"
    a, b = (held[2 + i][name].clamp_min(1e-6) for i in (0, 1))
    expected = (a * held[0][name] + b * held[1][name]) / (a + b)
    torch.testing.assert_close(load_file(f"{found['model']}/model.safetensors")[name], expected)


def test_a_comparison_is_a_table_and_a_page(llamas, tmp_path, capsys):
    texts = [f"{name}={path}" for name, path in llamas.texts.items()]
    asked = ["compare", "merge", llamas.law, llamas.code, "--base", llamas.base, "--recipes", "linear,dare-ties"]
    asked += ["--data", *texts, "--length", 32, "--windows", 2, "--seeds", 2, "--out", tmp_path / "r"]
    found = record(capsys, *asked)
    assert list(found["recipes"]) == ["linear", "dare-ties", "base", "expert law", "expert code"]
    code, out, _ = call(capsys, *asked, "--resume", "--report")
    assert code == 0 and "perplexity, mean over domains (less is better)" in out
    assert "expert law" in (tmp_path / "r" / "report.html").read_text()


def test_a_mixture_is_a_table_and_a_page(llamas, tmp_path, capsys):
    texts = [f"{name}={path}" for name, path in llamas.texts.items()]
    free = record(capsys, "merge", llamas.law, llamas.code, "--moe", "--base", llamas.base, "--out", tmp_path / "free")
    assert free["recipe"] == "mergeme-free" and free["mixture"]["decides"] == "ppl"
    asked = ["merge", llamas.law, llamas.code, "--moe", "--recipe", "ridge-router", "--base", llamas.base]
    code, out, _ = call(capsys, *asked, "--prompts", *texts, "--out", tmp_path / "r", "--report")
    assert code == 0 and "Text of law:" in out and (tmp_path / "r" / "report.html").exists()
    told = record(capsys, *asked, "--prompts", *texts, "--dry-run")
    assert told["active_parameters"] == told["parameters"] and told["bytes"]["written"] > 0
    rows = ["compare", "merge", llamas.law, llamas.code, "--base", llamas.base, "--recipes", "linear,mergeme-free"]
    found = record(
        capsys, *rows, "--data", *texts, "--length", 32, "--windows", 1, "--seeds", 2, "--out", tmp_path / "c"
    )
    assert list(found["recipes"])[1] == "mergeme-free"


def test_adapters_stay_adapters_and_pickles_are_read_when_allowed(here, capsys):
    factors = {"model.layers.0.mlp.up_proj.lora_A.weight": (2, 8), "model.layers.0.mlp.up_proj.lora_B.weight": (12, 2)}
    for seed, name in enumerate(("one", "two")):
        adapted(here / name, drawn(seed, factors), base_model_name_or_path="base")
    asked = ["merge", "one", "two", "--adapters", "keep", "--recipe", "ties", "--rank", 2]
    found = record(capsys, *asked, "--out", "kept")
    assert found["adapter"]["rank"] == 2 and found["model"].endswith("kept/result/adapter")
    code, out, _ = call(capsys, *asked, "--out", "kept", "--resume", "--report")
    assert code == 0 and "2 adapters became one of rank 2" in " ".join(out.split())
    for options, message in (
        (["--adapters", "keep", "--sweep", "scaling=1"], "--sweep goes with whole models"),
        (["--rank", 2], "--rank is of the adapter that --adapters keep writes"),
    ):
        code, _, err = call(capsys, "merge", "one", "two", "--base", "base", *options, "--out", "bad")
        assert code == 2 and message in err and len(err.strip().splitlines()) == 1
    held = load_file("law/model.safetensors")
    (here / "law" / "model.safetensors").unlink()
    torch.save(held, here / "law" / "pytorch_model.bin")
    code, _, err = call(capsys, "merge", "law", "code", "--out", "r")
    assert code == 2 and "--allow-pytorch-bin" in err and len(err.strip().splitlines()) == 1
    merged = record(capsys, "merge", "law", "code", "--allow-pytorch-bin", "--out", "r")
    mean = (held["model.norm.weight"] + load_file("code/model.safetensors")["model.norm.weight"]) / 2
    torch.testing.assert_close(load_file(f"{merged['model']}/model.safetensors")["model.norm.weight"], mean)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--moe", "--recipe", "ties"], "--moe: recipe ties makes one dense model; take btx, mergeme-ties"),
        (["--recipe", "btx"], "give text of each expert's domain, --prompts EXPERT=FILE"),
        (["--recipe", "btx", "--prompts", "law"], "--prompts law: expected EXPERT=FILE"),
        (["--recipe", "btx", "--prompts", "law=a", "law=b"], "law has text already"),
        (["--recipe", "btx", "--prompts", "laws=a", "code=b"], "prompts of 'laws': no expert is called so"),
        (["--moe", "--sweep", "scaling=0.5"], "sweep: recipe mergeme-free makes a mixture of experts"),
        (["--moe", "--set", "routing.top_k=4"], "routing.top_k=4 of 2 experts: give 1 to 2"),
        (["--recipe", "mergeme-hetero", "--set", "routing=token-linear"], "cannot share attention"),
    ],
)
def test_wrong_mixtures_are_one_line(llamas, tmp_path, capsys, arguments, message):
    code, _, err = call(capsys, "merge", llamas.law, llamas.code, "--base", llamas.base, *arguments, "--out", tmp_path)
    assert code == 2 and message in err and len(err.strip().splitlines()) == 1


def test_recipes_are_listed_without_torch(tmp_path):
    code = "import sys; from harmonia.cli.main import run; run(['recipes', 'merge']); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().splitlines()[-1] == "False"


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["merge"], ["--recipe ties", "scaling=0.3,0.5,1.0", "diagnose --experts"]),
        (["merge", "measure"], ["--statistic fisher", "every later merge"]),
        (["compare", "merge"], ["law=law.jsonl", "draws of its own"]),
        (["diagnose"], ["--experts law code mail"]),
    ],
)
def test_help_teaches_by_examples(capsys, command, words):
    code, out, _ = call(capsys, *command, "--help")
    told = " ".join(out.split())
    assert code == 0 and all(word in told for word in words)


WRONG = [
    (["--recipe", "tise"], "no recipe 'tise' in stage merge; did you mean 'ties'"),
    (["--recipe", "ties"], "weights=ties works on expert - base: give the base that the experts were trained from"),
    ([*TIES, "--set", "weights.density=0"], "weights.density: input should be greater than 0"),
    ([*TIES, "--set", "weights.density=1.5"], "weights.density: input should be less than or equal to 1"),
    ([*TIES, "--set", "weights.densty=0.5"], "weights.densty: unknown field; did you mean 'density'"),
    (["--weights", "1"], "1 weights for 2 experts: give one for each, in their order"),
    (["--weights", "1,-1"], "the weights 1, -1 sum to 0"),
    (["--weights", "1,x"], "--weights 1,x: comma-separated numbers are needed"),
    (["--weights", "1,nan"], "give finite numbers"),
    (["--weights-of", "layers"], "--weights-of layers: expected PATTERN=1,0.5,0 or a YAML file"),
    (["--weights-of", "blocks=1,0"], "weights of 'blocks': matches none of the tensors"),
    (["--weights-of", "none.yaml"], "none.yaml: weights of tensors cannot be read"),
    (["mail", "--recipe", "slerp"], "weights=slerp merges exactly 2 experts, and there are 3"),
    (["--sweep", "density=0.1,0.2"], "--sweep density=0.1,0.2: only scaling can be swept"),
    (["--sweep", "scaling=0.1"], "weights=linear has no scaling to sweep over"),
    ([*TIES, "--sweep", "scaling=1,1"], "give at least one, each once"),
    (
        ["--recipe", "fisher"],
        "law has no fisher.safetensors, which this rule reads of every expert: harmonia merge measu",
    ),
    (["--dtype", "int8"], "dtype 'int8': weights are written as float32, bfloat16"),
    (["--shard-size", "big"], "--shard-size big: a size is needed, for instance 5GB"),
    (["--threads", "-1"], "threads=-1: at least 1 is needed"),
    (["--out", "law"], "output folder law is an input as well"),
    (["--out", "mail"], "output folder mail is not empty"),
    (["law"], "expert law is named twice"),
    (["nowhere/x/y"], "no model folder nowhere/x/y"),
    (["--resume"], "--resume needs --out"),
    (["--bogus"], "--bogus"),
]


@pytest.mark.parametrize(("arguments", "said"), WRONG)
def test_wrong_usage_is_exit_code_2_and_one_line(here, capsys, arguments, said):
    before = sorted(here.rglob("*"))
    assert said in refused(capsys, "merge", "law", "code", *arguments)
    assert [path for path in sorted(here.rglob("*")) if path not in before and path.name != "runs"] == []


def altered(folder, change):
    tensors = load_file(folder / "model.safetensors")
    save_file(change(tensors), folder / "model.safetensors")


def without(name):
    return lambda tensors: {n: t for n, t in tensors.items() if n != name}


def with_one(name, tensor):
    return lambda tensors: {**tensors, name: tensor}


def pickled(folder):
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"x")


def gguf(folder):
    (folder / "model.safetensors").unlink()
    (folder / "model.gguf").write_bytes(b"GGUF")


def cut_off(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-10])


def indexed(folder, places):
    (folder / "model.safetensors").rename(folder / "model-1.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}))


def adapter(folder, base):
    for path in folder.iterdir():
        path.unlink()
    (folder / "adapter_config.json").write_text(
        json.dumps({"peft_type": "LORA", "lora_alpha": 1, **({"base_model_name_or_path": base} if base else {})})
    )
    save_file({"model.norm.lora_A.weight": torch.ones(1, 8)}, folder / "adapter_model.safetensors")


NORM = "model.norm.weight"
EMBED = "model.embed_tokens.weight"
BAD = [
    (lambda f: altered(f, without(NORM)), "code lacks tensor model.norm.weight of base"),
    (lambda f: altered(f, with_one("extra.weight", torch.ones(2))), "code has tensor extra.weight that base lacks"),
    (lambda f: altered(f, with_one(NORM, torch.ones(9))), "model.norm.weight has shape [9] in code and [8] in base"),
    (lambda f: altered(f, with_one(EMBED, torch.ones(25, 8))), "a vocabulary of 25 and base one of 21"),
    (
        lambda f: altered(f, with_one(NORM, torch.full((8,), torch.nan))),
        "code/model.safetensors: tensor model.norm.weig",
    ),
    (lambda f: altered(f, with_one(NORM, torch.full((8,), -torch.inf))), "has NaN or infinite numbers"),
    (
        lambda f: altered(f, with_one(NORM, torch.ones(8, dtype=torch.int8))),
        "code is quantised (model.norm.weight is I8)",
    ),
    (
        lambda f: altered(f, with_one(NORM, torch.ones(8).to(torch.float8_e4m3fn))),
        "is quantised (model.norm.weight is F8",
    ),
    (
        lambda f: saved(f, load_file(f / "model.safetensors"), config={"quantization_config": {"bits": 4}}),
        "quantization_con",
    ),
    (lambda f: (f / "config.json").unlink(), "code is not the folder of a model: it has no config.json"),
    (
        lambda f: (f / "model.safetensors").unlink(),
        "code has no weights (model.safetensors or model.safetensors.index.jso",
    ),
    (
        pickled,
        "code has weights as pickle only (pytorch_model.bin), which could run code when it is loaded: convert it",
    ),
    (gguf, "code has weights as GGUF only"),
    (cut_off, "code/model.safetensors is cut off"),
    (lambda f: indexed(f, {NORM: "model-2.safetensors"}), "names shard model-2.safetensors that the folder lacks"),
    (lambda f: indexed(f, {"ghost": "model-1.safetensors"}), "names tensor ghost that the shards lack"),
    (lambda f: adapter(f, None), "has not both factors of model.norm"),
]


@pytest.mark.parametrize(("spoil", "said"), BAD)
def test_bad_models_are_named_in_one_line(here, capsys, spoil, said):
    spoil(here / "code")
    assert said in refused(capsys, "merge", "law", "code", *TIES, "--out", "r")
    assert not (here / "r").exists() or not any((here / "r").iterdir())


def test_what_only_some_have_can_be_taken_from_the_base(here, capsys):
    altered(here / "code", without(NORM))
    record(capsys, "merge", "law", "code", *TIES, "--unmatched", "reference", "--out", "r")
    assert torch.equal(load_file("r/result/model/model.safetensors")[NORM], load_file("base/model.safetensors")[NORM])


def test_an_adapter_without_a_base_is_told(here, capsys):
    adapter(here / "code", None)
    assert "code is an adapter that names no base: say which model it belongs to" in refused(
        capsys, "merge", "law", "code", "--out", "r"
    )


def test_model_stock_of_one_expert_is_told(here, capsys):
    asked = ["merge", "law", "--base", "base", "--recipe", "model-stock", "--out", "r"]
    assert "weights=model-stock needs at least 2 experts, and there are 1" in refused(capsys, *asked)


def test_a_small_disk_is_told_before_anything_is_written(here, capsys, monkeypatch):
    monkeypatch.setattr(writer.shutil, "disk_usage", lambda place: type("Use", (), {"free": 10})())
    assert "and the disk has 0.00 GB free: make room" in refused(capsys, "merge", "law", "code", "--out", "r")
    assert not list(here.rglob("r/**/*.safetensors"))


def test_experts_of_another_base_are_noticed(here, capsys):
    saved(here / "stranger", drawn(77, SHAPES))
    code, out, err = call(capsys, "merge", "law", "stranger", *TIES, "--out", "r")
    told = " ".join((out + err).split())
    assert code == 0 and "stranger is as far from the base as a model that has nothing to do with it" in told


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["merge"], "name the experts"),
        (["merge", "measure", "law", "--statistic", "grm", "--text", "x"], "no statistic 'grm'; did you mean 'gram'"),
        (["merge", "measure", "nowhere/x/y", "--statistic", "gram", "--text", "x"], "no model folder nowhere/x/y"),
        (["merge", "measure", "law", "--statistic", "gram", "--text", "x", "--memory", "0"], "--memory 0: a size"),
        (["diagnose", "--experts", "law", "code"], "name it with --base"),
        (["diagnose", "law", "code"], "name it with --base"),
        (["diagnose", "--experts", "law", "--base", "base"], "name at least two experts"),
        (["diagnose", "mail", "--experts", "law", "code", "--base", "base"], "--experts are models, and mail is data"),
        (["diagnose", "--experts", "law", "code", "--base", "base", "--tasks", "t"], "--tasks is for trajectories"),
        (["compare", "merge", "--base", "base"], "name the experts"),
        (["compare", "merge", "law", "code"], "name held-out text of at least one domain: --data law=law.jsonl"),
        (["compare", "merge", "law", "code", "--data", "law"], "--data law: expected DOMAIN=FILE"),
        (["compare", "merge", "law", "code", "--data", "a=x", "a=y"], "--data a=y: a has text already"),
        (["compare", "merge", "law", "code", "--data", "a=x", "--seeds", "0"], "--seeds 0: at least 1"),
    ],
)
def test_wrong_usage_around_it_is_exit_code_2_and_one_line(here, capsys, arguments, said):
    assert said in refused(capsys, *arguments)


def test_text_that_is_too_short_or_empty_is_told(llamas, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(llamas.law, "law")
    (tmp_path / "short.txt").write_text("the court")
    (tmp_path / "empty.jsonl").write_text("")
    asked = ["merge", "measure", "law", "--statistic", "gram", "--length", 64, "--text"]
    assert "short.txt has only" in refused(capsys, *asked, "short.txt")
    assert "empty.jsonl is empty: give a file with text" in refused(capsys, *asked, "empty.jsonl")
    assert "none.jsonl" in refused(capsys, *asked, "none.jsonl")
