# ruff: noqa: E402
import json

import pytest

torch = pytest.importorskip("torch")

from harmonia.core.errors import InputError
from harmonia.models.llama import Llama, LlamaConfig, rotary, rotate

SHAPES = {
    "tied, grouped heads": LlamaConfig(vocab_size=50, width=32, layers=2, heads=4, kv_heads=2, context=16),
    "untied, one kv head": LlamaConfig(
        vocab_size=50,
        width=24,
        layers=1,
        heads=3,
        kv_heads=1,
        hidden=40,
        context=16,
        tie_embeddings=False,
        rope_theta=500.0,
        norm_eps=1e-6,
    ),
    "full heads": LlamaConfig(vocab_size=50, width=16, layers=3, heads=2, kv_heads=2, context=16),
}


def tokens(batch=3, length=16, seed=0):
    return torch.randint(0, 50, (batch, length), generator=torch.Generator().manual_seed(seed))


@pytest.fixture(params=SHAPES, ids=list(SHAPES))
def model(request):
    made = Llama(SHAPES[request.param], seed=1)
    with torch.no_grad():  # far from the start, so that every weight matters
        for weight in made.parameters():
            weight.add_(0.3 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(weight.numel())))
    return made.eval()


def test_transformers_computes_the_same_logits(model, tmp_path):
    transformers = pytest.importorskip("transformers")
    model.save(tmp_path)
    theirs, report = transformers.AutoModelForCausalLM.from_pretrained(tmp_path, output_loading_info=True)
    assert not report["missing_keys"] and not report["unexpected_keys"]
    x = tokens()
    with torch.no_grad():
        torch.testing.assert_close(model(x), theirs.eval()(x).logits, rtol=1e-5, atol=1e-5)


def test_load_undoes_save_and_reads_what_transformers_writes(model, tmp_path):
    transformers = pytest.importorskip("transformers")
    x = tokens()
    model.save(tmp_path / "own")
    again = Llama.load(tmp_path / "own")
    assert again.config.to_hub() == model.config.to_hub()
    assert torch.equal(again.eval()(x), model(x))
    transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "own").save_pretrained(tmp_path / "theirs")
    assert torch.equal(Llama.load(tmp_path / "theirs").eval()(x), model(x))


def test_no_token_sees_the_future(model):
    x = tokens()
    changed = x.clone()
    changed[:, 10:] = (changed[:, 10:] + 1) % 50
    with torch.no_grad():
        torch.testing.assert_close(model(x)[:, :10], model(changed)[:, :10])
        assert (model(x)[:, 10:] - model(changed)[:, 10:]).abs().max() > 1e-3


def test_rotary_scores_depend_on_distance_alone():
    cos, sin = rotary(12, 8, 100.0)
    q, k = torch.randn(2, 8, generator=torch.Generator().manual_seed(0)).double()

    def score(i, j):
        return rotate(q, cos[i].double(), sin[i].double()) @ rotate(k, cos[j].double(), sin[j].double())

    for shift in range(1, 8):
        assert float(score(3 + shift, shift)) == pytest.approx(float(score(3, 0)), abs=1e-6)
    assert float(score(5, 5)) == pytest.approx(float(q @ k), abs=1e-6)


def test_seed_decides_the_weights_and_the_callers_generator_stays():
    config = SHAPES["full heads"]
    torch.manual_seed(7)
    before = torch.random.get_rng_state()
    a, b, c = Llama(config, 0), Llama(config, 0), Llama(config, 1)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters(), strict=True))
    assert not torch.equal(a.lm_head.weight, c.lm_head.weight)


def test_initial_loss_is_that_of_a_uniform_guess():
    logits = Llama(LlamaConfig(vocab_size=50, width=64, context=16))(tokens())
    loss = torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), tokens()[:, 1:].flatten())
    assert loss.item() == pytest.approx(torch.log(torch.tensor(50.0)).item(), abs=0.1)


def test_bad_shapes_and_files_are_named(tmp_path):
    with pytest.raises(InputError, match="width 30 must be an even multiple of heads 4"):
        LlamaConfig(vocab_size=50, width=30)
    with pytest.raises(InputError, match="heads 4 must be a multiple of kv_heads 3"):
        LlamaConfig(vocab_size=50, kv_heads=3)
    with pytest.raises(InputError, match="17 tokens do not fit the context of 16"):
        Llama(SHAPES["full heads"])(tokens(1, 17))
    with pytest.raises(InputError, match=r"holds no config\.json"):
        Llama.load(tmp_path)
    Llama(SHAPES["full heads"]).save(tmp_path)
    record = json.loads((tmp_path / "config.json").read_text())
    for change, message in (
        ({"model_type": "gpt2"}, "describes a 'gpt2' model"),
        ({"mlp_bias": True}, "asks for mlp_bias"),
        ({"rope_parameters": {"rope_type": "yarn"}}, "rope_type 'yarn'"),
        ({"head_dim": 4}, "head_dim 4"),
        ({"num_hidden_layers": 2}, "does not fit"),
        ({"vocab_size": 60}, r"embed_tokens.* does not fit"),
    ):
        (tmp_path / "config.json").write_text(json.dumps({**record, **change}))
        with pytest.raises(InputError, match=message):
            Llama.load(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(record))
    (tmp_path / "model.safetensors").write_bytes(b"nonsense")
    with pytest.raises(InputError, match="is damaged"):
        Llama.load(tmp_path)
