"""Adapters merged as adapters: against the folded merge, against PEFT, and what is refused."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.data.checkpoints.saved import drawn, saved
from tests.data.checkpoints.test_adapter import adapted, whole

from harmonia.core.errors import InputError
from harmonia.data.checkpoints import adapter, fold, open_checkpoint
from harmonia.merge.adapters import merge_adapters
from harmonia.merge.plan import plan
from harmonia.merge.streaming import merge
from harmonia.merge.weights import (
    Breadcrumbs,
    DareLinear,
    Linear,
    ModelStock,
    Pcb,
    RegMean,
    Sce,
    Slerp,
    TaskArithmetic,
    Ties,
)
from harmonia.merge.weights.adamerging import AdaMerging

UP, DOWN, Q = (f"model.layers.{place}" for place in ("0.mlp.up_proj", "0.mlp.down_proj", "1.q_proj"))
SHAPES = {f"{UP}.weight": (10, 6), f"{DOWN}.weight": (6, 10), f"{Q}.weight": (6, 6), "norm.weight": (6,)}


def factors(seed, **ranks):
    """Factors of some modules, each of its own rank."""
    names = {"up": UP, "down": DOWN, "q": Q}
    found = {}
    for place, (word, rank) in enumerate(ranks.items()):
        out, into = SHAPES[f"{names[word]}.weight"]
        held = drawn(10 * seed + place, {"A": (rank, into), "B": (out, rank)}, scale=0.3)
        found |= {f"{names[word]}.lora_A.weight": held["A"], f"{names[word]}.lora_B.weight": held["B"]}
    return found


@pytest.fixture
def base(tmp_path):
    return open_checkpoint(saved(tmp_path / "base", shapes=SHAPES))


@pytest.fixture
def adapters(tmp_path):
    """Three adapters of one base with modules, ranks and scales of their own."""
    one = adapted(tmp_path / "law", factors(1, up=2, q=3), base_model_name_or_path="b", target_modules=["up_proj"])
    two = adapted(
        tmp_path / "code",
        factors(2, up=3, down=2),
        use_rslora=True,
        alpha_pattern={r"mlp\.down_proj": 7},
        base_model_name_or_path="b",
    )
    three = adapted(tmp_path / "mail", factors(3, up=1, down=1, q=1), lora_alpha=1, base_model_name_or_path="b")
    return [one, two, three]


def folded(rule, adapters, base, folder, counts, seed=0):
    merge(plan([fold(path, base) for path in adapters], base), rule, folder, counts=counts, seed=seed)
    return load_file(folder / "model.safetensors")


def same_as_folded(rule, adapters, base, tmp_path, counts=(1.0, 0.5, -0.25), atol=1e-6, **options):
    told = merge_adapters(adapters, tmp_path / "one", rule=rule, counts=counts, **options)
    expected = folded(rule, adapters, base, tmp_path / "folded", counts)
    made = open_checkpoint(tmp_path / "one", base)
    for name in SHAPES:
        torch.testing.assert_close(whole(made, name), expected[name], rtol=0, atol=atol)
    return told


@pytest.mark.parametrize(
    "rule",
    [
        Linear(),
        TaskArithmetic(scaling=0.7),
        TaskArithmetic(normalize=True, scaling="1/n"),
        AdaMerging(granularity="task", coefficients={"model": (0.2, 0.3, 0.9)}),
        AdaMerging(granularity="layer", coefficients={"0": (0.2, 0.3, 0.9), "1": (1, 1, 0), "norm": (0, 0, 0)}),
    ],
    ids=repr,
)
def test_sums_are_exact_side_by_side(rule, adapters, base, tmp_path):
    told = same_as_folded(rule, adapters, base, tmp_path)
    assert told["exact"] and told["error"] == 0 and told["rank"] == 6 and told["modules"] == 3
    held = load_file(tmp_path / "one" / adapter.WEIGHTS)
    assert held[f"base_model.model.{UP}.lora_A.weight"].shape == (6, 6)
    assert held[f"base_model.model.{Q}.lora_B.weight"].shape == (6, 4)


@pytest.mark.parametrize(
    "rule",
    [
        Ties(scope="tensor", density=0.4),
        Breadcrumbs(density=0.7, gamma=0.1),
        Sce(density=0.5),
        AdaMerging(granularity="task", coefficients={"model": (0.2, 0.3, 0.9)}, density=1.0),
    ],
    ids=lambda rule: rule.kind,
)
def test_other_rules_at_full_rank_are_the_folded_merge(rule, adapters, base, tmp_path):
    """Where the base is 0 in the folded merge too, there is nothing that its rounding could turn."""
    base = open_checkpoint(saved(tmp_path / "zero", {name: torch.zeros(shape) for name, shape in SHAPES.items()}))
    adapters = [
        adapted(tmp_path / f"full{i}", factors(i + 5, up=6, down=6, q=6), base_model_name_or_path="b") for i in range(3)
    ]
    told = same_as_folded(rule, adapters, base, tmp_path, counts=(1.0, 0.5, 0.25), atol=1e-5)
    assert told["rank"] == 6 and told["error"] < 1e-6


def test_model_stock_goes_the_same_way(adapters, base, tmp_path):
    zero = open_checkpoint(saved(tmp_path / "zero", {name: torch.zeros(shape) for name, shape in SHAPES.items()}))
    same_as_folded(ModelStock(), adapters, zero, tmp_path, counts=(1.0, 1.0, 1.0), atol=1e-5)


@pytest.mark.parametrize("rank", [1, 2, 4])
def test_a_lower_rank_is_the_nearest_and_says_what_it_lost(rank, adapters, base, tmp_path):
    exact = merge_adapters(adapters, tmp_path / "exact", rule=TaskArithmetic())
    told = merge_adapters(adapters, tmp_path / "low", rule=TaskArithmetic(), rank=rank)
    high, low = (open_checkpoint(tmp_path / name, base) for name in ("exact", "low"))
    lost = size = 0.0
    for module in (UP, DOWN, Q):
        theirs, ours = (whole(m, f"{module}.weight").double() for m in (high, low))
        change = theirs - whole(base, f"{module}.weight")
        values = torch.linalg.svdvals(change)
        cut = float((theirs - ours).square().sum())
        assert cut == pytest.approx(float(values[rank:].square().sum()), abs=1e-5)
        assert told["errors"][module] == pytest.approx((cut / float(change.square().sum())) ** 0.5, abs=1e-3)
        lost, size = lost + cut, size + float(change.square().sum())
    assert told["error"] == pytest.approx((lost / size) ** 0.5, abs=1e-3) and told["rank"] == rank
    assert exact["error"] == 0 and told["parameters"] < exact["parameters"]


def test_draws_depend_on_the_seed_and_not_on_the_order(adapters, base, tmp_path):
    def made(name, paths, seed=0):
        merge_adapters(paths, tmp_path / name, rule=DareLinear(density=0.5), seed=seed, rank=6)
        return whole(open_checkpoint(tmp_path / name, base), f"{UP}.weight")

    first = made("a", adapters)
    assert torch.equal(first, made("b", adapters)) and not torch.equal(first, made("c", adapters, seed=1))
    torch.testing.assert_close(first, made("d", adapters[::-1]), rtol=0, atol=1e-5)


def test_ties_and_pcb_over_all_modules(adapters, base, tmp_path):
    for place, rule in enumerate((Ties(density=0.2), Pcb())):
        told = merge_adapters(adapters, tmp_path / str(place), rule=rule)
        assert 0 < told["error"] < 1 and not told["exact"] and told["rank"] == 6


def test_types_and_settings(adapters, base, tmp_path):
    merge_adapters(adapters, tmp_path / "one", rule=Linear(), dtype="bfloat16", base="elsewhere")
    assert {t.dtype for t in load_file(tmp_path / "one" / adapter.WEIGHTS).values()} == {torch.bfloat16}
    settings = json.loads((tmp_path / "one" / adapter.CONFIG).read_text())
    assert settings["base_model_name_or_path"] == "elsewhere" and settings["r"] == settings["lora_alpha"] == 6
    assert settings["rank_pattern"] == settings["alpha_pattern"] == {Q: 4, DOWN: 3}
    assert settings["target_modules"] == sorted([UP, DOWN, Q]) and settings["use_rslora"] is False


def refused(message, paths, folder, **options):
    with pytest.raises(InputError, match=message):
        merge_adapters(paths, folder, **{"rule": Linear(), **options})
    assert not (folder / adapter.WEIGHTS).exists() and not (folder / adapter.CONFIG).exists()


def test_what_cannot_be_merged(adapters, base, tmp_path):
    out, one = tmp_path / "out", adapters[0]
    refused("law is named twice", [one, one], out)
    refused("base is not an adapter: it has no adapter_config.json", [one, base.folder], out)
    other = adapted(tmp_path / "o", factors(7, up=1), base_model_name_or_path="c")
    refused("law is an adapter of b and .*o of c: only adapters of one base", [one, other], out)
    wide = {f"{UP}.lora_A.weight": torch.ones(2, 7), f"{UP}.lora_B.weight": torch.ones(10, 2)}
    wide = adapted(tmp_path / "w", wide, base_model_name_or_path="b")
    refused("up_proj is 10 x 6 in .*law and 10 x 7 in .*w: are these adapters of one base", [one, wide], out)
    head = adapted(tmp_path / "h", factors(1, up=1) | {"lm_head.weight": torch.ones(2, 2)})
    refused("holds lm_head.weight, which was trained whole and is no factor", [head], out)
    dora = adapted(tmp_path / "d", factors(1, up=1), use_dora=True)
    refused("uses use_dora, which is not W . s B A", [dora], out)
    moved = adapted(tmp_path / "p", factors(1, up=1), init_lora_weights="pissa_niter_4")
    refused("uses init_lora_weights=pissa_niter_4, which is not W . s B A", [moved], out)
    with pytest.raises(InputError, match="init_lora_weights=pissa"):
        fold(moved, base)
    odd = factors(1, up=1)
    odd[f"{UP}.lora_B.weight"][0, 0] = float("nan")
    odd = adapted(tmp_path / "n", odd, base_model_name_or_path="b")
    refused("lora_B.weight has NaN or infinite numbers: leave this adapter out", [one, odd], out)
    refused("rank 0: an adapter has a rank of at least 1", [one], out, rank=0)
    refused("weights=slerp merges whole weights", adapters[:2], out, rule=Slerp())
    refused("weights=regmean merges whole weights", adapters, out, rule=RegMean())
    refused("linear without normalize multiplies the base", adapters, out, rule=Linear(normalize=False))
    refused("2 weights for 3 experts", adapters, out, counts=[1, 2])
    refused("ada-merging fits its coefficients to text", adapters, out, rule=AdaMerging())
    with pytest.raises(InputError, match="is an input as well"):
        merge_adapters(adapters, one, rule=Linear())
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    refused("full is not empty", adapters, tmp_path / "full")
    save_file({"x": torch.ones(1)}, one / adapter.WEIGHTS)
    refused("holds x, which was trained whole", [one], out)


@pytest.fixture
def tuned(tmp_path):
    """A network of layers of several kinds with three adapters of PEFT in it, saved too."""
    peft = pytest.importorskip("peft")
    conv1d = pytest.importorskip("transformers.pytorch_utils").Conv1D
    torch.manual_seed(0)

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.wte = torch.nn.Embedding(20, 8)
            self.attn = conv1d(24, 8)
            self.up = torch.nn.Linear(24, 12)
            self.down = torch.nn.Linear(12, 8)

        def forward(self, ids):
            return self.down(self.up(self.attn(self.wte(ids))).relu())

    settings = {
        "law": {"r": 3, "lora_alpha": 7, "target_modules": ["wte", "attn", "up"]},
        "code": {"r": 2, "lora_alpha": 3, "target_modules": ["attn", "up", "down"], "use_rslora": True},
        "mail": {"r": 2, "target_modules": ["up", "attn"], "rank_pattern": {"attn": 4}, "alpha_pattern": {"attn": 5}},
    }
    net = Net()
    weights = {name: value.clone() for name, value in net.state_dict().items()}

    def fresh():
        again = Net()
        again.load_state_dict(weights)
        return again

    model = None
    for name, own in settings.items():
        config = peft.LoraConfig(**own, fan_in_fan_out=False)
        model = peft.get_peft_model(net, config, name) if model is None else model
        if name not in model.peft_config:
            model.add_adapter(name, config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_" in name:
                parameter.copy_(0.3 * torch.randn_like(parameter))
    model.save_pretrained(tmp_path)
    return peft, model, fresh, [tmp_path / name for name in settings]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("way", "rank"), [("cat", None), ("svd", 3)])
def test_as_peft_combines_them(tuned, tmp_path, way, rank):
    peft, model, fresh, folders = tuned
    counts = [1.0, 0.5, -0.7]
    told = merge_adapters(folders, tmp_path / "one", rule=TaskArithmetic(), counts=counts, rank=rank)
    assert told["rank"] == (rank or 9) and told["modules"] == 4
    model.add_weighted_adapter(["law", "code", "mail"], counts, "all", combination_type=way, svd_rank=rank)
    model.set_adapter("all")
    ids = torch.arange(20)[None]
    loaded = peft.PeftModel.from_pretrained(fresh(), tmp_path / "one")
    torch.testing.assert_close(loaded(ids), model(ids), rtol=0, atol=1e-5)
    merged, expected = loaded.merge_and_unload().state_dict(), model.merge_and_unload().state_dict()
    for name, value in expected.items():
        torch.testing.assert_close(merged[name], value, rtol=0, atol=2e-6)
