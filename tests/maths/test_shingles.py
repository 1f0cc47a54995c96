import pytest
from hypothesis import given
from hypothesis import strategies as st

from harmonia.maths.shingles import ShingleIndex, shingles

texts = st.lists(st.sampled_from("abc"), max_size=25).map(" ".join)


def slow_set(text, width):
    words = text.lower().split()
    width = min(width, len(words))
    return {tuple(words[i : i + width]) for i in range(len(words) - width + 1)} if words else set()


def slow_similarity(a, b, width):
    a, b = slow_set(a, width), slow_set(b, width)
    return len(a & b) / len(a | b) if a and b else 0.0


@given(texts, st.integers(1, 8))
def test_one_hash_per_distinct_run(text, width):
    found = shingles(text, width)
    assert len(found) == len(slow_set(text, width))
    assert (found[1:] > found[:-1]).all()


@given(st.lists(texts, max_size=6), texts, st.sampled_from([0.0, 0.3, 0.8, 1.0]), st.integers(1, 6))
def test_similarity_is_the_largest_jaccard(reference, text, threshold, width):
    best = max((slow_similarity(text, other, width) for other in reference), default=0.0)
    expected = best if best >= threshold else 0.0
    assert ShingleIndex(reference, width).similarity(text, threshold) == pytest.approx(expected, abs=1e-12)


def test_order_of_words_matters_and_case_and_space_do_not():
    index = ShingleIndex(["the quick brown fox jumps over"])
    assert index.similarity("The  QUICK brown\nfox jumps over") == 1.0
    assert index.similarity("over jumps fox brown quick the") == 0.0
    assert index.similarity("the quick brown fox jumps") == 0.5
