import hashlib
from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from harmonia.maths import word_ngrams
from harmonia.maths.word_ngrams import HashedNgrams, words


def slow_counts(text, n, buckets):
    tokens = words(text)
    grams = [" ".join(tokens[i : i + m]) for m in range(1, n + 1) for i in range(len(tokens) - m + 1)]
    digests = [hashlib.sha256(gram.encode("utf-8", "surrogatepass")).hexdigest() for gram in grams]
    return Counter(int(digest, 16) % buckets for digest in digests)


def test_words_are_lower_case_runs_of_letters_or_of_punctuation():
    assert words("It's 3.14 -- OK?!\n") == ["it", "'", "s", "3", ".", "14", "--", "ok", "?!"]
    assert words(" \t\n") == []


@given(st.text(), st.integers(1, 4), st.integers(2, 50))
@settings(max_examples=200, deadline=None)
def test_buckets_are_sha256_of_the_ngram(text, n, buckets):
    assert Counter(HashedNgrams(n, buckets)(text).tolist()) == slow_counts(text, n, buckets)


def test_counts_add_up_over_texts_and_survive_a_full_memory(monkeypatch):
    texts = ["the cat sat on the mat", "", "a dog; a cat; a bird"]
    whole = HashedNgrams(2, 101).count(texts)
    assert whole.sum() == (6 + 5) + (8 + 7)
    monkeypatch.setattr(word_ngrams, "_REMEMBERED", 3)
    assert (HashedNgrams(2, 101).count(texts) == whole).all()


@given(st.integers(0, 40), st.integers(1, 5))
def test_word_count_inverts_the_number_of_ngrams(length, n):
    ngrams = HashedNgrams(n, 10)
    assert ngrams.word_count(len(ngrams(" ".join(["w"] * length)))) == length


def test_counts_do_not_depend_on_what_was_seen_before():
    fresh, used = HashedNgrams(), HashedNgrams()
    used.count(["other words entirely", "the cat"])
    assert np.array_equal(fresh("the cat sat"), used("the cat sat"))
