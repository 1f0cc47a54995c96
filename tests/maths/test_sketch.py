"""Hashed n-grams against a slow tokenizer, and their projection against its theory."""

import re
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harmonia.maths.sketch import ngram_counts, pieces, sparse_projection

TEXTS = st.lists(st.text(max_size=60) | st.text("ab .ÄÖ日本x", max_size=60), max_size=8)
WORD = re.compile(r"[\u3000-\ud7ff\ud800-\udfff]|[0-9a-z_\u0080-\u2fff\ue000-\U0010ffff]+")


def slow_words(text):
    return WORD.findall(text.lower())


def slow_counts(text, words, characters):
    tokens = slow_words(text)
    found = Counter(tuple(tokens[i : i + n]) for n in range(1, words + 1) for i in range(len(tokens) - n + 1))
    raw = text.lower().encode("utf-8", "surrogatepass")
    if characters:
        found += Counter(raw[i : i + characters] for i in range(len(raw) - characters + 1))
    return found


@given(TEXTS, st.integers(0, 3), st.integers(0, 8))
def test_counts_equal_those_of_a_slow_tokenizer(texts, words, characters):
    counts = ngram_counts(texts, words, characters)
    for i, text in enumerate(texts):
        assert sorted(counts.count[counts.text == i]) == sorted(slow_counts(text, words, characters).values())


@given(st.lists(st.text("abc ", max_size=20), min_size=2, max_size=2))
def test_equal_ngrams_have_equal_hashes_and_others_do_not(texts):
    counts = ngram_counts(texts, 2)
    shared = set(counts.ngram[counts.text == 0]) & set(counts.ngram[counts.text == 1])
    assert len(shared) == len(slow_counts(texts[0], 2, 0).keys() & slow_counts(texts[1], 2, 0).keys())


@pytest.mark.parametrize("length", [7, 8, 9, 16, 17, 300])
def test_long_words_differ_in_their_last_letter(length):
    a, b = "a" * length, "a" * (length - 1) + "b"
    counts = ngram_counts([a, b, a], 1)
    assert counts.ngram[0] == counts.ngram[2] != counts.ngram[1]


def test_order_of_words_matters_for_pairs():
    counts = ngram_counts(["red blue", "blue red"], 2)
    assert len(set(counts.ngram.tolist())) == 4  # red, blue and two different pairs


def test_ngrams_do_not_cross_texts():
    joined, apart = ngram_counts(["a b"], 2), ngram_counts(["a", "b"], 2)
    assert len(joined.ngram) == 3 and len(apart.ngram) == 2


def test_a_text_counts_the_same_in_any_company():
    random = np.random.default_rng(0)
    texts = ["".join(random.choice(list("abc dé日"), size=random.integers(0, 50))) for _ in range(50)]
    whole = ngram_counts(texts, 2, 4)
    for i, text in enumerate(texts):
        alone = ngram_counts([text], 2, 4)
        assert np.array_equal(alone.ngram, whole.ngram[whole.text == i])
        assert np.array_equal(alone.count, whole.count[whole.text == i])


@given(st.lists(st.integers(0, 2000), max_size=30))
def test_pieces_cover_everything_once(sizes):
    texts = ["x" * 1000 * size for size in sizes]
    cuts = pieces(texts)
    assert [i for cut in cuts for i in range(cut.start, cut.stop)] == list(range(len(texts)))
    assert all(cut.stop - cut.start == 1 or sum(map(len, texts[cut])) <= 1 << 20 for cut in cuts)


def test_projection_keeps_inner_products_on_average():
    texts = ["a b c d e f", "a b c x y z", "p q r s t u"]
    counts = ngram_counts(texts, 1)
    weights = np.ones(len(counts.count))
    drawn = (sparse_projection(counts, weights, 3, 32, seed) for seed in range(600))
    products = np.mean([z @ z.T for z in drawn], axis=0)
    # the exact inner products are the numbers of shared words; the standard error is below 6 / sqrt(32 * 600)
    np.testing.assert_allclose(products, [[6, 3, 0], [3, 6, 0], [0, 0, 6]], atol=4 * 6 / np.sqrt(32 * 600))


def test_error_falls_with_the_dimension():
    texts = [" ".join(f"w{i}" for i in range(200)), " ".join(f"v{i}" for i in range(200))]
    counts = ngram_counts(texts, 1)
    weights = np.full(len(counts.count), 200**-0.5)
    errors = {
        d: np.std([z[0] @ z[1] for z in (sparse_projection(counts, weights, 2, d, seed) for seed in range(200))])
        for d in (64, 256)
    }
    assert errors[64] == pytest.approx(1 / 8, rel=0.2)
    assert errors[256] == pytest.approx(1 / 16, rel=0.2)
