"""Allocations: budgets by hand, against trying everything, ties, nesting, and what they refuse."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.compress.rows import seen, site

from harmonia.compress.allocation import (
    GlobalStandardised,
    Latency,
    LatencySearch,
    MacSearch,
    Rearrange,
    Uniform,
)
from harmonia.core.errors import InputError

SEARCH = LatencySearch(heads=Latency(floor=2, threshold=1, slope=1.5), neurons=Latency(floor=1, threshold=2, slope=0.5))
EVERY = [Uniform(), GlobalStandardised(), MacSearch(), SEARCH, Rearrange(of=Uniform())]


def sites(*sizes, heads=(), run=2, head_cost=4, neuron_cost=1):
    """Return layers with so many neurons, after layers with so many heads."""
    made = [
        site(np.ones((1, n * run)), run, name=f"a{i}", layer=i, kind="heads", parameters=head_cost, macs=head_cost)
        for i, n in enumerate(heads)
    ]
    return made + [
        site(np.ones((1, n)), name=f"f{i}", layer=i, parameters=neuron_cost, macs=neuron_cost)
        for i, n in enumerate(sizes)
    ]


def drawn(places, seed=0):
    random = np.random.default_rng(seed)
    return [random.random(place.units) for place in places]


def worth(scores, kept):
    return sum(score[units].sum() for score, units in zip(scores, kept, strict=True))


def test_uniform_by_hand():
    places = sites(5, 4)
    scores = [np.array([3.0, 1, 2, 5, 4]), np.array([1.0, 1, 1, 1])]
    assert [kept.tolist() for kept in Uniform().keep(places, scores, 0.5)] == [[0, 3, 4], [0, 1]]
    assert [kept.tolist() for kept in Uniform().keep(places, scores, 0.99)] == [[3], [0]]


def test_uniform_removes_29_of_100_at_029():
    assert [len(kept) for kept in Uniform().keep(sites(100, 10), drawn(sites(100, 10)), 0.29)] == [71, 8]


@pytest.mark.parametrize("part", EVERY, ids=lambda part: part.kind)
def test_nothing_removed_keeps_everything_and_every_layer_keeps_a_unit(part):
    places = sites(6, 3, heads=(3, 2))
    scores = drawn(places)
    for kept, place in zip(part.keep(places, scores, 0.0), places, strict=True):
        assert kept.tolist() == list(range(place.units))
    scores[0] = scores[0] - 100
    for ratio in (0.2, 0.4, 0.45):
        for kept, place in zip(part.keep(places, scores, ratio), places, strict=True):
            assert 1 <= len(kept) <= place.units and (np.diff(kept) > 0).all() and kept.dtype == np.int64


@pytest.mark.parametrize("part", EVERY[:2], ids=lambda part: part.kind)
def test_larger_ratios_take_from_what_smaller_ones_kept(part):
    places = sites(20, 30, heads=(4, 6))
    scores = drawn(places)
    before = part.keep(places, scores, 0.0)
    for ratio in (0.1, 0.2, 0.3, 0.4, 0.5, 0.6):
        after = part.keep(places, scores, ratio)
        assert all(np.isin(small, large).all() for small, large in zip(after, before, strict=True))
        before = after


def test_within_a_layer_the_best_stay():
    places = sites(20, 30, heads=(4, 6))
    scores = drawn(places)
    for part in EVERY[:4]:
        for kept, score in zip(part.keep(places, scores, 0.4), scores, strict=True):
            assert set(kept) == set(np.argsort(-score)[: len(kept)])


def test_global_by_hand():
    """z of (0, 1, 2) is 1.2247 apart and of (0, 0, 9) -0.707, -0.707, 1.414: kept are 1.414, 1.2247, 0 of six."""
    places = sites(3, 3)
    kept = GlobalStandardised().keep(places, [np.array([0.0, 1, 2]), np.array([0.0, 0, 9])], 0.5)
    assert [units.tolist() for units in kept] == [[1, 2], [2]]


@given(st.integers(0, 2**20), st.floats(1e-15, 1e6), st.floats(-5, 5))
def test_global_does_not_see_the_scale_and_origin_of_a_layer(seed, slope, offset):
    places = sites(20, 30, heads=(4, 6))
    scores = drawn(places, seed)
    moved = [scores[0], slope * (scores[1] + offset), *scores[2:]]
    for before, after in zip(*(GlobalStandardised().keep(places, s, 0.3) for s in (scores, moved)), strict=True):
        assert before.tolist() == after.tolist()


def test_global_weighs_heads_by_their_parameters():
    places = sites(12, heads=(4,), head_cost=5)
    scores = drawn(places)
    for ratio in (0.1, 0.3, 0.5):
        kept = GlobalStandardised().keep(places, scores, ratio)
        held = 5 * len(kept[0]) + len(kept[1])
        assert (1 - ratio) * 32 <= held < (1 - ratio) * 32 + 5


def test_global_standardises_columns_before_it_takes_their_mean():
    """Columns (1, -1), (1, 1) have z = (.577, -1.732, .577, .577): the means of heads are -.577 and .577."""
    places = sites(4, heads=(2,), head_cost=1)
    columns, neurons = np.array([[1.0, -1], [1, 1]]), np.array([0.0, 1, 2, 9])  # z of 2 is -.284, of 9 1.706
    kept = GlobalStandardised().keep(places, [columns, neurons], 0.5)
    assert [units.tolist() for units in kept] == [[1], [2, 3]]
    kept = GlobalStandardised().keep(places, [columns, -neurons], 0.5)  # z of 0 is .853, of -1 .569, below .577
    assert [units.tolist() for units in kept] == [[1], [0, 1]]
    assert GlobalStandardised().keep(places, [columns.mean(axis=1), neurons], 0.5)[0].tolist() == [1]


def every_prefix(places, scores, costs, budget):
    """Return the best summed score over all numbers of heads and neurons, each kind by falling score."""
    pools = []
    for kind in ("heads", "neurons"):
        pool = []
        for number, (place, score, cost) in enumerate(zip(places, scores, costs, strict=True)):
            order = np.argsort(-score, kind="stable")
            pool += [
                (rank > 0 and cost[rank] > 0, -score[unit], number, cost[rank])
                for rank, unit in enumerate(order)
                if place.kind == kind
            ]
        pools.append(sorted(pool))
    least = [sum(not unit[0] for unit in pool) for pool in pools]
    best = -np.inf
    for i, j in itertools.product(range(least[0], len(pools[0]) + 1), range(least[1], len(pools[1]) + 1)):
        taken = pools[0][:i] + pools[1][:j]
        if sum(unit[3] for unit in taken) <= budget + 1e-9:
            best = max(best, -sum(unit[1] for unit in taken))
    return best


@given(st.integers(0, 2**20), st.integers(0, 60))
def test_mac_search_equals_trying_everything(seed, percent):
    places, ratio = sites(4, heads=(3,), head_cost=3), percent / 100
    scores = drawn(places, seed)
    kept = MacSearch().keep(places, scores, ratio)
    cost = 3 * len(kept[0]) + len(kept[1])
    assert cost <= (1 - ratio) * 13 + 1e-6
    assert len(kept[0]) == 3 or cost + 3 > (1 - ratio) * 13
    assert len(kept[1]) == 4 or cost + 1 > (1 - ratio) * 13
    costs = [np.full(place.units, float(place.macs)) for place in places]
    assert worth(scores, kept) == pytest.approx(every_prefix(places, scores, costs, (1 - ratio) * 13))


@given(st.integers(0, 2**20), st.integers(0, 50))
def test_mac_search_over_several_layers(seed, percent):
    places, ratio = sites(5, 4, heads=(3, 2), head_cost=3), percent / 100
    scores = drawn(places, seed)
    costs = [np.full(place.units, float(place.macs)) for place in places]
    budget = (1 - ratio) * sum(cost.sum() for cost in costs)
    assert worth(scores, MacSearch().keep(places, scores, ratio)) == pytest.approx(
        every_prefix(places, scores, costs, budget)
    )


@given(st.integers(0, 2**20), st.integers(0, 50))
def test_latency_search_keeps_what_is_free_and_stays_within_the_time_of_the_full_model(seed, percent):
    places, ratio = sites(6, 4, heads=(3, 2)), percent / 100
    scores = drawn(places, seed)
    curves = [SEARCH.heads, SEARCH.heads, SEARCH.neurons, SEARCH.neurons]
    whole = sum(curve.seconds(place.units) for curve, place in zip(curves, places, strict=True))
    kept = SEARCH.keep(places, scores, ratio)
    assert sum(c.seconds(len(k)) for c, k in zip(curves, kept, strict=True)) <= (1 - ratio) * whole + 1e-6
    assert all(len(k) >= min(c.threshold, p.units) for c, k, p in zip(curves, kept, places, strict=True))
    costs = [np.where(np.arange(p.units) < c.threshold, 0, c.slope) for c, p in zip(curves, places, strict=True)]
    floors = sum(curve.floor for curve in curves)
    assert worth(scores, kept) == pytest.approx(every_prefix(places, scores, costs, (1 - ratio) * whole - floors))


def test_latency_is_measured_and_fitted():
    curve = Latency.fit([1, 2, 4, 8], [3, 3, 5, 9])
    assert (curve.floor, curve.threshold, curve.slope) == (pytest.approx(3), 2, pytest.approx(1))
    assert curve.seconds(1) == pytest.approx(3) and curve.seconds(10) == pytest.approx(11)


def test_rearrange_keeps_the_numbers_and_exchanges_units():
    places = sites(4)
    gradients = np.array([[1.0, 2.0, -2.0, 9.0], [1.0, -3.0, 3.1, 9.0]])
    part = Rearrange(of=Uniform())
    kept = part.keep(places, [(gradients**2).sum(axis=0)], 0.5)[0]
    assert kept.tolist() == [2, 3]
    assert part.refine(places[0], seen(np.ones((2, 4)), gradients=gradients), kept).tolist() == [0, 3]
    assert Uniform().refine(places[0], None, kept).tolist() == [2, 3]


def test_equal_scores_keep_the_lower_units():
    places, flat = sites(4, 4), [np.ones(4), np.ones(4)]
    assert [kept.tolist() for kept in Uniform().keep(places, flat, 0.5)] == [[0, 1], [0, 1]]
    for part in (GlobalStandardised(), MacSearch()):  # after the first of each layer
        assert [kept.tolist() for kept in part.keep(places, flat, 0.5)] == [[0, 1, 2], [0]]


def test_bad_input_is_named():
    places = sites(4, heads=(2,))
    scores = drawn(places)
    for part in EVERY:
        for ratio in (-0.1, 1.0):
            with pytest.raises(InputError, match=f"a ratio of {ratio}: the share .* at least 0 and below 1"):
                part.keep(places, scores, ratio)
        with pytest.raises(InputError, match="f0: scores are not finite"):
            part.keep(places, [scores[0], np.array([1, 2, np.nan, 3])], 0.5)
        with pytest.raises(InputError, match=r"f0: scores of shape \(3,\), and it has 4 units"):
            part.keep(places, [scores[0], np.ones(3)], 0.5)
    with pytest.raises(InputError, match="a ratio of 0.9 leaves fewer parameters than one unit of each of 2 layers"):
        GlobalStandardised().keep(places, scores, 0.9)
    with pytest.raises(InputError, match="this ratio leaves less multiplications than one unit of each of 2 layers"):
        MacSearch().keep(places, scores, 0.9)
    with pytest.raises(InputError, match="this ratio leaves less time than one unit of each of 2 layers"):
        SEARCH.keep(places, scores, 0.9)
    with pytest.raises(InputError, match="allocation.heads is not set, and a0 has heads to cut: a run measures it"):
        LatencySearch(neurons=SEARCH.neurons).keep(places, scores, 0.5)
    with pytest.raises(InputError, match="times of at least two sizes"):
        Latency.fit([4, 4], [1.0, 2.0])
    with pytest.raises(InputError, match="allocation rearrange needs gradients .* by the units of f0"):
        Rearrange().refine(places[1], seen(np.ones((2, 4))), np.array([0]))
