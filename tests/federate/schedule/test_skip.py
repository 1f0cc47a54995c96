import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from harmonia.core.errors import InputError
from harmonia.federate.schedule import Every, Skip

PERMUTATIONS = ["random", "derangement", "cyclic"]


def period_of(part, number, active, clients, seed=0):
    """Return the assignments of a whole period, counted from 0."""
    first = number * part.period + 1
    return [part.assign(first + place, active, clients, seed) for place in range(part.period)]


@pytest.mark.parametrize("permutation", PERMUTATIONS)
@settings(deadline=None)
@given(st.integers(1, 12), st.data(), st.integers(0, 20), st.integers(0, 2**31))
def test_distinct_clients_by_seed_and_round_alone(permutation, clients, data, number, seed):
    active, period = data.draw(st.integers(1, clients)), data.draw(st.integers(1, clients))
    part = Skip(period=period, permutation=permutation)
    rounds = period_of(part, number, active, clients, seed)
    for chosen in rounds:
        assert len(set(chosen)) == len(chosen) == active and set(chosen) <= set(range(clients))
    assert rounds == period_of(part, number, active, clients, seed)
    if permutation != "random":
        for visits in zip(*rounds, strict=True):
            assert len(set(visits)) == period


def test_averages_after_every_period():
    assert [round for round in range(1, 10) if Skip(period=3).averages(round, 5)] == [3, 6, 9]
    assert all(Skip(period=1).averages(round, 5) for round in range(1, 5))
    assert Skip(period=2).relays and not Skip(period=1).relays


@pytest.mark.parametrize("permutation", PERMUTATIONS)
def test_a_period_of_one_is_every(permutation):
    part = Skip(period=1, permutation=permutation)
    assert all(part.assign(r, 4, 9, 5) == Every().assign(r, 4, 9, 5) for r in range(1, 20))


def test_random_may_return_to_a_client():
    rounds = [period_of(Skip(period=2), number, 10, 10) for number in range(300)]
    returns = sum(a == b for first, second in rounds for a, b in zip(first, second, strict=True))
    assert 200 < returns < 400  # 3000 moves, one in ten


def test_a_derangement_sends_every_model_anywhere_and_periods_differ():
    part = Skip(period=2, permutation="derangement")
    moves = {pair for number in range(200) for pair in zip(*period_of(part, number, 4, 4), strict=True)}
    assert moves == {(a, b) for a in range(4) for b in range(4) if a != b}
    times = [0] * 10
    for number in range(1000):
        times[part.assign(2 * number + 2, 1, 10, 0)[0]] += 1
    assert all(abs(count - 100) < 50 for count in times)


def test_cyclic_moves_to_the_next_client_on_one_ring():
    part = Skip(period=3, permutation="cyclic")
    follows = {}
    for round in range(1, 12):
        for now, then in zip(part.assign(round, 3, 7, 0), part.assign(round + 1, 3, 7, 0), strict=True):
            assert follows.setdefault(now, then) == then
    ring = [0]
    while follows[ring[-1]] != 0:
        ring.append(follows[ring[-1]])
    assert sorted(ring) == list(range(7))


def test_bad_input_is_named():
    for permutation in ("derangement", "cyclic"):
        with pytest.raises(InputError, match=f"permutation={permutation} sends a model to 4 different .* there are 3"):
            Skip(period=4, permutation=permutation).assign(1, 2, 3, 0)
    assert len(Skip(period=4).assign(1, 2, 3, 0)) == 2
    for period in (0, 1.5):
        with pytest.raises(ValidationError, match="period"):
            Skip(period=period)
