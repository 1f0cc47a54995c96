import pytest

from harmonia.core.errors import InputError
from harmonia.models.windows import windows


def letters(texts, truncation, verbose):
    """A tokenizer of characters."""
    return {"input_ids": [[ord(letter) for letter in text] for text in texts]}


def drawn(texts, length=4, most=100, seed=0):
    return ["".join(map(chr, w)) for w in windows(texts, letters, length, most, seed, "test", named="the text")]


def test_documents_are_cut_and_short_ends_left_out():
    assert sorted(drawn(["abcdefgh", "ijklm", "no"])) == ["abcd", "efgh", "ijkl", "no"]


def test_the_draw_depends_on_windows_alone():
    texts = [f"{i:08d}" for i in range(200)]
    few = drawn(texts, length=8, most=10)
    assert len(few) == 10 and few == drawn(texts[::-1], length=8)[:10]
    assert few != drawn(texts, length=8, most=10, seed=1)
    assert [w for w in drawn(texts[:50], length=8) if w in few] == [w for w in few if w in texts[:50]]


def test_equal_windows_count_once():
    assert drawn(["abcd" * 9, "abcd"]) == ["abcd"]


@pytest.mark.parametrize(("texts", "what"), [([], "no text"), (["  "], "no text"), (["a"], "only 1 tokens")])
def test_too_little_text_is_told(texts, what):
    with pytest.raises(InputError, match=f"the text has {what}, and a document of at least 2 tokens is needed"):
        drawn(texts)
