"""Which sequences are drawn: not by their order, not those that are judged by, and no more than asked for."""

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from hypothesis import given
from hypothesis import strategies as st
from tests.compress import folders

from harmonia.compress.sequences import Excerpt, Texts, cut, drawn, excerpts
from harmonia.core.errors import InputError

WORDS = folders.tokenizer()


def draw(texts, seed=0, held_out=None, **asked):
    options = {"length": 16, "sequences": None, "tokens": 200, "judged": 40, **asked}
    return Texts(texts, held_out).draw(WORDS, None, seed=seed, **options)


@given(st.text(alphabet="ab \n", max_size=300), st.integers(1, 40))
def test_excerpts_are_the_text_and_no_longer_than_asked(text, size):
    pieces = list(cut(text, size))
    assert all(0 < len(piece) <= size for piece in pieces)
    assert "".join("".join(pieces).split()) == "".join(text.split())


@given(st.lists(st.text(alphabet="abc", min_size=1, max_size=6), min_size=1, max_size=30), st.integers(1, 60))
def test_as_few_different_excerpts_as_hold_the_characters_whatever_their_order(texts, characters):
    found = drawn([Excerpt(text) for text in texts], characters, 0, "x")
    assert found == drawn([Excerpt(text) for text in reversed(texts)], characters, 0, "x")
    held = [len(excerpt.text) for excerpt in found]
    assert len({excerpt.text for excerpt in found}) == len(found)
    if sum(held) < characters:
        assert {excerpt.text for excerpt in found} == set(texts)
    else:
        assert sum(held[:-1]) < characters


def test_a_larger_draw_begins_with_the_smaller():
    found = [Excerpt(text) for text in folders.texts()]
    small, large = drawn(found, 300, 5, "x"), drawn(found, 3000, 5, "x")
    assert large[: len(small)] == small and len(large) > len(small)


def test_the_order_of_the_documents_does_not_matter():
    texts = folders.texts()
    one, other = draw(texts), draw(texts[::-1])
    assert [each.fingerprint() for each in one] == [each.fingerprint() for each in other]


def test_seeds_draw_other_sequences_and_judge_by_the_same():
    texts = folders.texts()
    (own, judge), (others, same) = draw(texts, 0), draw(texts, 1)
    assert own.fingerprint() != others.fingerprint() and judge.fingerprint() == same.fingerprint()
    assert own.tokens >= 200 and all(len(ids) <= 16 for ids in own.ids)


@pytest.mark.parametrize("seed", range(5))
def test_nothing_that_is_judged_by_is_calibrated_on(seed):
    own, judge = draw(folders.texts(), seed, tokens=10**5)
    assert not {tuple(ids) for ids in own.ids} & {tuple(ids) for ids in judge.ids}


def test_other_text_to_judge_by():
    other = folders.texts(seed=9)
    own, judge = draw(folders.texts(), held_out=other)
    known = {tuple(WORDS(text)["input_ids"][:16]) for text in other}
    assert tuple(judge.ids[0]) in known and judge.tokens >= 40
    assert own.tokens >= 200 and judge.fingerprint() != draw(folders.texts())[1].fingerprint()


def test_a_number_of_sequences_is_kept():
    own, _ = draw(folders.texts(), sequences=7)
    assert len(own) == 7


def test_special_tokens_stand_around_every_sequence():
    made = folders.tokenizer(special=True)
    own, _ = Texts([" ".join(f"w{i % 40}" for i in range(100))] * 3 + folders.texts()).draw(
        made, None, length=16, sequences=None, tokens=300, judged=40, seed=0
    )
    assert all(ids[0] == 1 and ids[-1] == 2 and len(ids) <= 16 for ids in own.ids)


def test_batches_hold_every_sequence_once_longest_first():
    own, _ = draw(folders.texts())
    batches = own.batches(3)
    rows = np.concatenate([batch.rows for batch in batches])
    assert sorted(rows) == list(range(len(own)))
    for batch in batches:
        for row, ids, mask in zip(batch.rows, batch.ids, batch.mask, strict=True):
            assert ids[mask.bool()].tolist() == own.ids[row]
    lengths = [len(own.ids[row]) for row in rows]
    assert lengths == sorted(lengths, reverse=True)


@pytest.mark.parametrize("name", ["t.txt", "t.jsonl", "t.parquet"])
def test_any_kind_of_file_gives_the_same_words(tmp_path, name):
    import json

    import pyarrow as pa
    import pyarrow.parquet as pq

    path, text = tmp_path / name, "one two three four"
    if name.endswith("parquet"):
        pq.write_table(pa.table({"text": [text]}), path)
    else:
        path.write_text(json.dumps({"text": text}) + "\n" if name.endswith("jsonl") else text)
    assert [excerpt.text for excerpt in excerpts(str(path), 100)] == [text]


def test_too_little_text_says_how_much_there_is():
    with pytest.raises(
        InputError, match=r"gives \d+ sequences of up to 16 tokens .* and 500 are needed; give more text"
    ):
        draw(folders.texts(10), sequences=500)
    with pytest.raises(InputError, match="an empty list of texts"):
        draw([])
    with pytest.raises(InputError, match="no text to judge by has two tokens"):
        draw(folders.texts(), held_out=["w1"])


def test_an_empty_file_is_told_by_name(tmp_path):
    path = tmp_path / "nothing.txt"
    path.write_text("")
    with pytest.raises(InputError, match=r"nothing\.txt"):
        draw(str(path))
