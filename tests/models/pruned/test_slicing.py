# ruff: noqa: E402
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.models.pruned import tiny

from harmonia.core.errors import InputError
from harmonia.models.pruned import FAMILIES, Cut, family_of, shallower, sliced

ENCODERS, DECODERS = FAMILIES[0].model_types, FAMILIES[2].model_types
EVERY = [*ENCODERS, "gpt2", *DECODERS]


def made(kind, **options):
    if kind == "gpt2":
        return tiny.gpt2(**options)
    return tiny.bert(kind, **options) if kind in ENCODERS else tiny.llama(kind, **options)


def cuts_of(model, seed=0):
    """Return random cuts of every consumer, each of its own size."""
    draw, cuts = np.random.default_rng(seed), {}
    for slot in family_of(model).slots(model):
        kept = np.sort(draw.permutation(slot.units)[: draw.integers(1, slot.units + 1)])
        cuts[slot.name] = Cut(kept)
    return cuts


def columns(slot, kept):
    return (kept[:, None] * slot.run + np.arange(slot.run)).reshape(-1)


def masked(model, cuts, given):
    """Return the output of the whole model when units that go are set to zero where they are consumed."""
    hooks = []
    for slot in family_of(model).slots(model):
        mask = torch.zeros(slot.units * slot.run)
        mask[columns(slot, cuts[slot.name].kept)] = 1
        hook = model.get_submodule(slot.name).register_forward_pre_hook(lambda _, x, mask=mask: (x[0] * mask,))
        hooks.append(hook)
    try:
        return tiny.output(model, given)
    finally:
        for hook in hooks:
            hook.remove()


@pytest.mark.parametrize("kind", EVERY)
def test_slicing_is_masking(kind):
    model, given = made(kind), tiny.batch()
    cuts = cuts_of(model)
    whole, wanted, smaller = tiny.output(model, given), masked(model, cuts, given), sliced(model, cuts)
    found = tiny.output(smaller, given)
    valid = given.mask.bool()
    torch.testing.assert_close(found[valid], wanted[valid], rtol=0, atol=1e-5)
    assert (found - whole)[valid].abs().max() > 1e-2
    assert sum(p.numel() for p in smaller.parameters()) < sum(p.numel() for p in model.parameters())
    assert torch.equal(tiny.output(model, given), whole)  # the given model stays as it was


@settings(max_examples=8)
@given(st.integers(0, 2**32 - 1))
def test_any_cut_of_a_grouped_decoder_is_a_mask(seed):
    model, given = tiny.llama("qwen3", heads=6, groups=3, size=4, hidden=24, neurons=9, layers=1), tiny.batch()
    cuts = cuts_of(model, seed)
    found, wanted = tiny.output(sliced(model, cuts), given), masked(model, cuts, given)
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", ["bert", "gpt2", "llama"])
def test_removing_nothing_keeps_every_tensor(kind):
    model = made(kind)
    cuts = {slot.name: Cut(np.arange(slot.units)) for slot in family_of(model).slots(model)}
    same = sliced(model, cuts)
    for name, tensor in model.state_dict().items():
        assert same.state_dict()[name].data_ptr() == tensor.data_ptr()
    assert same.config.to_dict() == model.config.to_dict()
    # nor do weights that were in float64 in between
    repaired = {
        slot.name: Cut(np.arange(slot.units), *_dense(model, slot.name)) for slot in family_of(model).slots(model)
    }
    for name, tensor in sliced(model, repaired).state_dict().items():
        assert torch.equal(tensor, model.state_dict()[name])


def _dense(model, name):
    from harmonia.models.pruned.linear import matrix

    layer = model.get_submodule(name)
    return matrix(layer).double().numpy(), None if layer.bias is None else layer.bias.double().numpy()


@pytest.mark.parametrize("kind", ["bert", "gpt2", "llama"])
def test_the_consumer_gets_the_weights_it_is_given(kind):
    model, given = made(kind, layers=1), tiny.batch()
    slot = family_of(model).slots(model)[1]
    kept = np.arange(5, slot.units)
    draw = np.random.default_rng(0)
    weight, bias = draw.normal(size=(32, len(kept))), draw.normal(size=32)
    smaller = sliced(model, {slot.name: Cut(kept, weight, bias)})
    read = []
    hook = smaller.get_submodule(slot.name).register_forward_hook(lambda m, x, y: read.extend([x[0], y]))
    tiny.output(smaller, given)
    hook.remove()
    wanted = read[0].double() @ torch.from_numpy(weight).T + torch.from_numpy(bias)
    torch.testing.assert_close(read[1].double(), wanted, rtol=1e-4, atol=1e-5)


def test_tied_embeddings_stay_tied_and_shared():
    model = tiny.llama(tie_word_embeddings=True)
    smaller = sliced(model, cuts_of(model))
    assert smaller.lm_head.weight is smaller.model.embed_tokens.weight
    assert smaller.lm_head.weight is model.lm_head.weight


def test_bfloat16_stays():
    model = tiny.llama().to(torch.bfloat16)
    slot = family_of(model).slots(model)[1]
    smaller = sliced(model, {slot.name: Cut(np.arange(4), np.ones((32, 4)), np.zeros(32))})
    assert {p.dtype for p in smaller.parameters()} == {torch.bfloat16}


def test_a_pruned_model_can_be_pruned_again():
    model, given = tiny.llama(heads=8, groups=4, size=4), tiny.batch()
    slots = family_of(model).slots(model)
    once = sliced(model, {slot.name: Cut(np.arange(1, slot.units)) for slot in slots})
    twice = sliced(once, {slot.name: Cut(np.arange(1, slot.units - 1)) for slot in slots})
    direct = sliced(model, {slot.name: Cut(np.arange(2, slot.units)) for slot in slots})
    assert torch.equal(tiny.output(twice, given), tiny.output(direct, given))
    assert twice.config.num_key_value_heads == 2 and twice.config.num_attention_heads == 4


@pytest.mark.parametrize("kind", EVERY)
def test_fewer_layers_are_layers_that_pass_their_input_on(kind):
    model, given = made(kind, layers=3), tiny.batch()
    smaller = shallower(model, [0, 2])
    skipped = family_of(model).blocks(model)[1]
    hook = skipped.register_forward_hook(lambda m, x, y: (x[0], *y[1:]) if isinstance(y, tuple) else x[0])
    wanted = tiny.output(model, given)
    hook.remove()
    assert torch.equal(tiny.output(smaller, given), wanted)
    assert smaller.config.num_hidden_layers == 2 and model.config.num_hidden_layers == 3
    assert len(family_of(smaller).blocks(smaller)) == 2 and len(family_of(model).blocks(model)) == 3


@pytest.mark.parametrize("kind", ["gpt2", "llama", "qwen3", "smollm3"])
def test_generating_with_a_cache_is_generating_without(kind):
    model, given = made(kind, layers=3), tiny.batch((5,))
    smaller = shallower(sliced(model, {s.name: Cut(np.arange(1)) for s in family_of(model).slots(model)}), [1, 2])
    kwargs = {"attention_mask": given.mask, "max_new_tokens": 6, "do_sample": False, "eos_token_id": None}
    cached = smaller.generate(given.ids, use_cache=True, **kwargs)
    assert cached.shape == (1, 11)
    assert torch.equal(cached, smaller.generate(given.ids, use_cache=False, **kwargs))


def test_layers_of_a_gpt2_that_knows_their_number_cannot_move():
    model, given = tiny.gpt2(layers=3, scale_attn_by_inverse_layer_idx=True), tiny.batch()
    with pytest.raises(InputError, match="scales attention by the number of the layer"):
        shallower(model, [0, 2])
    assert tiny.output(shallower(model, [0, 1]), given).shape == (2, 7, tiny.WORDS)


def test_bad_cuts_are_refused():
    model = tiny.llama()
    down, output = "model.layers.0.mlp.down_proj", "model.layers.0.self_attn.o_proj"
    with pytest.raises(InputError, match="no consumer of units 'down'; it has model.layers.0.self_attn.o_proj, "):
        sliced(model, {"down": Cut(np.arange(3))})
    with pytest.raises(InputError, match=f"no neurons of {down} stay; remove less, or whole layers with structure="):
        sliced(model, {down: Cut(np.array([], np.int64))})
    for kept in ([0, 0], [1, 0], [-1, 0], [0, 2]):
        with pytest.raises(InputError, match=rf"heads of {output}: name those that stay .* from 0 to 1"):
            sliced(model, {output: Cut(np.array(kept))})
    with pytest.raises(InputError, match=rf"{down}: a new weight of shape \(32, 4\); \(32, 3\) are needed"):
        sliced(model, {down: Cut(np.arange(3), np.zeros((32, 4)))})
    with pytest.raises(InputError, match=rf"{down}: a new bias of shape \(3,\); \(32,\) are needed"):
        sliced(model, {down: Cut(np.arange(3), None, np.zeros(3))})
    with pytest.raises(InputError, match=f"{down}: the new weight holds numbers that are not finite"):
        sliced(model, {down: Cut(np.arange(3), np.full((32, 3), np.nan))})
    with pytest.raises(InputError, match=f"{down} has no bias and would gain one: allow fold_bias, or take .* as ls"):
        sliced(model, {down: Cut(np.arange(3), None, np.zeros(32))}, fold_bias=False)
    with pytest.raises(InputError, match="no layers of the model stay"):
        shallower(model, [])
    with pytest.raises(InputError, match="layers of the model: name those that stay in ascending order"):
        shallower(model, [0, 2])
    with torch.device("meta"):
        empty = tiny.llama()
    with pytest.raises(InputError, match="meta device"):
        sliced(empty, {})
