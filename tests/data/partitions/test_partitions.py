"""What every partition keeps to, by properties; each one's own law is in a file of its own."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harmonia.core.errors import InputError
from harmonia.data.partitions import PARTITIONS, parse_partition

KINDS = ["iid", "dirichlet:0.3,min_size=1", "pcdd:2", "label-k:2", "shards:2", "quantity:0.5,min_size=1"]
KINDS += ["feature-noise", "column:site"]


@st.composite
def data(draw):
    classes = draw(st.integers(2, 6))
    clients = draw(st.integers(classes, 9))
    counts = draw(st.lists(st.integers(clients, 40), min_size=classes, max_size=classes))
    labels = np.repeat(np.arange(classes), counts)
    np.random.default_rng(draw(st.integers(0, 99))).shuffle(labels)
    return labels, {"site": np.array([f"s{i % clients}" for i in range(len(labels))])}, clients


@pytest.mark.parametrize("kind", KINDS)
@given(data(), st.integers(0, 1000))
@settings(max_examples=25, deadline=None)
def test_parts_are_disjoint_cover_and_depend_on_the_seed_alone(kind, given, seed):
    labels, columns, clients = given
    partition = parse_partition(kind)
    rows = partition.split(labels, columns, clients, seed)
    assert len(rows) == clients and all(len(own) for own in rows)
    assert all((np.diff(own) > 0).all() for own in rows)
    assert np.array_equal(np.sort(np.concatenate(rows)), np.arange(len(labels)))
    again = partition.split(labels.copy(), dict(columns), clients, seed)
    assert all(np.array_equal(a, b) for a, b in zip(rows, again, strict=True))


def test_every_kind_is_tested_here():
    assert {parse_partition(kind).kind_name() for kind in KINDS} == set(PARTITIONS)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if not kind.startswith("column")])
def test_seeds_differ(kind):
    labels = np.arange(400) % 5
    one, other = (parse_partition(kind).split(labels, {}, 6, seed) for seed in (0, 1))
    assert any(not np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_bad_input():
    labels = np.arange(20) % 4
    iid = parse_partition("iid")
    with pytest.raises(InputError, match="partition=iid: 0 clients for 20 examples; give at least one client"):
        iid.split(labels, {}, 0, 0)
    with pytest.raises(InputError, match="partition=iid: 21 clients for 20 examples"):
        iid.split(labels, {}, 21, 0)
    with pytest.raises(InputError, match="partition=iid: say how many clients there are with --clients"):
        iid.split(labels, {}, None, 0)
    with pytest.raises(InputError, match="partition=iid: labels must be integers from 0"):
        iid.split(labels - 1, {}, 2, 0)
    with pytest.raises(InputError, match="labels must be integers from 0"):
        iid.split(labels / 2, {}, 2, 0)
