import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harmonia.core.errors import InputError
from harmonia.core.seeds import stable_hash
from harmonia.data.labelled.held_out import Gathered, held_out, labelled, told_parts


@given(st.lists(st.integers(1, 40), min_size=1, max_size=5), st.floats(0, 0.9), st.integers(0, 50))
def test_every_class_gives_its_share(sizes, share, seed):
    labels = np.repeat(np.arange(len(sizes)), sizes)
    keys = stable_hash(f"row {i}" for i in range(len(labels)))
    given = np.bincount(labels[held_out(labels, keys, share, seed)], minlength=len(sizes))
    for own, size in zip(given, sizes, strict=True):
        assert own == (0 if size == 1 or not share else min(max(1, round(share * size)), size - 1))


@given(st.permutations(range(30)), st.integers(0, 50))
def test_the_order_of_rows_decides_nothing(order, seed):
    labels, keys = np.arange(30) % 3, stable_hash(map(str, range(30)))
    test = held_out(labels, keys, 0.3, seed)
    order = np.array(order)
    assert np.array_equal(held_out(labels[order], keys[order], 0.3, seed), test[order])


def test_more_rows_of_other_classes_change_nothing_and_seeds_do():
    labels, keys = np.zeros(50, int), stable_hash(map(str, range(50)))
    more = held_out(np.r_[labels, np.ones(9, int)], np.r_[keys, stable_hash(map(str, range(9)))], 0.2, 0)
    assert np.array_equal(more[:50], held_out(labels, keys, 0.2, 0))
    assert not np.array_equal(more[:50], held_out(labels, keys, 0.2, 1))


def test_copies_stay_together():
    keys = np.repeat(stable_hash(map(str, range(20))), 3)
    test = held_out(np.zeros(60, int), keys, 0.25, 0).reshape(20, 3)
    assert (test.all(axis=1) | ~test.any(axis=1)).all() and 15 <= test.sum() <= 17
    assert not held_out(np.zeros(5, int), np.repeat(keys[:1], 5), 0.4, 0).any()


@pytest.mark.parametrize("share", [-0.1, 1, 2])
def test_shares_out_of_range(share):
    with pytest.raises(InputError, match=r"the share of test examples is .*; it must lie in \[0, 1\)"):
        held_out(np.zeros(3, int), np.zeros(3, np.uint64), share, 0)


@pytest.mark.parametrize(
    "words, expected",
    [
        (["train", "Test", "training"], ["train", "test", "train"]),
        (["train", "val", "test"], ["train", "train", "test"]),
        (["train", "dev"], ["train", "test"]),
        (["train", "train"], None),
        (["test", "test"], None),
        (["train", "test", "cats"], None),
    ],
)
def test_words_for_parts(words, expected):
    found = told_parts(np.array(words))
    assert (found if found is None else found.tolist()) == expected


def gathered(labels, order=None):
    n = len(labels)
    order = np.arange(n) if order is None else np.array(order)
    rows = np.arange(n, dtype=np.float32)[order, None]
    return Gathered(
        "f.npz",
        rows,
        [row.tobytes() for row in rows],
        np.array(labels)[order],
        {"site": np.array([f"s{i}" for i in range(n)])[order]},
    )


@given(st.permutations(range(12)))
def test_the_same_rows_in_any_order_are_the_same_data(order):
    labels = [f"{i % 3}" for i in range(12)]
    one, other = (labelled(gathered(labels, each), "n", "vector", 0.25, 0) for each in (None, order))
    assert one.fingerprint() == other.fingerprint()
    assert len(one.test) == 3 and sorted(np.r_[one.train.inputs, one.test.inputs][:, 0].tolist()) == list(range(12))


def test_classes_are_sorted_by_number_or_by_name():
    assert labelled(gathered(["10", "9", "-1", "9"]), "n", "vector", 0, 0).classes == ("-1", "9", "10")
    assert labelled(gathered(["b", "10", "9"]), "n", "vector", 0, 0).classes == ("10", "9", "b")
    found = labelled(gathered(["10", "9", "-1", "9"]), "n", "vector", 0, 0).train
    assert dict(zip(found.columns["site"].tolist(), found.labels.tolist(), strict=True)) == {
        "s0": 2,
        "s1": 1,
        "s2": 0,
        "s3": 1,
    }
    with pytest.raises(InputError, match=r"f\.npz: every example has the label 'x'; a classifier needs two classes"):
        labelled(gathered(["x", "x"]), "n", "vector", 0, 0)
