import numpy as np
import pytest

from harmonia.core.errors import InputError
from harmonia.select.judge.held_out import hold_out
from harmonia.select.pool import Pool


def words(seed, n=40):
    return " ".join(f"w{i}" for i in np.random.default_rng(seed).integers(0, 10**6, n))


def pool_of(n, texts=None):
    texts = texts or [words(i) for i in range(n)]
    return Pool.from_arrays(texts=texts, sources=["law", "mail"] * (n // 2), ids=[f"d{i}" for i in range(n)])


def test_each_source_gives_its_count_and_leaves_the_pool():
    pool = pool_of(40)
    split = hold_out(pool, seed=0, per_source=3)
    assert {source: len(texts) for source, texts in split.texts.items()} == {"law": 3, "mail": 3}
    assert np.array_equal(np.flatnonzero(~split.keep), split.rows) and (split.exact, split.near) == (0, 0)
    assert split.texts["law"] == [words(i) for i in split.rows if i % 2 == 0]


def test_at_most_half_of_a_source_and_never_a_lone_document():
    pool = Pool.from_arrays(texts=[words(i) for i in range(6)], sources=["a"] * 5 + ["b"])
    split = hold_out(pool, seed=0, per_source=100)
    assert {source: len(texts) for source, texts in split.texts.items()} == {"a": 2}


def test_the_choice_belongs_to_the_document():
    ids = [f"d{i}" for i in range(40)]
    whole = hold_out(pool_of(40), 0, 3)
    chosen = {ids[i] for i in whole.rows}
    turned = Pool.from_arrays(
        texts=[words(i) for i in range(40)][::-1], sources=(["law", "mail"] * 20)[::-1], ids=ids[::-1]
    )
    assert {ids[::-1][i] for i in hold_out(turned, 0, 3).rows} == chosen
    without = next(i for i in range(40) if ids[i] not in chosen)
    rest = [i for i in range(40) if i != without]
    smaller = Pool.from_arrays(
        texts=[words(i) for i in rest], sources=[["law", "mail"][i % 2] for i in rest], ids=[ids[i] for i in rest]
    )
    assert {ids[rest[i]] for i in hold_out(smaller, 0, 3).rows} == chosen
    assert set(hold_out(pool_of(40), 0, 2).rows) < set(whole.rows)
    assert {ids[i] for i in hold_out(pool_of(40), 1, 3).rows} != chosen


def test_copies_and_near_copies_of_held_out_documents_leave_too():
    texts = [words(i) for i in range(40)]
    rows = hold_out(pool_of(40), 0, 3).rows
    others = np.setdiff1d(np.arange(40), rows)
    exact, spaced, near, far, own = others[:5]
    texts[exact] = texts[rows[0]]
    texts[spaced] = "  " + texts[rows[1]].upper().replace(" ", "\n")
    texts[near] = texts[rows[2]] + " one more"
    texts[far] = " ".join(texts[rows[3]].split()[:20]) + " " + words(99, 20)
    texts[own] = texts[others[6]]
    split = hold_out(pool_of(40, texts), 0, 3)
    assert np.array_equal(split.rows, rows)
    assert (split.exact, split.near) == (2, 1)
    assert np.array_equal(np.flatnonzero(~split.keep), np.sort([*rows, exact, spaced, near]))
    only_exact = hold_out(pool_of(40, texts), 0, 3, near=1.01)
    assert (only_exact.exact, only_exact.near) == (2, 0)


def test_bad_input_is_named():
    with pytest.raises(InputError, match="held-out 0: hold out at least 1"):
        hold_out(pool_of(4), 0, 0)
    with pytest.raises(InputError, match="every source has a single document"):
        hold_out(Pool.from_arrays(texts=["a", "b"], sources=["x", "y"]), 0)
    with pytest.raises(InputError, match="needs the documents' texts"):
        hold_out(Pool.from_arrays(np.eye(4)), 0)
    with pytest.raises(InputError, match="near is 0"):
        hold_out(pool_of(4), 0, near=0)
