import json

import pytest
import torch
from safetensors.torch import load_file
from tests.data.checkpoints.saved import drawn
from tests.data.checkpoints.test_adapter import adapted

import harmonia
from harmonia.core.errors import InputError

UP = "model.layers.0.mlp.up_proj"


@pytest.fixture
def loras(tmp_path):
    for seed, name in enumerate(("law", "code")):
        held = drawn(seed, {"A": (2, 6), "B": (10, 2)})
        factors = {f"{UP}.lora_A.weight": held["A"], f"{UP}.lora_B.weight": held["B"]}
        adapted(tmp_path / name, factors, base_model_name_or_path="base")
    return [tmp_path / "law", tmp_path / "code"]


def change(folder):
    held = load_file(folder / "adapter_model.safetensors")
    settings = json.loads((folder / "adapter_config.json").read_text())
    a, b = (next(t for n, t in held.items() if f"lora_{side}" in n) for side in "AB")
    return settings["lora_alpha"] / settings["r"] * (b @ a)


def test_adapters_become_one_that_adds_what_they_add(loras, tmp_path):
    result = harmonia.merge.merge_kept(loras, "task-arithmetic", weights=[1.0, 0.5], out=tmp_path / "r")
    torch.testing.assert_close(change(result.model), change(loras[0]) + 0.5 * change(loras[1]))
    told = result.summary
    assert told["adapter"]["exact"] and told["adapter"]["rank"] == 4 and told["parameters"] == 4 * 16
    assert told["bytes"]["inputs"] == sum((f / "adapter_model.safetensors").stat().st_size for f in loras)
    page = result.report().read_text()
    assert "PeftModel" in page and "nothing was cut" in page
    again = harmonia.merge.merge_kept(loras, "task-arithmetic", weights=[1.0, 0.5], out=tmp_path / "r", resume=True)
    assert again.summary == told


def test_what_a_smaller_rank_loses_is_told(loras, tmp_path):
    result = harmonia.merge.merge_kept(loras, "ties", rank=1, out=tmp_path / "r")
    told = result.summary["adapter"]
    assert told["rank"] == 1 and 0 < told["error"] < 1 and "of the length of the change" in result.report().read_text()


def test_a_killed_run_begins_its_adapter_again(loras, tmp_path, monkeypatch):
    import harmonia.merge.adapter_work as module

    whole = harmonia.merge.merge_kept(loras, "linear", out=tmp_path / "whole")
    with monkeypatch.context() as patched:
        patched.setattr(module, "write_json", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            harmonia.merge.merge_kept(loras, "linear", out=tmp_path / "r")
    done = harmonia.merge.merge_kept(loras, "linear", out=tmp_path / "r", resume=True)
    files = [each.model / "adapter_model.safetensors" for each in (whole, done)]
    assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.parametrize(
    ("recipe", "options", "message"),
    [
        ("mergeme-free", {}, "--adapters keep: recipe mergeme-free makes a mixture of whole models"),
        ("linear", {"rank": 0}, "rank 0: an adapter has a rank of at least 1"),
        ("linear", {"weights": [1]}, "1 weights for 2 experts"),
        ("slerp", {}, "merges whole weights, not what adapters add to them"),
    ],
)
def test_what_cannot_be_is_said_and_the_folder_stays_free(recipe, options, message, loras, tmp_path):
    with pytest.raises(InputError, match=message):
        harmonia.merge.merge_kept(loras, recipe, out=tmp_path / "r", **options)
    assert harmonia.merge.merge_kept(loras, "linear", out=tmp_path / "r2").summary["adapter"]["exact"]
