# ruff: noqa: E402
import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("tokenizers")

from harmonia.core.errors import InputError, RunError
from harmonia.models.llama import Llama, LlamaConfig
from harmonia.models.tokenizer import END, encode, pack, train_tokenizer
from harmonia.models.train_lm import Checkpoints, Schedule, Windows, best_device, bits_per_byte, token_losses, train

SHAPE = LlamaConfig(vocab_size=300, width=16, layers=1, heads=2, kv_heads=1, context=16)
TEXTS = [f"case {i}: the court held that clause {i % 5} of the act is void. " * 2 for i in range(30)]


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(TEXTS, 300)


@pytest.fixture(scope="module")
def stream(tokenizer):
    return pack(tokenizer, TEXTS)


def run(stream, steps=8, *, seed=0, checkpoints=None, batch=None, peak=2e-3):
    model = Llama(SHAPE, seed)
    windows = Windows(stream, 16, seed)
    curve = train(
        model,
        batch or (lambda step: windows.take(step * 4, 4)),
        Schedule(steps, peak, warmup=2),
        checkpoints=checkpoints,
        device="cpu",
    )
    return model, curve


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters(), strict=True))


class TestWindows:
    def test_a_pass_covers_the_stream_once(self):
        windows = Windows(np.arange(40), 8, seed=3)
        assert windows.per_pass == 5
        for first in (0, 5):
            inputs = windows.take(first, 5)[:, :-1]
            assert sorted(inputs.ravel().tolist()) == list(range(40))

    def test_targets_follow_inputs_around_the_end(self):
        taken = Windows(np.arange(40), 8, seed=3).take(0, 30)
        assert ((taken[:, 1:] - taken[:, :-1]) % 40 == 1).all()

    def test_passes_differ_and_windows_do_not_depend_on_how_they_are_taken(self):
        windows = Windows(np.arange(400), 8, seed=3)
        whole = windows.take(0, 120)
        assert not np.array_equal(whole[:50], whole[50:100])
        fresh = Windows(np.arange(400), 8, seed=3)
        assert np.array_equal(np.concatenate([fresh.take(70, 50), fresh.take(0, 70)]), np.roll(whole, 50, axis=0))
        assert not np.array_equal(Windows(np.arange(400), 8, 4).take(0, 50), whole[:50])
        assert not np.array_equal(Windows(np.arange(400), 8, 3, "law").take(0, 50), whole[:50])

    def test_a_stream_shorter_than_a_window_repeats(self):
        taken = Windows(np.arange(3), 8, 0).take(0, 4)
        assert taken.shape == (4, 9) and ((np.diff(taken) % 3) == 1).all()

    def test_nothing_to_train_on(self):
        with pytest.raises(InputError, match="the selection is empty"):
            Windows(np.zeros(1, np.int32), 8, 0)


def test_schedule_rises_then_falls_along_a_cosine():
    schedule = Schedule(steps=11, peak=1.0, warmup=4, floor=0.1)
    rates = [schedule.rate(step) for step in range(11)]
    assert rates[:4] == [0.25, 0.5, 0.75, 1.0]
    assert rates[4] == 1.0 and rates[10] == pytest.approx(0.1) and rates[7] == pytest.approx(0.55)
    assert rates[4:] == sorted(rates[4:], reverse=True)


def test_token_losses_are_cross_entropy(stream):
    model = Llama(SHAPE).eval()
    windows = torch.from_numpy(Windows(stream, 16, 0).take(0, 2))
    logits = model(windows[:, :-1]).detach().double()
    by_hand = [
        [float(logits[b, t].logsumexp(0) - logits[b, t, windows[b, t + 1]]) for t in range(16)] for b in range(2)
    ]
    np.testing.assert_allclose(token_losses(model, windows).detach().numpy(), by_hand, rtol=1e-5)


def test_training_learns_and_repeats(stream):
    model, curve = run(stream, 60, peak=0.02)
    assert curve[0] == pytest.approx(math.log(300), abs=0.2)
    assert np.mean(curve[-5:]) < curve[0] - 2
    again, curve_again = run(stream, 60, peak=0.02)
    assert same(model, again) and curve == curve_again
    assert run(stream, 4, seed=1)[1] != curve[:4]


def test_resumed_equals_uninterrupted(stream, tmp_path):
    whole, curve = run(stream, 8)
    windows, kept = Windows(stream, 16, 0), Checkpoints(tmp_path / "state.safetensors", every=3, identity={"data": 1})

    def fails(step):
        if step == 5:
            raise KeyboardInterrupt
        return windows.take(step * 4, 4)

    with pytest.raises(KeyboardInterrupt):
        run(stream, 8, checkpoints=kept, batch=fails)
    asked = []

    def counted(step):
        asked.append(step)
        return windows.take(step * 4, 4)

    resumed, resumed_curve = run(stream, 8, checkpoints=kept, batch=counted)
    assert asked == [3, 4, 5, 6, 7]
    assert same(whole, resumed) and resumed_curve == curve
    assert same(run(stream, 8, checkpoints=kept, batch=fails)[0], whole)
    assert [p.name for p in tmp_path.iterdir()] == ["state.safetensors"]


def test_a_foreign_or_damaged_checkpoint_is_refused(stream, tmp_path):
    path = tmp_path / "state.safetensors"
    run(stream, 2, checkpoints=Checkpoints(path, identity={"data": 1}))
    with pytest.raises(InputError, match="checkpoint of another training"):
        run(stream, 2, checkpoints=Checkpoints(path, identity={"data": 2}))
    with pytest.raises(InputError, match="checkpoint of another training"):
        run(stream, 3, checkpoints=Checkpoints(path, identity={"data": 1}))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(RunError, match="is damaged"):
        run(stream, 2, checkpoints=Checkpoints(path, identity={"data": 1}))


def test_a_diverging_training_says_so(stream):
    windows = Windows(stream, 16, 0)
    with pytest.raises(RunError, match=r"the loss is (nan|inf) at step \d+; lower the learning rate"):
        train(
            Llama(SHAPE),
            lambda step: windows.take(step, 1),
            Schedule(5),
            device="cpu",
            loss=lambda step, windows, losses: losses.mean() / (3 - step) if step == 3 else losses.mean(),
        )


def test_a_device_that_is_not_here_is_named():
    assert best_device("cpu").type == "cpu"
    assert best_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    for name in ("cuda:99", "abacus"):
        with pytest.raises(InputError, match=f"device '{name}' is not here"):
            best_device(name)


class TestBitsPerByte:
    def test_equals_the_sum_over_tokens(self, tokenizer, stream):
        model, _ = run(stream, 5)
        text = "the court"
        (tokens,) = encode(tokenizer, [text])
        assert 1 < len(tokens) <= 16
        logits = model(torch.tensor([[0, *tokens]])).detach().double().log_softmax(-1)[0]
        nats = -sum(float(logits[i, t]) for i, t in enumerate(tokens))
        assert bits_per_byte(model, tokenizer, [text]) == pytest.approx(nats / math.log(2) / len(text), rel=1e-5)

    def test_an_even_guess_costs_log2_vocabulary_per_token(self, tokenizer):
        model = Llama(SHAPE)
        with torch.no_grad():
            model.lm_head.weight.zero_()
        texts = [TEXTS[0], "é", TEXTS[1][:31]]
        tokens = sum(len(t) for t in encode(tokenizer, texts))
        expected = tokens * math.log2(300) / sum(len(t.encode()) for t in texts)
        assert bits_per_byte(model, tokenizer, texts) == pytest.approx(expected, rel=1e-6)

    def test_batch_and_company_do_not_matter(self, tokenizer, stream):
        model, _ = run(stream, 5)
        texts = [TEXTS[0], "short", "", TEXTS[3][:50]]
        sizes = [len(t.encode()) for t in texts]
        alone = [bits_per_byte(model, tokenizer, [t]) for t in texts if t]
        mixed = np.dot(alone, [s for s in sizes if s]) / sum(sizes)
        for batch in (1, 3, 32):
            assert bits_per_byte(model, tokenizer, texts, batch) == pytest.approx(mixed, rel=1e-5)
        assert bits_per_byte(model, tokenizer, texts[::-1]) == pytest.approx(mixed, rel=1e-5)

    def test_training_lowers_it_and_empty_text_is_refused(self, tokenizer, stream):
        held = ["case 99: the court held that clause 4 of the act is void. "]
        trained, _ = run(stream, 60, peak=0.02)
        assert bits_per_byte(trained, tokenizer, held) < bits_per_byte(Llama(SHAPE), tokenizer, held) - 1
        with pytest.raises(InputError, match="no held-out text"):
            bits_per_byte(Llama(SHAPE), tokenizer, ["", ""])


def test_the_end_of_text_is_the_first_context(tokenizer, stream):
    assert stream[-1] == tokenizer.token_to_id(END) == 0
