import math
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harmonia.core.errors import InputError
from harmonia.maths import ngram_lm
from harmonia.maths.ngram_lm import NgramLM


class SlowKneserNey:
    """The definition with dictionaries: counts at the top, distinct left neighbours below."""

    def __init__(self, texts, order):
        self.order = order
        top = Counter()
        for text in texts:
            symbols = [256] * (order - 1) + list(text.encode())
            for end in range(order - 1, len(symbols)):
                top[tuple(symbols[end - order + 1 : end + 1])] += 1
        self.tables = [top]
        for _ in range(order - 1):
            self.tables.append(Counter(gram[1:] for gram in self.tables[-1]))
        self.tables.reverse()
        self.discounts, self.totals, self.kinds = [], [], []
        for table in self.tables:
            once, twice = (sum(c == m for c in table.values()) for m in (1, 2))
            self.discounts.append(min(max(once / max(once + 2 * twice, 1), 0.1), 0.9))
            totals, kinds = defaultdict(int), defaultdict(int)
            for gram, count in table.items():
                totals[gram[:-1]] += count
                kinds[gram[:-1]] += 1
            self.totals.append(totals)
            self.kinds.append(kinds)

    def probability(self, gram, length):
        if length == 0:
            return 1 / 256
        gram = gram[-length:]
        lower = self.probability(gram, length - 1)
        total, discount = self.totals[length - 1][gram[:-1]], self.discounts[length - 1]
        if not total:
            return lower
        seen = max(self.tables[length - 1][gram] - discount, 0) / total
        return seen + discount * self.kinds[length - 1][gram[:-1]] / total * lower

    def bits(self, text):
        symbols = [256] * (self.order - 1) + list(text.encode())
        return -sum(
            math.log2(self.probability(tuple(symbols[e - self.order + 1 : e + 1]), self.order))
            for e in range(self.order - 1, len(symbols))
        )


TEXTS = ["the cat sat on the mat", "the dog sat on the log", "", "a cat and a dog", "höher"]


@pytest.mark.parametrize("order", [1, 2, 3, 5, 7])
def test_agrees_with_the_definition(order):
    model, slow = NgramLM.train(TEXTS, order), SlowKneserNey(TEXTS, order)
    queries = ["the cat", "zebra", "", "on the moon", "a", "ö"]
    np.testing.assert_allclose(model.bits(queries), [slow.bits(q) for q in queries], rtol=1e-12)


@given(st.binary(max_size=12), st.integers(1, 6))
@settings(max_examples=60, deadline=None)
def test_the_next_byte_has_a_distribution_after_any_context(context, order):
    probability = NgramLM.train(TEXTS, order).next_byte(context)
    assert probability.sum() == pytest.approx(1, abs=1e-12)
    assert (probability > 0).all()


def test_the_bits_of_a_text_are_the_chain_rule_over_its_bytes():
    model = NgramLM.train(TEXTS, 4)
    text = "the log"
    chain = -sum(math.log2(model.next_byte(text.encode()[:i])[byte]) for i, byte in enumerate(text.encode()))
    assert model.bits([text])[0] == pytest.approx(chain, rel=1e-12)


def test_bits_do_not_depend_on_neighbours_batches_or_merges(monkeypatch):
    whole = NgramLM.train(TEXTS * 3, 4)
    expected = whole.bits(TEXTS)
    monkeypatch.setattr(ngram_lm, "_BATCH", 5)
    monkeypatch.setattr(ngram_lm, "_BUFFER", 10)
    pieces = NgramLM.train(TEXTS * 3, 4)
    np.testing.assert_allclose(pieces.bits(TEXTS), expected, rtol=1e-12)
    np.testing.assert_allclose([pieces.bits([t])[0] for t in TEXTS], expected, rtol=1e-12)
    # the order of the texts that it learned from does not matter either
    np.testing.assert_array_equal(NgramLM.train(reversed(TEXTS * 3), 4).bits(TEXTS), expected)


def test_order_one_is_the_smoothed_frequency_of_bytes():
    model = NgramLM.train(["a" * 60 + "b" * 30 + "c"], 1)
    # n_1 = 1 and n_2 = 0: the discount estimate 1 is cut to .9; three kinds of bytes in 91
    below = 0.9 * 3 / 91 / 256
    expected = np.full(256, below)
    expected[[97, 98, 99]] += np.array([59.1, 29.1, 0.1]) / 91
    np.testing.assert_allclose(model.next_byte(b""), expected, rtol=1e-12)


def test_text_like_the_training_text_costs_less_and_bits_per_byte_weighs_by_length():
    rng = np.random.default_rng(0)
    english = [" ".join(rng.choice(["alpha", "beta", "gamma", "delta"], 50)) for _ in range(20)]
    noise = ["".join(rng.choice(list("qwertyuiop"), 200)) for _ in range(5)]
    model = NgramLM.train(english, 5)
    assert model.bits_per_byte(english[:3]) < 1 < 3 < model.bits_per_byte(noise)
    sizes = [len(english[0]), len(noise[0])]
    both = model.bits_per_byte([english[0], noise[0]])
    assert both == pytest.approx(model.bits([english[0], noise[0]]).sum() / sum(sizes), rel=1e-12)


def test_bad_input_is_named():
    with pytest.raises(InputError, match="order of the n-gram model is 8"):
        NgramLM.train(["a"], 8)
    with pytest.raises(InputError, match="no text to learn from"):
        NgramLM.train(["", ""])
    with pytest.raises(InputError, match="at least one text that is not empty"):
        NgramLM.train(["a"]).bits_per_byte([""])
    assert NgramLM.train(["a"]).bits([]).tolist() == []
