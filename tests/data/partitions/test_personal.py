import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harmonia.core.errors import InputError
from harmonia.data.partitions import PCDD, Column, Dirichlet, Shards, describe, parse_partition, personal_rows

TRAIN, TEST = np.arange(5000) % 10, np.arange(1000) % 10


@pytest.mark.parametrize("partition", [PCDD(classes=3), Dirichlet(beta=0.3), Shards()])
def test_a_client_is_tested_on_its_own_classes_in_its_own_proportions(partition):
    rows = partition.split(TRAIN, {}, 10, 0)
    test = personal_rows(partition, rows, TRAIN, TEST, seed=0)
    together = np.concatenate(test)
    assert np.array_equal(np.sort(together), np.arange(1000))
    train_table, test_table = (
        describe(rows, TRAIN, 10).table,
        np.stack([np.bincount(TEST[t], minlength=10) for t in test]),
    )
    assert (test_table[train_table == 0] == 0).all()
    assert (np.abs(test_table - train_table / 5) <= 1).all()


@given(st.integers(0, 1000), st.sampled_from(["iid", "pcdd:2", "dirichlet:0.5,min_size=2"]))
@settings(max_examples=30, deadline=None)
def test_parts_are_disjoint_and_seeded(seed, kind):
    partition = parse_partition(kind)
    rows = partition.split(TRAIN[:300], {}, 7, seed)
    found = personal_rows(partition, rows, TRAIN[:300], TEST[:45], seed=seed)
    again = personal_rows(partition, rows, TRAIN[:300], TEST[:45], seed=seed)
    assert len(found) == 7 and all(np.array_equal(a, b) for a, b in zip(found, again, strict=True))
    assert np.array_equal(np.sort(np.concatenate(found)), np.arange(45))


def test_rounding_favours_no_client():
    """Eight test examples of each class for ten equal clients: nobody is left out of all fifty classes."""
    train, test = np.repeat(np.arange(50), 100), np.repeat(np.arange(50), 8)
    partition = parse_partition("shards:50")
    rows = [np.flatnonzero(np.arange(5000) % 10 == client) for client in range(10)]
    sizes = [len(own) for own in personal_rows(partition, rows, train, test, seed=0)]
    assert sum(sizes) == 400 and min(sizes) > 25 and max(sizes) < 50


def test_classes_that_nobody_holds_stay_out():
    rows = [np.arange(0, 10), np.arange(10, 20)]
    labels = np.repeat([0, 1], 10)
    found = personal_rows(PCDD(classes=1), rows, labels, np.array([0, 2, 1, 2, 0]), seed=0)
    assert [own.tolist() for own in found] == [[0, 4], [2]]


def test_by_column_a_client_is_tested_on_its_value():
    columns, test_columns = {"site": np.array(["b", "a", "c"])}, {"site": np.array(["c", "a", "z", "c"])}
    partition, labels, test = Column(name="site"), np.zeros(3, int), np.zeros(4, int)
    rows = partition.split(labels, columns, None, 0)
    own = personal_rows(partition, rows, labels, test, columns=columns, test_columns=test_columns, seed=0)
    assert [each.tolist() for each in own] == [[1], [], [0, 3]]
    with pytest.raises(InputError, match="column:site: the test set has no column 'site'"):
        personal_rows(partition, rows, labels, test, columns=columns, seed=0)
