import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.data.checkpoints.saved import drawn, saved

from harmonia.core.errors import InputError
from harmonia.data.checkpoints import AdaptedCheckpoint, adapter, fold, open_checkpoint

UP = "model.layers.0.mlp.up_proj"


def adapted(folder, factors, **settings):
    folder.mkdir(parents=True, exist_ok=True)
    record = {"peft_type": "LORA", "lora_alpha": 4, "r": 2, **settings}
    (folder / "adapter_config.json").write_text(json.dumps(record))
    save_file({f"base_model.model.{name}": t.contiguous() for name, t in factors.items()}, folder / adapter.WEIGHTS)
    return folder


def factors(out=10, into=6, rank=2, module=UP, seed=3):
    held = drawn(seed, {"A": (rank, into), "B": (out, rank)})
    return {f"{module}.lora_A.weight": held["A"], f"{module}.lora_B.weight": held["B"]}


def product(held):
    a, b = held.values()
    return b.double() @ a.double()


def whole(checkpoint, name, piece=10**6):
    out = torch.empty(checkpoint.tensor(name).size)
    for start in range(0, len(out), piece):
        checkpoint.read(name, start, out[start : start + piece])
    return out.view(checkpoint.tensor(name).shape)


@pytest.fixture
def base(tmp_path):
    return open_checkpoint(saved(tmp_path / "base"))


@pytest.mark.parametrize(
    ("settings", "scale"), [({}, 2.0), ({"use_rslora": True}, 4 / 2**0.5), ({"lora_alpha": 0}, 0.0)]
)
def test_w_plus_s_b_a(tmp_path, base, settings, scale):
    held = factors()
    model = open_checkpoint(adapted(tmp_path / "a", held, **settings), base)
    assert isinstance(model, AdaptedCheckpoint) and model.tensors == base.tensors
    expected = whole(base, f"{UP}.weight").double() + scale * product(held)
    torch.testing.assert_close(whole(model, f"{UP}.weight").double(), expected, rtol=0, atol=1e-5)
    assert torch.equal(whole(model, "lm_head.weight"), whole(base, "lm_head.weight"))
    assert not model.same(f"{UP}.weight", base, f"{UP}.weight") and not base.same(f"{UP}.weight", model, f"{UP}.weight")
    assert model.same("lm_head.weight", base, "lm_head.weight")


def test_alpha_of_its_own_for_some_modules(tmp_path, base):
    held = factors() | factors(module="model.layers.1.mlp.up_proj")
    model = fold(adapted(tmp_path / "a", held, alpha_pattern={r"layers\.1\.mlp\.up_proj": 10}), base)
    for name, scale in ((UP, 2.0), ("model.layers.1.mlp.up_proj", 5.0)):
        change = whole(model, f"{name}.weight") - whole(base, f"{name}.weight")
        torch.testing.assert_close(change.double(), scale * product(factors()), rtol=0, atol=1e-5)


def test_a_square_matrix_is_transposed_where_the_setting_says_so(tmp_path):
    base = open_checkpoint(saved(tmp_path / "b", {"h.weight": torch.zeros(6, 6), "g.weight": torch.zeros(6, 10)}))
    square, flat = factors(6, 6, module="h"), factors(10, 6, module="g")
    model = fold(adapted(tmp_path / "a", square | flat, fan_in_fan_out=True), base)
    torch.testing.assert_close(whole(model, "h.weight").double(), 2 * product(square).T, rtol=0, atol=1e-5)
    torch.testing.assert_close(whole(model, "g.weight").double(), 2 * product(flat).T, rtol=0, atol=1e-5)


def test_modules_trained_whole_replace_the_bases(tmp_path, base):
    new = drawn(9)["lm_head.weight"]
    model = fold(adapted(tmp_path / "a", factors() | {"lm_head.weight": new}, modules_to_save=["lm_head"]), base)
    assert torch.equal(whole(model, "lm_head.weight"), new)
    assert not model.same("lm_head.weight", base, "lm_head.weight")


@pytest.mark.parametrize("piece", [1, 7, 60, 1000])
def test_the_same_bits_however_it_is_cut(tmp_path, monkeypatch, piece):
    monkeypatch.setattr(adapter, "_BLOCK", 100)  # several blocks of 100 // 33 rows
    base = open_checkpoint(saved(tmp_path / "b", drawn(shapes={"h.weight": (37, 33)}, dtype=torch.bfloat16)))
    folder = adapted(tmp_path / "a", factors(37, 33, rank=5, module="h"))
    assert torch.equal(whole(fold(folder, base), "h.weight", piece), whole(fold(folder, base), "h.weight"))


def test_a_trunk_without_the_prefix_of_its_head(tmp_path):
    base = open_checkpoint(saved(tmp_path / "b", {"layers.0.mlp.up_proj.weight": torch.zeros(10, 6)}))
    assert list(fold(adapted(tmp_path / "a", factors()), base).changes) == ["layers.0.mlp.up_proj.weight"]


def test_the_base_that_the_adapter_names(tmp_path, base):
    folder = adapted(tmp_path / "a", factors(), base_model_name_or_path=str(base.folder))
    assert open_checkpoint(folder).base.folder == base.folder
    with pytest.raises(InputError, match="a is an adapter that names no base"):
        open_checkpoint(adapted(tmp_path / "a", factors()))


def test_what_cannot_be_folded(tmp_path, base):
    def refused(message, held=None, **settings):
        with pytest.raises(InputError, match=message):
            fold(adapted(tmp_path / "a", held or factors(), **settings), base)

    refused(
        "adapter_config.json uses use_dora, which is not W . s B A: merge it into its base with PEFT", use_dora=True
    )
    refused("adapter_config.json is 'IA3', not LORA", peft_type="IA3")
    refused("alpha_pattern '.' is not a regular expression", alpha_pattern={"(": 1})
    refused("alpha of .* is 'x', not a number", lora_alpha="x")
    refused(r"shapes \[9, 2\] and \[2, 6\] do not fit model.layers.0.mlp.up_proj.weight of shape \[10, 6\]", factors(9))
    refused("has not both factors of model.layers.0.mlp.up_proj", dict(list(factors().items())[:1]))
    refused("a changes model.q.weight, and .*base has no tensor of that name", factors(module="model.q"))
    (tmp_path / "a" / adapter.WEIGHTS).unlink()
    (tmp_path / "a" / "adapter_model.bin").touch()
    with pytest.raises(InputError, match="a has no adapter_model.safetensors but adapter_model.bin, a pickle"):
        fold(tmp_path / "a", base)
    with pytest.raises(InputError, match="base is not an adapter"):
        fold(base.folder, base)


@pytest.mark.parametrize("rslora", [False, True])
def test_as_peft_merges_it(tmp_path, rslora):
    peft = pytest.importorskip("peft")
    conv1d = pytest.importorskip("transformers.pytorch_utils").Conv1D
    torch.manual_seed(0)

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.wte = torch.nn.Embedding(20, 8)
            self.attn = conv1d(24, 8)
            self.square = conv1d(8, 8)
            self.up = torch.nn.Conv2d(3, 5, 3)
            self.score = torch.nn.Linear(8, 4)

    net = Net()
    base = open_checkpoint(saved(tmp_path / "base", {k: v.clone() for k, v in net.state_dict().items()}))
    model = peft.get_peft_model(
        net,
        peft.LoraConfig(
            r=3,
            lora_alpha=7,
            target_modules=["wte", "attn", "square", "up"],
            modules_to_save=["score"],
            fan_in_fan_out=True,
            use_rslora=rslora,
            rank_pattern={"attn": 2},
            alpha_pattern={"attn": 5},
        ),
    )
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter))
    model.save_pretrained(tmp_path / "adapter")
    assert load_file(tmp_path / "adapter" / adapter.WEIGHTS)
    folded = open_checkpoint(tmp_path / "adapter", base)
    assert set(folded.changes) == {"wte.weight", "attn.weight", "square.weight", "up.weight"}
    for name, expected in model.merge_and_unload().state_dict().items():
        torch.testing.assert_close(whole(folded, name), expected, rtol=0, atol=1e-5)
