"""Hashing features: batch invariance bit for bit, sensible geometry, what is learnt from the sample."""

import re
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from harmonia.select.features.hashing import Hashing

TEXTS = [
    "The cat sat on the mat and looked at the bird in the garden.",
    "A cat was sitting on a mat in the garden and looked at a bird.",
    "Quarterly revenue grew by four percent while operating costs fell sharply.",
    "Ежеквартальная выручка выросла на четыре процента.",
    "日本語の文章です。",
    "",
    "x",
    "word " * 5000,
]


def cosine_of_tfidf(a, b):
    """The exact tf-idf cosine without a sample, by a dictionary."""
    vectors = []
    for text in (a, b):
        tokens = re.findall(r"\w+", text.lower())
        grams = tokens + [f"{x} {y}" for x, y in pairwise(tokens)]
        vectors.append({g: 1 + np.log(grams.count(g)) for g in grams})
    norms = [np.sqrt(sum(v**2 for v in vector.values())) for vector in vectors]
    return sum(v * vectors[1].get(g, 0.0) for g, v in vectors[0].items()) / np.prod(norms)


@given(st.permutations(range(len(TEXTS))), st.integers(1, 9))
def test_batches_and_order_change_nothing(order, size):
    encode = Hashing(dimension=64, bytes=4).encoder(TEXTS[:3])
    whole = encode(TEXTS)
    texts = [TEXTS[i] for i in order]
    cut = np.concatenate([encode(texts[i : i + size]) for i in range(0, len(texts), size)])
    assert np.array_equal(cut, whole[list(order)])


def test_rows_are_unit_vectors_and_empty_texts_are_zero():
    z = Hashing().encoder([])(TEXTS)
    assert z.shape == (8, 256) and z.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(z, axis=1), [1, 1, 1, 1, 1, 0, 1, 1], atol=1e-6)


def test_duplicates_map_to_equal_vectors():
    z = Hashing().encoder(TEXTS)([TEXTS[0], TEXTS[2], TEXTS[0], TEXTS[0].upper()])
    assert np.array_equal(z[0], z[2]) and np.array_equal(z[0], z[3])


def test_similar_texts_are_closer_than_different_ones():
    z = Hashing().encoder(TEXTS)(TEXTS)
    assert z[0] @ z[1] > 0.3 > abs(z[0] @ z[2]) + 0.05


def test_estimates_the_tfidf_cosine():
    exact = cosine_of_tfidf(TEXTS[0], TEXTS[1])
    found = [float(np.dot(*Hashing(seed=seed, dimension=512).encoder([])(TEXTS[:2]))) for seed in range(40)]
    assert np.mean(found) == pytest.approx(exact, abs=4 / np.sqrt(512 * 40))
    assert np.std(found) < 2 / np.sqrt(512)


def test_common_words_weigh_less_after_learning_frequencies():
    sample = [f"the w{i}" for i in range(500)]
    texts = ["the apple", "the pear"]
    plain, learnt = (Hashing(words=1).encoder(s)(texts) for s in ([], sample))
    # idf: "the" 1 + log(501/501) = 1, a new word 1 + log(501) = 7.22; so cosine = 1 / (1 + 7.22^2) = 0.0188
    assert learnt[0] @ learnt[1] == pytest.approx(1 / (1 + (1 + np.log(501)) ** 2), abs=0.2)
    assert plain[0] @ plain[1] == pytest.approx(0.5, abs=0.2)
    assert learnt[0] @ learnt[1] < plain[0] @ plain[1] - 0.2


def test_order_of_the_sample_does_not_matter():
    assert np.array_equal(Hashing().encoder(TEXTS)(TEXTS), Hashing().encoder(TEXTS[::-1])(TEXTS))


def test_bytes_see_inside_words():
    words, chars = (Hashing(words=w, bytes=b).encoder([]) for w, b in ((1, 0), (0, 4)))
    pair = ["misunderstanding", "misunderstandings"]
    assert abs(np.dot(*words(pair))) < 0.3 < 0.8 < np.dot(*chars(pair))


def test_no_texts():
    assert Hashing(dimension=8).encoder([])([]).shape == (0, 8)


def test_no_ngrams_at_all():
    with pytest.raises(ValidationError, match="words and bytes are both 0"):
        Hashing(words=0)
