import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harmonia.core.errors import InputError
from harmonia.maths.quotas import bounded_top, largest_remainder, quotas, tempered_shares

SIZES = st.lists(st.integers(0, 20), min_size=1, max_size=6).filter(any)


def test_the_cap_of_a_small_source_goes_to_the_large_one():
    assert quotas(tempered_shares(np.array([10, 2]), 0), np.array([10, 2]), 6).tolist() == [4, 2]


def test_alpha_one_is_proportional_and_zero_is_equal():
    sizes = np.array([60, 30, 10])
    assert quotas(tempered_shares(sizes, 1), sizes, 20).tolist() == [12, 6, 2]
    assert quotas(tempered_shares(sizes, 0), sizes, 18).tolist() == [6, 6, 6]


def test_an_empty_source_gets_nothing_even_when_shares_are_equal():
    assert quotas(tempered_shares(np.array([5, 0, 5]), 0), np.array([5, 0, 5]), 4).tolist() == [2, 0, 2]


def test_overflow_is_passed_on_in_proportion_to_the_shares():
    # 6:3:1 of 20 is 12, 6, 2; the first holds 4, and its 8 go 3:1 to the others
    assert quotas(np.array([6, 3, 1]), np.array([4, 50, 50]), 20).tolist() == [4, 12, 4]


def test_a_share_larger_than_its_source_is_refused_without_redistribution():
    with pytest.raises(InputError, match=r"quota of source 1 is 3, but it holds only 2"):
        quotas(np.array([1, 1]), np.array([10, 2]), 6, redistribute=False)
    assert quotas(np.array([1, 1]), np.array([10, 3]), 6, redistribute=False).tolist() == [3, 3]


def test_largest_remainder_breaks_ties_by_index():
    assert largest_remainder(np.array([0.5, 0.5, 0.5, 0.5]), 2).tolist() == [1, 1, 0, 0]
    assert largest_remainder(np.array([1.2, 1.7, 1.1]), 4).tolist() == [1, 2, 1]
    with pytest.raises(InputError, match="cannot be rounded to a total of 9"):
        largest_remainder(np.array([1.2, 1.7]), 9)


@given(SIZES, st.floats(0, 1), st.data())
@settings(max_examples=200, deadline=None)
def test_quotas_sum_to_the_budget_fit_and_differ_from_the_water_level_by_less_than_one(sizes, alpha, data):
    sizes = np.array(sizes)
    amount = data.draw(st.integers(1, int(sizes.sum())))
    shares = tempered_shares(sizes, alpha)
    result = quotas(shares, sizes, amount)
    assert result.sum() == amount
    assert (result >= 0).all()
    assert (result <= sizes).all()
    # slow reference: hand out the budget in rounds, closing sources as they fill up
    level, left, still = np.zeros(len(sizes)), float(amount), shares > 0
    while left > 1e-9:
        more = np.where(still, shares, 0) / shares[still].sum() * left
        given_out = np.minimum(more, sizes - level)
        level, left = level + given_out, left - given_out.sum()
        still = still & (sizes - level > 1e-9)
    assert np.abs(result - level).max() < 1 + 1e-6


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_quotas_keep_lower_and_upper_bounds(data):
    size = data.draw(st.integers(1, 5))
    sizes = np.array(data.draw(st.lists(st.integers(1, 12), min_size=size, max_size=size)))
    high = np.array([data.draw(st.integers(0, int(n))) for n in sizes])
    low = np.array([data.draw(st.integers(0, int(h))) for h in high])
    if not high.sum():
        return
    amount = data.draw(st.integers(max(1, int(low.sum())), int(high.sum())))
    shares = np.array(data.draw(st.lists(st.floats(0.01, 1), min_size=size, max_size=size)))
    result = quotas(shares, sizes, amount, low=low, high=high)
    assert result.sum() == amount
    assert (low <= result).all()
    assert (result <= high).all()


def test_quotas_of_billions_of_tokens_are_exact_in_their_sum():
    sizes = np.array([7 * 10**12, 3 * 10**12 + 1, 5 * 10**11])
    result = quotas(tempered_shares(sizes, 0.5), sizes, 10**12 + 7)
    assert result.sum() == 10**12 + 7
    assert (result <= sizes).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: tempered_shares(np.array([1, 2]), 1.5), r"exponent of tempered quotas is 1.5; it lies in \[0, 1\]"),
        (lambda: tempered_shares(np.array([0, 0]), 0.5), "at least one of them not empty"),
        (lambda: quotas(np.array([0, 0]), np.array([3, 3]), 2), "not all of them 0"),
        (lambda: quotas(np.array([1, np.nan]), np.array([3, 3]), 2), "shares must be finite"),
        (lambda: quotas(np.array([1, 0]), np.array([3, 3]), 5), "sources with a share hold 3, but the budget is 5"),
        (
            lambda: quotas(np.array([1, 1]), np.array([3, 3]), 5, low=np.array([4, 0])),
            "floor of source 0 is 4 documents, but only 3 can be chosen there",
        ),
    ],
)
def test_bad_quotas_say_what_is_wrong(call, message):
    with pytest.raises(InputError, match=message):
        call()


# --- the best documents within bounds per source


def test_equal_scores_go_to_the_lowest_row():
    assert bounded_top(np.array([1.0, 2, 2, 1, 2]), 4).tolist() == [1, 2, 4, 0]


def test_a_floor_takes_the_best_of_its_source_and_the_order_stays_by_score():
    scores, sources = np.array([9.0, 1, 8, 2, 7]), np.array([0, 1, 0, 1, 0])
    assert bounded_top(scores, 3, sources=sources, low=np.array([0, 1])).tolist() == [0, 2, 3]
    assert bounded_top(scores, 3, sources=sources, high=np.array([1, 9])).tolist() == [0, 3, 1]


def test_documents_of_minus_infinity_are_never_taken_and_the_error_counts_the_rest():
    scores = np.array([-np.inf, 3, -np.inf, 1])
    assert bounded_top(scores, 2).tolist() == [1, 3]
    with pytest.raises(InputError, match=r"budget is 3 documents, but only 2 of 4 documents"):
        bounded_top(scores, 3)
    with pytest.raises(InputError, match="floor of source 'web' is 1 documents, but only 0 can be chosen there"):
        bounded_top(scores, 1, sources=np.array([0, 1, 0, 1]), low=np.array([1, 0]), source_names=["web", "books"])


def test_shares_that_are_no_whole_documents_stay_feasible():
    sources = np.repeat([0, 1, 2], 10)
    rows = bounded_top(np.arange(30.0), 10, sources=sources, low=np.full(3, 10 / 3), high=np.full(3, 10 / 3))
    assert np.bincount(sources[rows]).tolist() == [4, 3, 3]
    # one part of a document counts as a whole one where there is room for it
    assert np.bincount(sources[bounded_top(np.arange(30.0), 10, sources=sources, low=np.array([0.5, 0, 0]))])[0] == 1


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_bounded_top_is_the_exact_optimum(data):
    n = data.draw(st.integers(1, 8))
    scores = np.array(data.draw(st.lists(st.sampled_from([-np.inf, -2.0, 0.0, 0.5, 1.0, 3.0]), min_size=n, max_size=n)))
    sources = np.array(data.draw(st.lists(st.integers(0, 2), min_size=n, max_size=n)))
    high = np.array([data.draw(st.integers(0, 4)) for _ in range(3)])
    low = np.array([data.draw(st.integers(0, int(h))) for h in high])
    amount = data.draw(st.integers(1, n))

    def fits(rows):
        counts = np.bincount(sources[list(rows)], minlength=3)
        return (low <= counts).all() and (counts <= high).all() and np.isfinite(scores[list(rows)]).all()

    sums = [scores[list(rows)].sum() for rows in itertools.combinations(range(n), amount) if fits(rows)]
    best = max(sums, default=None)
    if best is None:
        with pytest.raises(InputError):
            bounded_top(scores, amount, sources=sources, low=low, high=high)
        return
    rows = bounded_top(scores, amount, sources=sources, low=low, high=high)
    assert len(set(rows.tolist())) == amount
    assert fits(rows)
    assert scores[rows].sum() == best
    assert rows.tolist() == sorted(rows.tolist(), key=lambda r: (-scores[r], r))


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=30), st.data())
@settings(max_examples=100, deadline=None)
def test_a_smaller_budget_is_a_prefix_of_a_larger(scores, data):
    scores = np.array(scores)
    large = data.draw(st.integers(1, len(scores)))
    small = data.draw(st.integers(1, large))
    assert bounded_top(scores, small).tolist() == bounded_top(scores, large)[:small].tolist()


def test_tokens_include_the_document_that_crosses_the_budget():
    scores, costs = np.array([4.0, 3, 2, 1]), np.array([10, 10, 10, 10])
    assert bounded_top(scores, 20, costs=costs).tolist() == [0, 1]
    assert bounded_top(scores, 21, costs=costs).tolist() == [0, 1, 2]
    with pytest.raises(InputError, match=r"budget is 41 tokens, but only 4 of 4 documents \(40 tokens\)"):
        bounded_top(scores, 41, costs=costs)
    with pytest.raises(InputError, match="cost of row 2 is 0 tokens"):
        bounded_top(scores, 4, costs=np.array([1, 1, 0, 1]))


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_token_bounds_are_exceeded_by_less_than_one_document(data):
    n = data.draw(st.integers(2, 30))
    scores = np.array(data.draw(st.lists(st.floats(-3, 3), min_size=n, max_size=n)))
    costs = np.array(data.draw(st.lists(st.integers(1, 50), min_size=n, max_size=n)))
    sources = np.array(data.draw(st.lists(st.integers(0, 1), min_size=n, max_size=n)))
    held = np.bincount(sources, weights=costs, minlength=2)
    amount = data.draw(st.integers(1, int(held.sum())))
    low = np.array([data.draw(st.floats(0, 0.4)) * amount, 0.0])
    high = np.array([np.inf, data.draw(st.floats(0.5, 1)) * amount])
    if low[0] > held[0] or min(high[1], held[1]) + held[0] < amount:
        return
    rows = bounded_top(scores, amount, sources=sources, low=low, high=high, costs=costs)
    spent = np.bincount(sources[rows], weights=costs[rows], minlength=2)
    assert spent.sum() >= amount
    assert spent[0] >= low[0] - 1e-6
    assert spent[1] < high[1] + costs.max()
    if low[0] == 0:
        assert spent.sum() - costs[rows[-1]] < amount


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_documents_are_tokens_of_cost_one(data):
    n = data.draw(st.integers(1, 20))
    scores = np.array(data.draw(st.lists(st.integers(-3, 3), min_size=n, max_size=n)), float)
    sources = np.array(data.draw(st.lists(st.integers(0, 1), min_size=n, max_size=n)))
    amount = data.draw(st.integers(1, n))
    low = np.array([min(1, amount, int((sources == 0).sum())), 0])
    one = bounded_top(scores, amount, sources=sources, low=low)
    assert one.tolist() == bounded_top(scores, amount, sources=sources, low=low, costs=np.ones(n, np.int64)).tolist()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"scores": np.array([1.0, np.nan]), "amount": 1}, "score of row 1 is nan"),
        ({"scores": np.array([1.0]), "amount": 0}, "budget is 0; give at least 1"),
        (
            {"scores": np.array([1.0, 2]), "amount": 2, "sources": np.array([0, 1]), "high": np.array([1, 0])},
            "ceilings add up to 1, but the budget is 2",
        ),
        (
            {"scores": np.array([1.0, 2]), "amount": 2, "sources": np.array([0, 0]), "high": np.array([1, 1])},
            "ceilings leave 1 documents, but the budget is 2",
        ),
        ({"scores": np.array([1.0, 2]), "amount": 1, "low": np.array([1, 0])}, "need the source of each document"),
        (
            {"scores": np.array([1.0, 2]), "amount": 1, "sources": np.array([0, 3]), "low": np.array([1, 0])},
            "bounds are given for 2 sources, but the documents name source 3",
        ),
        (
            {"scores": np.array([1.0, 2]), "amount": 1, "sources": np.array([0, 1]), "low": np.array([1, 1])},
            "floors add up to 2, but the budget is 1",
        ),
    ],
)
def test_bad_bounds_say_what_is_wrong(arguments, message):
    scores, amount = arguments.pop("scores"), arguments.pop("amount")
    with pytest.raises(InputError, match=message):
        bounded_top(scores, amount, **arguments)
