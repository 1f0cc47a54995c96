# ruff: noqa: E402
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

import numpy as np
from pydantic import TypeAdapter, ValidationError
from tests.models.pruned import tiny

from harmonia.compress.structure import AnyStructure, Both, Depth, Heads, Hidden, Neurons
from harmonia.core.errors import InputError
from harmonia.models.pruned import Cut, macs_per_token, parameters, sliced
from harmonia.models.pruned.linear import matrix

MODELS = {
    "bert": tiny.bert,
    "gpt2": tiny.gpt2,
    "llama": tiny.llama,
    "qwen2": lambda: tiny.llama("qwen2"),
    "qwen3": lambda: tiny.llama("qwen3", size=6, heads=6, groups=3),
}


def test_parts_offer_their_kind_of_units():
    model = tiny.llama()
    assert [site.kind for site in Both().sites(model, 8)] == ["heads", "neurons"] * 2
    assert [site.kind for site in Heads().sites(model, 8)] == ["heads"] * 2
    assert [(site.kind, site.layer) for site in Neurons().sites(model, 8)] == [("neurons", 0), ("neurons", 1)]
    assert Depth().sites(model, 8) == []


@pytest.mark.parametrize("name", MODELS)
def test_a_unit_costs_what_its_removal_saves(name):
    model, length = MODELS[name](), 6
    for site in Both().sites(model, length):
        smaller = sliced(model, {site.name: Cut(np.arange(1, site.units))})
        assert parameters(model) - parameters(smaller) == site.parameters
        assert macs_per_token(model, length) - macs_per_token(smaller, length) == pytest.approx(site.macs)


def test_a_head_of_llama_is_worth_4_d_h_over_3_neurons():
    model = tiny.llama(heads=4, groups=4, size=8, hidden=32)
    heads, neurons = Both().sites(model, 1)[:2]
    assert heads.parameters / neurons.parameters == pytest.approx(4 * 8 / 3)
    # s heads of sequences of s tokens: 3 s D d_h + 2 s^2 d_h + s d_h D multiplications, 3 s D for a gated neuron
    s, width, size = 7, 32, 8
    heads, neurons = Both().sites(model, s)[:2]
    assert heads.macs * s == 3 * s * width * size + 2 * s * s * size + s * size * width
    assert neurons.macs * s == 3 * s * width


@pytest.mark.parametrize("name", MODELS)
def test_sites_show_the_consumer(name):
    model = MODELS[name]()
    for site in Both().sites(model, 4):
        layer = model.get_submodule(site.name)
        assert site.weight.shape == (32, site.units * site.run)
        assert torch.equal(site.weight, matrix(layer))
        x = torch.randn(3, site.units * site.run, generator=torch.Generator().manual_seed(0))
        wanted = x @ site.weight.T + (0 if site.bias is None else site.bias)
        torch.testing.assert_close(layer(x), wanted)


def test_layers_are_spared():
    model = tiny.llama(layers=4)
    assert {site.layer for site in Both(spare_first=1, spare_last=1).sites(model, 4)} == {1, 2}
    with pytest.raises(InputError, match="spare_first=3 and spare_last=1 leave nothing of 4 layers"):
        Both(spare_first=3, spare_last=1).sites(model, 4)
    with pytest.raises(ValidationError, match="spare_first"):
        Both(spare_first=-1)


def test_parts_by_name():
    adapter = TypeAdapter(AnyStructure)
    for kind, part in (("both", Both), ("heads", Heads), ("neurons", Neurons), ("hidden", Hidden), ("depth", Depth)):
        assert adapter.validate_python({"kind": kind}) == part()


def test_a_model_without_values():
    with torch.device("meta"):
        model = tiny.llama()
    with pytest.raises(InputError, match="meta device"):
        Both().sites(model, 4)
