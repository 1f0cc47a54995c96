import pytest
from tests.federate.quadratic import Federation, recipe

from harmonia.federate.schedule import Cyclic


@pytest.mark.parametrize("order", ["fixed", "shuffled"])
def test_every_lap_visits_every_client_once(order):
    part = Cyclic(order=order)
    laps = [[part.assign(6 * lap + place, 3, 6, 0) for place in range(1, 7)] for lap in range(5)]
    for lap in laps:
        assert sorted(client for (client,) in lap) == list(range(6))
    assert (laps[1:] == laps[:-1]) == (order == "fixed")
    assert part.relays and [round for round in range(1, 13) if part.averages(round, 6)] == [6, 12]


@pytest.mark.parametrize("weight", ["examples", "uniform"])
def test_is_training_in_sequence(weight):
    """Client i contracts by q_i towards c_i, one after the other."""
    federation = Federation(curvature=(1, 3, 2), optimum=(0, 4, -1), examples=(1, 3, 2), steps=(5, 2, 1))
    found = federation.train(recipe("schedule=cyclic", f"weight={weight}"), 6)[:, 0].tolist()
    at, expected = 1.0, []
    for round in range(1, 7):
        (client,) = Cyclic().assign(round, 3, 3, 0)
        h, c = ((1, 0), (3, 4), (2, -1))[client]
        at = c + (1 - 0.1 * h) ** federation.steps[client] * (at - c)
        expected.append(at)
    assert found == pytest.approx([1, 1, expected[2], expected[2], expected[2], expected[5]], abs=1e-12)
