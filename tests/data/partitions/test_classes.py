"""Partitions by class: PCDD, label-k, shards."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harmonia.core.errors import InputError
from harmonia.data.partitions import PCDD, LabelK, Shards, describe

LABELS = np.arange(1000) % 10


@pytest.mark.parametrize("clients, classes", [(10, 2), (10, 3), (50, 2), (5, 2), (3, 4), (10, 10)])
def test_every_client_has_so_many_classes_and_every_example_one_client(clients, classes):
    for seed in range(5):
        rows = PCDD(classes=classes).split(LABELS, {}, clients, seed)
        assert sum(map(len, rows)) == 1000 == len(np.unique(np.concatenate(rows)))
        skew = describe(rows, LABELS, 10)
        assert (skew.held == classes).all() and (skew.missing == 10 - classes).all()
        assert (skew.table.sum(axis=0) == 100).all()
        for own in skew.table.T:  # equal parts among the holders
            assert np.ptp(own[own > 0]) <= 1


def test_p10c2_of_ten_equal_classes():
    """A law on two classes, a tenth on each at least: distance 1 - 2 / 10 to the uniform law, however they are cut."""
    skew = describe(PCDD(classes=2).split(LABELS, {}, 10, 0), LABELS, 10)
    laws = skew.table / skew.sizes[:, None]
    assert laws[laws > 0].min() > 0.1
    assert skew.distance.tolist() == pytest.approx([0.8] * 10)
    assert (skew.effective <= 2 + 1e-12).all()


def test_one_class_each_is_disjoint():
    skew = describe(PCDD(classes=1).split(LABELS, {}, 10, 0), LABELS, 10)
    assert np.array_equal(skew.table, 100 * np.eye(10, dtype=int)) and skew.information == 1


def test_classes_beyond_the_first_are_chosen_evenly():
    """Ten clients hold class i and one of nine others: each other one in a ninth of the draws."""
    held = sum((describe(PCDD().split(LABELS, {}, 10, seed), LABELS, 10).table > 0).astype(int) for seed in range(450))
    assert (np.diag(held) == 450).all()
    other = held[~np.eye(10, dtype=bool)]
    assert other.mean() == pytest.approx(50) and other.std() == pytest.approx(np.sqrt(450 * 1 / 9 * 8 / 9), rel=0.3)


@given(st.integers(1, 12), st.integers(1, 8), st.integers(2, 8), st.integers(0, 99))
def test_all_classes_are_covered_exactly_where_slots_suffice(clients, each, classes, seed):
    labels = np.repeat(np.arange(classes) * 3, 15)  # labels need not be 0 .. C - 1
    if each <= classes and clients * each >= classes:
        rows = PCDD(classes=each).split(labels, {}, clients, seed)
        assert all(len(np.unique(labels[own])) == each for own in rows)
    else:
        with pytest.raises(InputError, match=f"partition=pcdd:{each}"):
            PCDD(classes=each).split(labels, {}, clients, seed)


def test_too_few_slots_too_many_classes_too_few_examples():
    with pytest.raises(
        InputError,
        match="partition=pcdd:2: 4 clients with 2 classes each leave some of 10 classes to nobody; "
        "take 5 clients or 3 classes each",
    ):
        PCDD(classes=2).split(LABELS, {}, 4, 0)
    with pytest.raises(InputError, match="pcdd:11: a client cannot hold 11 classes of 10; take fewer"):
        PCDD(classes=11).split(LABELS, {}, 4, 0)
    with pytest.raises(InputError, match="pcdd:2: class 0 has 3 examples for 4 clients that hold it"):
        PCDD(classes=2).split(np.r_[np.zeros(3, int), np.ones(50, int)], {}, 4, 0)


@pytest.mark.parametrize("clients, k", [(10, 1), (10, 2), (25, 3)])
def test_label_k_gives_the_first_class_in_turn(clients, k):
    skew = describe(LabelK(k=k).split(LABELS, {}, clients, 1), LABELS, 10)
    assert (skew.held == k).all()
    assert (skew.table[np.arange(clients), np.arange(clients) % 10] > 0).all()


def test_label_k_needs_a_client_for_every_class():
    with pytest.raises(InputError, match="label-k:2: the first classes of 9 clients .*take 10 clients, or partition=p"):
        LabelK().split(LABELS, {}, 9, 0)
    with pytest.raises(InputError, match="label-k:11: a client cannot hold 11 classes of 10"):
        LabelK(k=11).split(LABELS, {}, 20, 0)


@pytest.mark.parametrize("shards", [1, 2, 5])
def test_shards_are_runs_of_the_sorted_labels(shards):
    rows = Shards(shards=shards).split(LABELS, {}, 10, 0)
    skew = describe(rows, LABELS, 10)
    assert (skew.sizes == 100).all()
    assert (skew.held <= shards).all()  # every shard of 100 / s examples lies inside a class of 100
    assert (skew.table % (100 // shards) == 0).all()
    with pytest.raises(InputError, match=r"shards:200: 2000 shards of 1000 examples"):
        Shards(shards=200).split(LABELS, {}, 10, 0)
