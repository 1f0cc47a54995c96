import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harmonia.core.errors import InputError
from harmonia.data.partitions import Dirichlet, Quantity, describe
from harmonia.data.partitions.cut import cut_counts

LABELS = np.arange(10_000) % 10


@given(st.integers(0, 200), st.sampled_from([0.05, 0.1, 0.5, 5.0]))
@settings(max_examples=40, deadline=None)
def test_clients_that_are_full_get_none_of_the_classes_that_follow(seed, beta):
    rows = Dirichlet(beta=beta, min_size=1).split(LABELS, {}, 8, seed)
    table = describe(rows, LABELS, 10).table
    before = np.cumsum(table, axis=1) - table
    assert (table[before >= len(LABELS) / 8] == 0).all()


def test_the_textbook_form_fills_clients_beyond_their_share():
    rows = Dirichlet(beta=0.1, min_size=1, balanced=False).split(LABELS, {}, 8, 0)
    table = describe(rows, LABELS, 10).table
    before = np.cumsum(table, axis=1) - table
    assert (table[before >= len(LABELS) / 8] > 0).any()


def test_textbook_shares_have_the_moments_of_a_dirichlet():
    """Mean 1 / K, variance (1 / K)(1 - 1 / K) / (K beta + 1), over 400 classes."""
    labels, clients, beta = np.repeat(np.arange(400), 1000), 5, 0.7
    table = describe(Dirichlet(beta=beta, balanced=False).split(labels, {}, clients, 3), labels, 400).table
    shares = table / 1000
    assert shares.mean() == pytest.approx(1 / clients)
    assert shares.var() == pytest.approx((1 / clients) * (1 - 1 / clients) / (clients * beta + 1), rel=0.08)


@pytest.mark.parametrize("balanced", [True, False])
def test_a_huge_beta_stands_for_iid(balanced):
    skew = describe(Dirichlet(beta=1e5, balanced=balanced).split(LABELS, {}, 10, 0), LABELS, 10)
    assert skew.mean_distance < 0.01 and skew.sizes.min() > 950
    assert skew.information < 1e-3


def test_smaller_beta_differs_more():
    distances = [
        describe(Dirichlet(beta=beta, min_size=1).split(LABELS, {}, 10, 0), LABELS, 10).mean_distance
        for beta in (0.05, 0.5, 5, 500)
    ]
    assert distances == sorted(distances, reverse=True)


@given(st.integers(0, 50), st.integers(1, 60))
@settings(max_examples=20, deadline=None)
def test_the_smallest_client_has_enough(seed, smallest):
    for partition in (Dirichlet(beta=0.3, min_size=smallest), Quantity(beta=1, min_size=smallest)):
        assert min(map(len, partition.split(LABELS[:2000], {}, 10, seed))) >= smallest


def test_a_thousand_draws_are_enough():
    with pytest.raises(
        InputError,
        match=r"partition=dirichlet:0\.01: none of 1000 draws gives every client 10 examples "
        r"\(the smallest had \d at best\); take fewer clients, a larger beta or a smaller min_size",
    ):
        Dirichlet(beta=0.01, balanced=False).split(np.arange(1000) % 4, {}, 50, 0)
    with pytest.raises(InputError, match=r"dirichlet:0\.5: 20 clients with 10 examples each need 200, there are 199"):
        Dirichlet().split(np.arange(199) % 4, {}, 20, 0)
    with pytest.raises(InputError, match=r"quantity:0\.5: 20 clients with 10 examples each need 200, there are 199"):
        Quantity().split(np.arange(199) % 4, {}, 20, 0)


def test_quantity_changes_sizes_and_not_laws():
    skew = describe(Quantity(beta=0.5, min_size=200).split(LABELS, {}, 5, 0), LABELS, 10)
    assert skew.sizes.max() > 3 * skew.sizes.min()
    assert skew.distance.max() < 0.12 and skew.information < 0.01


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12).filter(lambda x: sum(x) > 0.01), st.integers(0, 5000))
def test_cuts_sum_to_the_whole_and_miss_a_share_by_less_than_one(weights, total):
    shares = np.array(weights) / sum(weights)
    counts = cut_counts(shares, total)
    assert counts.sum() == total and (counts >= 0).all()
    assert (np.abs(counts - shares * total) < 1 + 1e-6).all()
    assert (counts[shares == 0] == 0).all()
