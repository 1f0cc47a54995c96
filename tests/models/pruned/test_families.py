# ruff: noqa: E402
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

import numpy as np
from tests.models.pruned import tiny

from harmonia.core.errors import InputError
from harmonia.models.pruned import FAMILIES, check_loaded, family_of
from harmonia.models.pruned.family import Producer


def sizes(model):
    return [(slot.kind, slot.layer, slot.units, slot.run) for slot in family_of(model).slots(model)]


def test_a_llama_group_is_a_key_value_head_with_its_query_heads():
    model = tiny.llama(heads=6, groups=2, size=4, hidden=24, neurons=20, layers=1)
    heads, neurons = family_of(model).slots(model)
    assert (heads.name, heads.units, heads.run) == ("model.layers.0.self_attn.o_proj", 2, 12)
    assert [(producer.name[-6:], producer.run) for producer in heads.producers] == [
        ("q_proj", 12),
        ("k_proj", 4),
        ("v_proj", 4),
    ]
    assert (neurons.name, neurons.units, neurons.run) == ("model.layers.0.mlp.down_proj", 20, 1)


def test_sizes_of_heads_come_from_the_model_and_not_from_its_width():
    model = tiny.llama("qwen3", heads=4, groups=4, size=6, hidden=32, layers=1)
    assert sizes(model)[0] == ("heads", 0, 4, 6)


def test_gpt2_gives_queries_keys_and_values_from_one_layer():
    model = tiny.gpt2(layers=1, n_inner=40)
    heads, neurons = family_of(model).slots(model)
    assert heads.producers == (Producer("transformer.h.0.attn.c_attn", 8, parts=3),)
    assert heads.producers[0].rows(np.array([1]), 4).tolist() == [*range(8, 16), *range(40, 48), *range(72, 80)]
    assert neurons.units == 40


def test_names_are_those_of_the_model_at_hand():
    trunk = tiny.bert(layers=1)
    assert family_of(trunk).slots(trunk)[0].name == "encoder.layer.0.attention.output.dense"
    whole = tiny.bert(layers=1, auto=transformers.AutoModelForSequenceClassification)
    assert family_of(whole).slots(whole)[0].name == "bert.encoder.layer.0.attention.output.dense"


@pytest.mark.parametrize("kind", FAMILIES[0].model_types)
def test_every_encoder_named_as_supported_follows_the_pattern(kind):
    assert sizes(tiny.bert(kind)) == [(u, i, n, r) for i in (0, 1) for u, n, r in (("heads", 4, 8), ("neurons", 48, 1))]


@pytest.mark.parametrize("kind", FAMILIES[2].model_types)
def test_every_decoder_named_as_supported_follows_the_pattern(kind):
    wanted = [(u, i, n, r) for i in (0, 1) for u, n, r in (("heads", 2, 16), ("neurons", 48, 1))]
    assert sizes(tiny.llama(kind)) == wanted


def test_another_architecture_is_refused_by_name():
    config = transformers.T5Config(vocab_size=9, d_model=8, d_ff=8, num_layers=1, num_heads=1, d_kv=8)
    with pytest.raises(
        InputError, match=r"type 't5' cannot be pruned; supported: bert, roberta, .*gpt2, llama, mistral"
    ):
        family_of(transformers.T5EncoderModel(config))
    with pytest.raises(InputError, match="type 'Linear' cannot be pruned"):
        family_of(torch.nn.Linear(2, 2))


def test_a_quantised_or_wrapped_layer_is_refused_by_name():
    class Linear4bit(torch.nn.Linear):
        pass

    model = tiny.llama(layers=1)
    model.model.layers[0].mlp.up_proj = Linear4bit(32, 48, bias=False)
    with pytest.raises(InputError, match=r"layers.0.mlp.up_proj is a .* Linear4bit, .* without quantisation"):
        family_of(model).slots(model)


def test_layers_that_share_a_weight_are_refused():
    model = tiny.llama()
    model.model.layers[1].mlp.down_proj.weight = model.model.layers[0].mlp.down_proj.weight
    with pytest.raises(InputError, match=r"layers.1.mlp.down_proj and model.layers.0.mlp.down_proj share one weight"):
        family_of(model).slots(model)


def test_sizes_that_are_no_whole_units_are_refused():
    model = tiny.llama(layers=1)
    model.model.layers[0].self_attn.k_proj = torch.nn.Linear(32, 15, bias=False)
    with pytest.raises(InputError, match="k_proj has 15 features, which are no whole units of 8"):
        family_of(model).slots(model)
    model = tiny.llama(layers=1)
    model.model.layers[0].mlp.gate_proj = torch.nn.Linear(32, 47, bias=False)
    with pytest.raises(InputError, match="gate_proj gives 47 features, not 1 x 48 units of 1"):
        family_of(model).slots(model)
    model = tiny.llama(layers=1)
    model.model.layers[0].mlp.down_proj = torch.nn.Linear(47, 32, bias=False)
    with pytest.raises(InputError, match="down_proj takes 47 features, and 48 units of 1 are produced"):
        family_of(model).slots(model)
    del model.model.layers[0].mlp.down_proj
    with pytest.raises(InputError, match=r"model.layers.0 has no layer mlp.down_proj"):
        family_of(model).slots(model)


def test_a_model_without_values_is_refused():
    with torch.device("meta"):
        model = tiny.llama(layers=1)
    with pytest.raises(InputError, match="model.embed_tokens.weight is on the meta device"):
        check_loaded(model)
    model = tiny.llama(layers=1)
    model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.to(torch.int8), requires_grad=False)
    with pytest.raises(InputError, match=r"lm_head.weight is quantised \(torch.int8\)"):
        check_loaded(model)
