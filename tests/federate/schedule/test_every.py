from hypothesis import given, settings
from hypothesis import strategies as st

from harmonia.federate.schedule import Every


@settings(deadline=None)
@given(st.integers(1, 30), st.data(), st.integers(1, 100), st.integers(0, 2**31))
def test_distinct_clients_by_seed_and_round_alone(clients, data, round, seed):
    active = data.draw(st.integers(1, clients))
    chosen = Every().assign(round, active, clients, seed)
    assert len(set(chosen)) == len(chosen) == active and set(chosen) <= set(range(clients))
    assert chosen == Every().assign(round, active, clients, seed)
    assert Every().averages(round, clients) and not Every().relays


def test_clients_take_part_equally_often():
    times = [0] * 10
    for round in range(1, 2001):
        for client in Every().assign(round, 3, 10, seed=0):
            times[client] += 1
    assert all(abs(count - 600) < 5 * (2000 * 0.3 * 0.7) ** 0.5 for count in times)
    assert len({tuple(Every().assign(1, 3, 10, seed)) for seed in range(20)}) > 10
