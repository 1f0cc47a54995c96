"""Tangent features of a real architecture: scores against gradients taken one by one, and every refusal."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from harmonia.core.errors import InputError
from harmonia.select.features.base import AligningEncoder
from harmonia.select.features.loss_gradient import LossGradient
from harmonia.select.features.mean_hidden import MeanHidden
from harmonia.select.features.probe_ntk import ProbeNTK
from harmonia.select.features.pseudo_ntk import PseudoNTK

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")

TARGETS = ("the cat sat.", "a dog ran home.", "cats and dogs.")
TEXTS = ["the cat ran.", "1 2 3 4", "zzz zzz", "a dog sat.", "x", "the bird flew over the house."]
KINDS = {"pseudo-ntk": PseudoNTK, "probe-ntk": ProbeNTK, "loss-gradient": LossGradient}


def encoder_of(model, kind="pseudo-ntk", **fields):
    defaults = {"target_texts": TARGETS, "rank": 2, "dtype": "float64"}
    return KINDS[kind](model=model, **(defaults | fields)).encoder([])


def scores_of(model, kind="pseudo-ntk", texts=TEXTS, targets=TARGETS, **fields):
    return encoder_of(model, kind, **fields).alignment(targets)(texts)


def features_by_hand(encoder, texts):
    """One row per text: the gradients of the summed logits, side by side over probes, by plain backward passes."""
    model = encoder.tangent.readout.model
    chosen = [p for n, p in encoder.tangent.readout.named_parameters() if n in encoder.tangent.theta]
    rows = []
    for text in texts:
        ids = torch.tensor(encoder.tokenizer([text])["input_ids"])
        row = []
        for u in encoder.tangent.readout.probes:
            for p in chosen:
                p.requires_grad_(True)
            value = (model(input_ids=ids).logits[0] @ u).mean()
            row += [g.flatten() for g in torch.autograd.grad(value, chosen)]
            for p in chosen:
                p.requires_grad_(False)
        rows.append(torch.cat(row))
    return torch.stack(rows).double().numpy() / np.sqrt(len(encoder.tangent.readout.probes))


@pytest.mark.parametrize("kind", ["pseudo-ntk", "probe-ntk"])
@pytest.mark.parametrize("scorer", ["forward", "reverse"])
def test_score_is_the_mean_kernel(tiny_gpt2, kind, scorer):
    encoder = encoder_of(tiny_gpt2, kind, scorer=scorer)
    assert isinstance(encoder, AligningEncoder)
    expected = (features_by_hand(encoder, TEXTS) @ features_by_hand(encoder, TARGETS).T).mean(axis=1)
    np.testing.assert_allclose(encoder.alignment(TARGETS)(TEXTS), expected, rtol=0, atol=1e-10 * np.abs(expected).max())


def test_forward_equals_reverse_on_llama(tiny_llama):
    # Llama normalises in float32 even when its weights are float64
    forward, reverse = (scores_of(tiny_llama, scorer=s) for s in ("forward", "reverse"))
    np.testing.assert_allclose(forward, reverse, atol=1e-6 * np.abs(reverse).max(), rtol=0)


@pytest.mark.parametrize("kind", list(KINDS))
def test_the_difference_agrees_and_is_what_auto_takes(tiny_llama, kind):
    fields = {"cosine": False, "dtype": "float32"}
    exact = scores_of(tiny_llama, kind, scorer="reverse", **fields)
    difference = scores_of(tiny_llama, kind, scorer="difference", **fields)
    assert np.abs(difference - exact).max() < 1e-3 * np.abs(exact).max()
    assert spearmanr(difference, exact)[0] == 1.0
    assert np.array_equal(scores_of(tiny_llama, kind, scorer="auto", **fields), difference)


def test_auto_falls_back_when_the_difference_disagrees(tiny_gpt2, monkeypatch):
    from harmonia.models import tangent_lm

    exact = scores_of(tiny_gpt2, scorer="reverse")
    monkeypatch.setattr(tangent_lm, "_STEP", 30.0)
    np.testing.assert_allclose(scores_of(tiny_gpt2, scorer="auto"), exact, atol=1e-10 * np.abs(exact).max(), rtol=0)

    def unsupported(*_):
        raise NotImplementedError

    monkeypatch.setattr(tangent_lm, "along_forward", unsupported)
    assert np.array_equal(scores_of(tiny_gpt2, scorer="auto"), exact)


@pytest.mark.parametrize("tokens", [1, 40, 10**5])
def test_batches_change_nothing(tiny_gpt2, tokens):
    base = scores_of(tiny_gpt2, scorer="forward")
    cut = scores_of(tiny_gpt2, scorer="forward", batch_tokens=tokens)
    np.testing.assert_allclose(cut, base, atol=1e-10 * np.abs(base).max(), rtol=0)
    score = encoder_of(tiny_gpt2, scorer="forward").alignment(TARGETS)
    alone = np.concatenate([score([text]) for text in TEXTS])
    np.testing.assert_allclose(alone, base, atol=1e-10 * np.abs(base).max(), rtol=0)
    assert score([]).shape == (0,)


def test_cosine_and_unit_targets(tiny_gpt2):
    encoder = encoder_of(tiny_gpt2)
    z, t = features_by_hand(encoder, TEXTS), features_by_hand(encoder, TARGETS)
    unit = t / np.linalg.norm(t, axis=1, keepdims=True)
    lengths = np.linalg.norm(z, axis=1)
    found = scores_of(tiny_gpt2, target_mean="unit", scorer="forward")
    np.testing.assert_allclose(found, (z @ unit.T).mean(axis=1), atol=1e-10 * np.abs(found).max(), rtol=0)
    found = scores_of(tiny_gpt2, cosine=True)
    np.testing.assert_allclose(found, (z @ unit.T).mean(axis=1) / lengths, atol=1e-10, rtol=0)
    assert scores_of(tiny_gpt2, cosine=True, texts=TARGETS[:1], targets=TARGETS[:1])[0] == pytest.approx(1, abs=1e-12)


def test_duplicated_targets_change_nothing_and_copies_score_alike(tiny_gpt2):
    base = scores_of(tiny_gpt2, scorer="forward")
    found = scores_of(tiny_gpt2, scorer="forward", targets=TARGETS * 2, texts=TEXTS + TEXTS)
    np.testing.assert_allclose(found, np.tile(base, 2), atol=1e-10 * np.abs(base).max(), rtol=0)


def test_projected_gradients_estimate_the_cosine(tiny_gpt2):
    encoder = encoder_of(tiny_gpt2, "probe-ntk", probes=2, vectors="gradient", dimension=4096)
    z = encoder(TEXTS)
    assert z.shape == (6, 4096) and z.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(z, axis=1), 1, atol=1e-6)
    g = features_by_hand(encoder, TEXTS)
    g /= np.linalg.norm(g, axis=1, keepdims=True)
    np.testing.assert_allclose(z @ z.T, g @ g.T, atol=5 / np.sqrt(4096))


def test_hidden_vectors_are_those_of_mean_hidden(tiny_llama):
    found = encoder_of(tiny_llama, score_at="base", dtype="float32")(TEXTS)
    np.testing.assert_allclose(found, MeanHidden(model=tiny_llama).encoder([])(TEXTS), atol=2e-6)


def test_warm_up_lowers_the_loss_of_the_target_and_moves_the_vectors(tiny_llama):
    from harmonia.models.tangent_lm import NextTokenLoss

    def loss(encoder):
        examples = encoder.examples(TARGETS)
        ((_, batch),) = encoder.tangent.batches(examples)
        with torch.no_grad():
            return float(NextTokenLoss(encoder.tangent.readout.model)(batch).mean())

    base = encoder_of(tiny_llama, score_at="base")
    warm = encoder_of(tiny_llama, warmup={"epochs": 20, "learning_rate": 1e-2})
    assert loss(warm) < loss(base) - 0.1
    assert np.abs(warm(TEXTS) - base(TEXTS)).max() > 1e-3


@pytest.mark.parametrize("parameters", ["lora", "head", "mlp"])
def test_same_seed_same_scores(tiny_llama, parameters):
    a, b = (scores_of(tiny_llama, parameters=parameters) for _ in range(2))
    assert np.array_equal(a, b)


def test_parameters_named_by_an_expression_are_the_model_s_own(tiny_llama):
    for at in ("warmup", "base"):
        theta = encoder_of(tiny_llama, parameters=r"layers\.0\..*q_proj", score_at=at).tangent.theta
        assert list(theta) == ["model.model.layers.0.self_attn.q_proj.weight"]
    assert all(".lora_" in name for name in encoder_of(tiny_llama).tangent.theta)


def test_merging_the_adapters_leaves_the_model_as_it_was(tiny_llama):
    warm = {"warmup": {"epochs": 3, "learning_rate": 1e-2}}
    np.testing.assert_allclose(encoder_of(tiny_llama, **warm)(TEXTS), _after_merge(tiny_llama, warm), atol=1e-5)


def _after_merge(model, warm):
    encoder = encoder_of(model, parameters="head", **warm)
    assert encoder.tangent.theta
    return encoder(TEXTS)


def test_head_gradients_in_closed_form(tiny_llama):
    """With the head alone: <u h', u h> = V <h, h'> for ones, h the mean hidden state; the tied side does not exist."""
    encoder = encoder_of(tiny_llama, parameters="head", score_at="base", scorer="reverse")
    h, t = encoder(TEXTS).astype(float), encoder(TARGETS).astype(float)
    vocabulary = 40
    np.testing.assert_allclose(encoder.alignment(TARGETS)(TEXTS), vocabulary * (h @ t.T).mean(axis=1), rtol=1e-5)


def test_tied_head_is_said(tiny_gpt2, capsys):
    scores_of(tiny_gpt2, parameters="head", score_at="base")
    assert "shares its weights with the input embedding" in capsys.readouterr().err


def test_positions():
    from harmonia.models.tangent_lm import examples_of

    class Letters:
        def __call__(self, texts, **_):
            return {
                "input_ids": [list(map(ord, t)) for t in texts],
                "offset_mapping": [[(i, i + 1) for i in range(len(t))] for t in texts],
            }

    text = ["ask: reply"]
    assert examples_of(text, Letters(), "response", ": ", 64)[0].first == 5
    assert examples_of(text, Letters(), "response", None, 64)[0].first == 0
    assert examples_of(text, Letters(), "all", ": ", 64)[0].first == 0
    assert examples_of(text, Letters(), "last", None, 64)[0].first == 9


def test_only_the_response_counts(tiny_gpt2):
    """Outputs at prompt positions are not summed: scores equal those from gradients of the response alone."""
    fields = {"positions": "response", "separator": ": ", "score_at": "base", "scorer": "reverse"}
    pairs = ["ask: reply", "why: because"]
    encoder = encoder_of(tiny_gpt2, target_texts=(), **fields)
    model, u = encoder.tangent.readout.model, encoder.tangent.readout.probes[0]
    chosen = [p for n, p in encoder.tangent.readout.named_parameters() if n in encoder.tangent.theta]
    rows = []
    for text in pairs:
        for p in chosen:
            p.requires_grad_(True)
        logits = model(input_ids=torch.tensor(encoder.tokenizer([text])["input_ids"])).logits[0, 5:]
        rows.append(torch.cat([g.flatten() for g in torch.autograd.grad((logits @ u).mean(), chosen)]))
        for p in chosen:
            p.requires_grad_(False)
    expected = torch.stack(rows) @ torch.stack(rows).T
    np.testing.assert_allclose(encoder.alignment(pairs)(pairs), expected.mean(dim=1).numpy(), rtol=1e-9)


def test_loss_alignment_predicts_the_effect_of_a_step(tiny_gpt2):
    """A step of size e along -grad of one text changes the mean loss of the targets by -e times its score."""
    encoder = encoder_of(tiny_gpt2, "loss-gradient", cosine=False, scorer="reverse", positions="all")
    from harmonia.maths.tangents import gradient

    tangent = encoder.tangent
    targets, text = encoder.examples(TARGETS), encoder.examples(TEXTS[:1])
    score = encoder.alignment(TARGETS)(TEXTS[:1])[0]
    g = gradient(tangent.fs[0], tangent.theta, next(tangent.singles(text)))
    ((_, batch),) = tangent.batches(targets)
    step = 1e-4
    moved = {name: value - step * g[name] for name, value in tangent.theta.items()}
    with torch.no_grad():
        change = float((tangent.fs[0](moved, batch) - tangent.fs[0](tangent.theta, batch)).mean())
    assert change == pytest.approx(-step * score, rel=1e-2)


@pytest.fixture
def centred_llama(tiny_llama, tmp_path):
    import transformers

    model = transformers.AutoModelForCausalLM.from_pretrained(tiny_llama)
    with torch.no_grad():
        model.lm_head.weight -= model.lm_head.weight.mean(dim=0)
    model.save_pretrained(tmp_path)
    transformers.AutoTokenizer.from_pretrained(tiny_llama).save_pretrained(tmp_path)
    return str(tmp_path)


def test_centred_head_is_warned_of_and_probes_still_work(tiny_llama, centred_llama, capsys):
    fields = {"score_at": "base", "scorer": "reverse"}
    centred = scores_of(centred_llama, **fields)
    assert "the rows of the model's head sum to zero" in capsys.readouterr().err
    assert np.abs(centred).max() < 1e-9 * np.abs(scores_of(tiny_llama, **fields)).max()
    assert "sum to zero" not in capsys.readouterr().err
    before, after = (scores_of(m, "probe-ntk", probes=64, **fields) for m in (tiny_llama, centred_llama))
    assert np.abs(after).min() > 0 and spearmanr(before, after)[0] > 0.8


def test_logits_are_built_when_the_head_is_more_than_a_matrix(tmp_path, tiny_llama, capsys):
    import transformers

    config = transformers.Gemma2Config(
        vocab_size=40,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        head_dim=8,
        num_key_value_heads=2,
        max_position_embeddings=64,
        final_logit_softcapping=0.05,
        attn_logit_softcapping=None,
    )
    torch.manual_seed(0)
    transformers.Gemma2ForCausalLM(config).save_pretrained(tmp_path)
    transformers.AutoTokenizer.from_pretrained(tiny_llama).save_pretrained(tmp_path)
    encoder = encoder_of(str(tmp_path), scorer="reverse", score_at="base")
    expected = (features_by_hand(encoder, TEXTS) @ features_by_hand(encoder, TARGETS).T).mean(axis=1)
    np.testing.assert_allclose(encoder.alignment(TARGETS)(TEXTS), expected, rtol=1e-5)
    assert not encoder.tangent.readout.linear_head
    assert "more than a matrix" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"target_texts": ()}, r"warm up on target texts: name their file with --set features\.target=FILE"),
        ({"parameters": "nothing_like_this"}, r"no parameter is selected.*features\.parameters"),
        ({"parameters": "("}, r"features\.parameters='\(' is not a regular expression"),
        (
            {"positions": "response", "separator": "=>"},
            r"the text 'the cat sat\.' has no response: nothing follows '=>'",
        ),
        ({"parameters": "wpe", "target_texts": ("",), "score_at": "base"}, "holds no text"),
        ({"warmup": {"learning_rate": 1e200, "epochs": 9}}, r"diverged.*features\.warmup\.learning_rate"),
    ],
)
def test_refusals(tiny_gpt2, fields, message):
    with pytest.raises(InputError, match=message):
        scores_of(tiny_gpt2, **fields)


def test_no_model_and_no_target(tiny_llama):
    with pytest.raises(InputError, match=r"features pseudo-ntk: name a model with --set features\.model=FOLDER"):
        PseudoNTK(target_texts=TARGETS).encoder([])
    with pytest.raises(InputError, match="there is no target example"):
        scores_of(tiny_llama, targets=())


def test_frozen_tangent(tiny_gpt2):
    """At B = 0 the gradient of A vanishes, and an adapter with A alone cannot move the outputs."""
    from harmonia.models.tangent_lm import Alignment, TangentLM

    encoder = encoder_of(tiny_gpt2, score_at="base")
    names = [n.removeprefix("model.") for n in encoder.tangent.theta if ".lora_A." in n]
    frozen = TangentLM(encoder.tangent.readout, 1, names, 4096)
    with pytest.raises(InputError, match=r"is zero: no selected parameter moves the outputs; warm up first"):
        Alignment(frozen, encoder.examples(TARGETS))


def test_a_text_with_no_tokens_is_named(tiny_gpt2):
    with pytest.raises(InputError, match="the text '' has no tokens"):
        encoder_of(tiny_gpt2).alignment(TARGETS)(["fine", ""])


def test_broken_weights_are_noticed(tiny_gpt2):
    encoder = encoder_of(tiny_gpt2, score_at="base")
    with torch.no_grad():
        encoder._model.transformer.ln_f.weight.fill_(float("nan"))
    with pytest.raises(InputError, match="mean gradient of the targets is not finite"):
        encoder.alignment(TARGETS)
