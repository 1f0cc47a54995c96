# ruff: noqa: E402
import json

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

import numpy as np
from tests.models.pruned import tiny

from harmonia.core.errors import InputError
from harmonia.models.pruned import (
    Cut,
    check_narrow,
    family_of,
    load,
    macs_per_token,
    narrow_outline,
    narrowed,
    parameters,
    save,
    shallower,
    sliced,
)

D = 32


def drawn(widths, seed=0):
    """Return bases of random directions."""
    draw = np.random.default_rng(seed)
    return [None if k is None else np.linalg.qr(draw.normal(size=(D, D)))[0][:, :k] for k in widths]


def scaled(model):
    """Return the model with norms that are drawn too."""
    draw = torch.Generator().manual_seed(5)
    for name, tensor in model.named_parameters():
        if tensor.ndim == 1 and ("norm" in name or "ln_" in name):
            tensor.copy_(torch.randn(tensor.shape, generator=draw) * 0.3 + (name.endswith("weight")))
    return model


ALL = {
    **{kind: (lambda kind=kind: tiny.llama(kind), [D] * 5) for kind in ("llama", "mistral", "qwen3", "gemma")},
    "qwen2": (lambda: tiny.llama("qwen2"), [D, D, D, D, None]),
    "smollm3": (lambda: tiny.llama("smollm3"), [D, D, D, D, None]),
    "biases": (lambda: tiny.llama(attention_bias=True, mlp_bias=True), [D] * 5),
    "tied": (lambda: tiny.llama(tie_word_embeddings=True), [D] * 5),
    "gpt2": (tiny.gpt2, [D] * 5),
    "gpt2 ends": (tiny.gpt2, [None, D, D, D, None]),
    "one layer": (lambda: tiny.llama(layers=3), [None, None, None, D, None, None, None]),
    "one state": (lambda: tiny.gpt2(), [None, None, D, None, None]),
}


@pytest.mark.parametrize("case", ALL)
def test_turning_alone_leaves_outputs_as_they_are(case):
    make, widths = ALL[case]
    model, given = scaled(make()), tiny.batch()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    turned = narrowed(model, drawn(widths))
    wanted, found = (tiny.output(m, given)[given.mask.bool()] for m in (model, turned))
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-4)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert not hasattr(model.config, "harmonia") and type(turned) is type(model)


def low_rank(model, k, seed=3):
    """Make all that is written into hidden states of a Llama lie in k dimensions, and return a basis of them."""
    basis = torch.from_numpy(drawn([k], seed)[0]).float()
    for layer in model.model.layers:
        for writer in (layer.self_attn.o_proj, layer.mlp.down_proj):
            writer.weight.copy_(basis @ basis.T @ writer.weight)
    model.model.embed_tokens.weight.copy_(model.model.embed_tokens.weight @ basis @ basis.T)
    return basis


def test_channels_that_nothing_is_written_to_go_without_loss():
    model, given = scaled(tiny.llama()), tiny.batch()
    basis = low_rank(model, 16)
    # any basis of the same dimensions will do, another one for each state
    turns = [
        torch.from_numpy(np.linalg.qr(np.random.default_rng(i).normal(size=(16, 16)))[0]).float() for i in range(5)
    ]
    narrow = narrowed(model, [basis @ turn for turn in turns])
    wanted, found = (tiny.output(m, given)[given.mask.bool()] for m in (model, narrow))
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-4)
    assert narrow.model.embed_tokens.weight.shape == (tiny.WORDS, 16) and narrow.lm_head.weight.shape == (
        tiny.WORDS,
        16,
    )


def test_the_mean_of_a_layer_norm_is_a_channel_less():
    """What is centred has D - 1 dimensions: those across the vector of ones."""
    ones = np.ones((D, 1)) / np.sqrt(D)
    across = np.linalg.svd(np.eye(D) - ones @ ones.T)[0][:, : D - 1]
    model, given = scaled(tiny.gpt2()), tiny.batch()
    narrow = narrowed(model, [across] * 5)
    wanted, found = (tiny.output(m, given)[given.mask.bool()] for m in (model, narrow))
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-4)
    assert narrow.transformer.wte.weight.shape[1] == D - 1


def halved(model):
    """Return the model with half of its heads, and a third of its neurons in the second layer."""
    slots = family_of(model).slots(model)
    return sliced(model, {s.name: Cut(np.arange(s.units // (3 if s.layer and s.run == 1 else 2))) for s in slots})


SAVED = {
    "llama": (lambda: tiny.llama(), [24, 16, 24, 8, None]),
    "tied": (lambda: tiny.llama(tie_word_embeddings=True), [16] * 5),
    "tied ends": (lambda: tiny.llama(tie_word_embeddings=True), [None, 16, 16, 16, None]),
    "gemma": (lambda: tiny.llama("gemma"), [16, 16, 16, 16, None]),
    "gpt2": (tiny.gpt2, [24] * 5),
    "neurons and heads too": (lambda: halved(tiny.llama(heads=8, groups=4, size=4)), [16] * 5),
    "classifier": (
        lambda: tiny.drawn(transformers.AutoModelForSequenceClassification, tiny.llama().config, 0),
        [16, 16, 16, 16, None],
    ),
}


@pytest.mark.parametrize("case", SAVED)
def test_folders_load_bit_for_bit_and_only_with_our_loader(case, tmp_path):
    make, widths = SAVED[case]
    model, given = make(), tiny.batch()
    narrow = narrowed(scaled(model), drawn(widths))
    assert not save(narrow, tmp_path / "m")
    again = load(tmp_path / "m")
    assert type(again) is type(model)
    assert torch.equal(tiny.output(again, given), tiny.output(narrow, given))
    assert {n: t.shape for n, t in again.state_dict().items()} == {n: t.shape for n, t in narrow.state_dict().items()}
    assert json.loads((tmp_path / "m/config.json").read_text())["harmonia"]["pruned"]["hidden"] == widths
    with pytest.raises((RuntimeError, ValueError)):
        type(model).from_pretrained(tmp_path / "m", local_files_only=True)
    save(again, tmp_path / "n")
    assert torch.equal(tiny.output(load(tmp_path / "n"), given), tiny.output(narrow, given))
    half = narrow.to(torch.bfloat16)
    save(half, tmp_path / "h")
    halved = load(tmp_path / "h")
    assert halved.dtype == torch.bfloat16 and torch.isfinite(tiny.output(halved, given)).all()
    assert all(torch.equal(tensor, half.state_dict()[name]) for name, tensor in halved.state_dict().items())


@pytest.mark.parametrize(("make", "widths"), [(tiny.llama, [24, 16, 24, 8, None]), (tiny.gpt2, [24] * 5)])
def test_text_is_generated_with_a_cache_as_without(make, widths, tmp_path):
    save(narrowed(make(), drawn(widths)), tmp_path / "m")
    model, given = load(tmp_path / "m"), tiny.batch((6,))
    asked = {"input_ids": given.ids, "attention_mask": given.mask, "max_new_tokens": 8, "do_sample": False}
    with_cache = model.generate(**asked)
    assert with_cache.shape[1] > 6 and torch.equal(with_cache, model.generate(**asked, use_cache=False))
    with torch.no_grad():
        states = model(input_ids=given.ids, output_hidden_states=True).hidden_states
    assert [state.shape[-1] for state in states] == [k or D for k in widths[::2]]


def test_tied_weights_are_shared_no_longer_where_either_end_changes():
    tied = tiny.llama(tie_word_embeddings=True)
    for widths, shared in (([16] * 5, False), ([16] * 4 + [None], False), ([None, 16, 16, 16, None], True)):
        narrow = narrowed(tied, drawn(widths))
        assert (narrow.lm_head.weight is narrow.model.embed_tokens.weight) is shared
        assert narrow.config.tie_word_embeddings is shared
    assert tied.config.tie_word_embeddings and tied.lm_head.weight is tied.model.embed_tokens.weight


def test_matrices_between_hidden_states_are_counted():
    model, k, width = tiny.llama(), 16, D
    narrow = narrowed(model, drawn([k] * 4 + [None]))
    read = 2 * (32 + 16 + 16 + 2 * 48) * k  # queries, keys, values, gate and up
    written = (32 + 48) * k + 32 * k + 48 * width  # the last layer gives all channels
    between = 3 * k * k + k * width
    head = tiny.WORDS * width
    assert parameters(narrow) == tiny.WORDS * k + read + written + between + head + width  # and the last norm
    assert macs_per_token(narrow, 8) == read + written + between + head + 2 * 8 * 2 * 32
    outline = narrow_outline(model, [k] * 4 + [None])
    assert parameters(outline) == parameters(narrow) and all(tensor.is_meta for tensor in outline.parameters())
    assert {n: t.shape for n, t in outline.state_dict().items()} == {n: t.shape for n, t in narrow.state_dict().items()}


REFUSED = [
    (tiny.bert, [16] * 5, "from this model of type 'bert': its blocks are not"),
    (lambda: tiny.bert("roberta-prelayernorm"), [16] * 5, "of type 'roberta-prelayernorm'"),
    (lambda: tiny.llama("gemma2"), [16] * 5, "of type 'gemma2'.* take structure=both, neurons or heads"),
    (lambda: tiny.llama("granite", residual_multiplier=0.5), [16] * 5, "of type 'granite'"),
    (lambda: tiny.gpt2(add_cross_attention=True), [16] * 5, "of type 'gpt2'"),
    (tiny.gpt2, [16] * 4 + [None], "as many channels as its embeddings have: take structure.spare_head=false"),
    (lambda: tiny.llama().model, [16] * 5, "LlamaModel has no head over words .* structure.spare_head=true"),
    (tiny.llama, [16] * 4, "4 widths of hidden states, and 2 blocks have 5"),
    (lambda: narrowed(tiny.llama(), drawn([16] * 5)), [8] * 5, "turned and cut already: begin with the dense one"),
]


@pytest.mark.parametrize(("make", "widths", "said"), REFUSED)
def test_models_that_cannot_be_cut_are_named(make, widths, said):
    model = make()
    for work in (check_narrow, narrow_outline):
        with pytest.raises(InputError, match=said) as caught:
            work(model, widths)
        assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match=said):
        narrowed(model, drawn(widths))


def test_other_bad_input():
    with pytest.raises(InputError, match=r"hidden state 1: a basis of shape \(31, 8\) for 32 channels"):
        narrowed(tiny.llama(), [None, np.zeros((31, 8)), None, None, None])
    narrow = narrowed(tiny.llama(), drawn([16] * 5))
    with pytest.raises(InputError, match="so that no layer can be left out"):
        shallower(narrow, [1])
    assert all(slot.stream is None for slot in family_of(narrow).slots(narrow))
    with torch.device("meta"):
        model = tiny.llama()
    with pytest.raises(InputError, match="meta device"):
        narrowed(model, drawn([16] * 5))


@pytest.mark.parametrize(
    ("hidden", "message"),
    [
        (3, "hidden must be a list of sizes up to 32, or null"),
        ([16, 16, 16, 16, 0], "hidden must be a list of sizes up to 32"),
        ([16, 16, 16, 16, 64], "hidden must be a list of sizes up to 32"),
        ([16, 16], "hidden names 2 hidden states, and 2 layers have 5"),
        ([16, 16, 16, 8, 16], r"has the shape \["),
    ],
)
def test_a_damaged_description_is_named(hidden, message, tmp_path):
    save(narrowed(tiny.llama(), drawn([16] * 5)), tmp_path / "m")
    file = tmp_path / "m/config.json"
    config = json.loads(file.read_text())
    config["harmonia"]["pruned"]["hidden"] = hidden
    file.write_text(json.dumps(config))
    with pytest.raises(InputError, match=message):
        load(tmp_path / "m")
