"""``harmonia.merge``: what it writes, and that it is what the rule says."""

import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.data.checkpoints.saved import drawn, saved
from tests.merge.small import SHAPES

import harmonia
from harmonia.core.errors import InputError, RunError
from harmonia.data.checkpoints import CheckpointWriter, writer


def loaded(folder):
    return {k: v for path in sorted(folder.glob("model*.safetensors")) for k, v in load_file(path).items()}


def test_the_model_loads_in_transformers_and_is_what_the_rule_says(llamas, tmp_path):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    result = harmonia.merge([llamas.law, llamas.code], base=llamas.base, weights=[1, 3], out=tmp_path / "r")
    model = AutoModelForCausalLM.from_pretrained(result.model)
    law, code = (AutoModelForCausalLM.from_pretrained(folder) for folder in (llamas.law, llamas.code))
    for (name, merged), a, b in zip(model.named_parameters(), law.parameters(), code.parameters(), strict=True):
        torch.testing.assert_close(merged, (a + 3 * b) / 4, msg=name)
    assert model.lm_head.weight is model.model.embed_tokens.weight
    ids = AutoTokenizer.from_pretrained(result.model)("the court shall hear", return_tensors="pt")
    assert model.generate(**ids, max_new_tokens=3, pad_token_id=0).shape[1] == ids["input_ids"].shape[1] + 3
    assert "Merged by `linear`" in (result.model / "README.md").read_text()
    assert [e["weight"] for e in result.summary["experts"]] == [1, 3]


def test_the_disagreement_is_told_by_model_layer_and_tensor(models, tmp_path):
    base, *experts = models
    result = harmonia.merge(experts, "ties", base=base, out=tmp_path / "r")
    told, tensors = result.disagreement, [loaded(folder) for folder in models]
    a, b = (torch.cat([(t[name] - tensors[0][name]).flatten() for name in tensors[0]]).double() for t in tensors[1:])
    assert told["model"]["cosines"][0][1] == pytest.approx(float(a @ b / a.norm() / b.norm()), abs=1e-6)
    assert told["model"]["sign_conflict"] == pytest.approx(float((a * b < 0).double().mean()), abs=1e-6)
    assert list(told["layers"])[:2] == ["0", "1"]
    assert set(told["layers"]) == {"0", "1", "model.embed_tokens", "model.norm", "lm_head"}
    assert set(told["tensors"]) == set(SHAPES)
    assert result.summary["disagreement"]["model"] == told["model"] and result.summary["untouched"] == 0


def test_disagreement_can_be_left_out_and_has_no_meaning_without_a_base(models, tmp_path):
    base, *experts = models
    for place, options in enumerate(({"base": base, "disagreement": False}, {})):
        result = harmonia.merge(experts, "linear", out=tmp_path / str(place), **options)
        assert result.summary["disagreement"] is None and result.summary["untouched"] is None
        with pytest.raises(RunError, match=r"disagreement.json is missing"):
            _ = result.disagreement


@pytest.mark.parametrize("recipe", ["ties", "pcb", "dare-linear", "sce"])
def test_a_sweep_writes_what_single_runs_write_byte_for_byte(recipe, models, tmp_path):
    base, *experts = models
    swept = harmonia.merge(experts, recipe, base=base, scalings=[0.3, 1.0], dtype="bfloat16", out=tmp_path / "s")
    assert list(swept.models) == [0.3, 1.0]
    for scaling, folder in swept.models.items():
        settings = [f"weights.scaling={scaling}"]
        alone = harmonia.merge(
            experts, recipe, base=base, settings=settings, dtype="bfloat16", out=tmp_path / f"{scaling}"
        )
        names = sorted(path.name for path in alone.model.iterdir())
        assert names == sorted(path.name for path in folder.iterdir())
        assert all((alone.model / n).read_bytes() == (folder / n).read_bytes() for n in names if n != "README.md")
    with pytest.raises(InputError, match="holds a model for each scaling"):
        _ = swept.model


def test_a_sweep_reads_the_weights_once(models, tmp_path, monkeypatch):
    from harmonia.data.checkpoints import Checkpoint

    read, original = [], Checkpoint.read
    monkeypatch.setattr(Checkpoint, "read", lambda self, *rest: (read.append(self.folder), original(self, *rest)))
    base, *experts = models
    harmonia.merge(experts, "task-arithmetic", base=base, scalings=[0.1, 0.2, 0.3], out=tmp_path / "s")
    assert len(read) == 3 * len(SHAPES)


def test_a_sweep_that_was_stopped_between_its_models_goes_on(models, tmp_path, monkeypatch):
    base, *experts = models
    options = {"base": base, "scalings": [0.3, 1.0], "out": tmp_path / "s"}
    complete, done = CheckpointWriter.complete, []

    def complete_once(self, *rest):
        if done:
            raise KeyboardInterrupt
        done.append(self.folder.name)
        complete(self, *rest)

    monkeypatch.setattr(CheckpointWriter, "complete", complete_once)
    with pytest.raises(KeyboardInterrupt):
        harmonia.merge(experts, "ties", **options)
    monkeypatch.undo()
    assert done == ["model-scaling-1"]
    resumed = harmonia.merge(experts, "ties", resume=True, **options)
    whole = harmonia.merge(experts, "ties", **{**options, "out": tmp_path / "w"})
    for a, b in zip(resumed.models.values(), whole.models.values(), strict=True):
        assert (a / "model.safetensors").read_bytes() == (b / "model.safetensors").read_bytes()
    assert resumed.disagreement == whole.disagreement


def test_weights_of_some_tensors(models, tmp_path):
    base, *experts = models
    patterns = {r"layers\.1\.": [1, 0], "layers": [0, 1]}
    result = harmonia.merge(experts, "linear", base=base, weights_of=patterns, out=tmp_path / "r")
    (tmp_path / "w.yaml").write_text("layers\\.1\\.: [1, 0]\nlayers: [0, 1]\n")
    from_file = harmonia.merge(experts, base=base, weights_of=tmp_path / "w.yaml", out=tmp_path / "f")
    law, code, out = loaded(experts[0]), loaded(experts[1]), loaded(result.model)
    assert torch.equal(out["model.layers.1.mlp.up_proj.weight"], law["model.layers.1.mlp.up_proj.weight"])
    assert torch.equal(out["model.layers.0.mlp.up_proj.weight"], code["model.layers.0.mlp.up_proj.weight"])
    assert torch.equal(out["model.norm.weight"], (law["model.norm.weight"] + code["model.norm.weight"]) / 2)
    assert all(torch.equal(t, out[name]) for name, t in loaded(from_file.model).items())
    assert result.summary["weights_of"] == 2


def test_masks_belong_to_the_expert_whatever_its_place_and_folder(models, tmp_path):
    """The element of a mask follows the expert: merged one by one, in either order, they drop the same."""
    base, law, code = models
    shutil.copytree(law, tmp_path / "renamed")
    options = {"base": base, "settings": ["weights.density=0.3"], "seed": 4}
    pair = harmonia.merge([law, code], "dare-linear", **options, weights=[1, 0], out=tmp_path / "1")
    other = harmonia.merge([code, tmp_path / "renamed"], "dare-linear", **options, weights=[0, 1], out=tmp_path / "2")
    a, b = loaded(pair.model), loaded(other.model)
    assert all(torch.equal(t, b[name]) for name, t in a.items())
    third = harmonia.merge([law, code], "dare-linear", **options, weights=[0, 1], out=tmp_path / "3")
    before = loaded(base)
    kept = [loaded(r.model)["lm_head.weight"] != before["lm_head.weight"] for r in (pair, third)]
    assert not torch.equal(*kept)


def test_two_equal_experts_have_masks_of_their_own(models, tmp_path):
    base, law, _ = models
    shutil.copytree(law, tmp_path / "twin")
    result = harmonia.merge([law, tmp_path / "twin"], "dare-linear", base=base, out=tmp_path / "r")
    before, tau = loaded(base), loaded(law)["lm_head.weight"] - loaded(base)["lm_head.weight"]
    times = ((loaded(result.model)["lm_head.weight"] - before["lm_head.weight"]) / tau).round()
    assert set(times.flatten().tolist()) == {0, 2, 4}


def test_adapters_count_as_experts_and_are_cited(models, tmp_path):
    base, law, _ = models
    name = "model.layers.0.mlp.up_proj"
    factors = drawn(3, {f"{name}.lora_A.weight": (2, 8), f"{name}.lora_B.weight": (12, 2)})
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "lora_alpha": 4}))
    save_file({f"base_model.model.{k}": v for k, v in factors.items()}, tmp_path / "a" / "adapter_model.safetensors")
    result = harmonia.merge([tmp_path / "a", law], "task-arithmetic", base=base, weights=[1, 0], out=tmp_path / "r")
    change = 2 * factors[f"{name}.lora_B.weight"] @ factors[f"{name}.lora_A.weight"]
    out = loaded(result.model)[f"{name}.weight"]
    torch.testing.assert_close(out, loaded(base)[f"{name}.weight"] + change, rtol=1e-5, atol=1e-6)
    assert "hu2022lora" in harmonia.cite(result.folder)


def test_a_model_that_has_nothing_to_do_with_the_base_is_noticed(models, tmp_path):
    stranger = saved(tmp_path / "stranger", drawn(77, SHAPES))
    result = harmonia.merge([models[1], stranger], "ties", base=models[0], out=tmp_path / "r")
    [line] = result.summary["warnings"]
    assert "stranger is as far from the base" in line and "was it trained from this base?" in line


def test_opposite_models_are_noticed(models, tmp_path):
    base = loaded(models[0])
    against = saved(tmp_path / "against", {name: -t for name, t in base.items()})
    result = harmonia.merge([models[0], against], "slerp", out=tmp_path / "r")
    assert any("point in opposite directions" in line for line in result.summary["warnings"])


def test_a_finished_run_is_not_made_again_and_another_request_is_refused(models, tmp_path):
    base, *experts = models
    first = harmonia.merge(experts, "ties", base=base, out=tmp_path / "r")
    stamp = (first.model / "model.safetensors").stat().st_mtime_ns
    again = harmonia.merge(experts, "ties", base=base, out=tmp_path / "r", resume=True)
    assert again.summary == first.summary and (again.model / "model.safetensors").stat().st_mtime_ns == stamp
    with pytest.raises(InputError, match="seed"):
        harmonia.merge(experts, "ties", base=base, seed=1, out=tmp_path / "r", resume=True)
    save_file(loaded(experts[0]), experts[0] / "fisher.safetensors")
    harmonia.merge(experts, "fisher", base=base, out=tmp_path / "f")
    save_file({**loaded(experts[1]), "other": torch.ones(1)}, experts[0] / "fisher.safetensors")
    with pytest.raises(InputError, match="inputs"):
        harmonia.merge(experts, "fisher", base=base, out=tmp_path / "f", resume=True)


def test_what_stops_a_merge_before_its_first_file_leaves_the_folder_free(models, tmp_path, monkeypatch):
    base, law, code = models
    spoilt = loaded(code)
    spoilt["model.norm.weight"][3] = torch.nan
    save_file({n: t for n, t in spoilt.items() if n in SHAPES}, code / "model.safetensors")
    with pytest.raises(InputError, match=r"code/model.safetensors: tensor model.norm.weight has NaN"):
        harmonia.merge([law, code], "ties", base=base, out=tmp_path / "r")
    assert not (tmp_path / "r").exists() or not any((tmp_path / "r").iterdir())
    monkeypatch.setattr(writer.shutil, "disk_usage", lambda place: type("Use", (), {"free": 10})())
    with pytest.raises(InputError, match=r"needs 0.00 GB, and the disk has 0.00 GB free: make room"):
        harmonia.merge([law, models[0]], "linear", out=tmp_path / "r")
    assert not (tmp_path / "r").exists() or not any((tmp_path / "r").iterdir())


def test_a_sweep_needs_room_for_all_of_its_models(models, tmp_path, monkeypatch):
    base, *experts = models
    one = sum(p.stat().st_size for p in base.glob("model.safetensors"))
    monkeypatch.setattr(writer.shutil, "disk_usage", lambda place: type("Use", (), {"free": 1.5 * one})())
    harmonia.merge(experts, "ties", base=base, out=tmp_path / "r")
    with pytest.raises(InputError, match="make room"):
        harmonia.merge(experts, "ties", base=base, scalings=[0.5, 1], out=tmp_path / "s")


def test_fisher_and_regmean_read_what_lies_beside_the_experts(models, tmp_path):
    experts = models[1:]
    weights = [load_file(folder / "model.safetensors") for folder in experts]
    fishers = [load_file(folder / "fisher.safetensors") for folder in experts]
    grams = [load_file(folder / "gram.safetensors") for folder in experts]
    out = loaded(harmonia.merge(experts, "fisher", out=tmp_path / "f").model)
    for name, merged in out.items():
        f = [np.maximum(each[name].double().numpy(), 1e-6) for each in fishers]
        expected = sum(a * w[name].double().numpy() for a, w in zip(f, weights, strict=True)) / sum(f)
        np.testing.assert_allclose(merged, expected, rtol=1e-5, atol=1e-6)
    out = loaded(harmonia.merge(experts, "regmean", settings=["weights.alpha=1"], out=tmp_path / "g").model)
    for name in grams[0]:
        g = [each[name].double().numpy() for each in grams]
        total = sum(a @ b for a, b in zip([w[name].double().numpy() for w in weights], g, strict=True))
        np.testing.assert_allclose(out[name], total @ np.linalg.inv(sum(g)), rtol=1e-3, atol=1e-4)
    norm = (weights[0]["model.norm.weight"] + weights[1]["model.norm.weight"]) / 2
    torch.testing.assert_close(out["model.norm.weight"], norm)


def test_statistics_that_do_not_fit_are_named(models, tmp_path):
    _, law, code = models
    held = load_file(law / "fisher.safetensors")

    def refused(fisher, match):
        save_file(fisher, law / "fisher.safetensors")
        with pytest.raises(InputError, match=match):
            harmonia.merge([law, code], "fisher", out=tmp_path / "r")

    refused({n: t for n, t in held.items() if n != "model.norm.weight"}, r"law/fisher.safetensors lacks model.norm.we")
    refused({**held, "model.norm.weight": torch.ones(3)}, r"model.norm.weight has shape \[8\], and elsewhere \[3\]")
    spoilt = held["model.norm.weight"].clone()
    spoilt[1] = torch.inf
    refused({**held, "model.norm.weight": spoilt}, r"law/fisher.safetensors: tensor model.norm.weight has NaN or inf")
    (law / "fisher.safetensors").write_bytes((law / "fisher.safetensors").read_bytes()[:-9])
    with pytest.raises(InputError, match=r"fisher.safetensors is cut off"):
        harmonia.merge([law, code], "fisher", out=tmp_path / "r")
    (law / "fisher.safetensors").unlink()
    with pytest.raises(
        InputError, match=r"law has no fisher.safetensors.*harmonia merge measure .*law --statistic fis"
    ):
        harmonia.merge([law, code], "fisher", out=tmp_path / "r")
    assert not (tmp_path / "r").exists()
