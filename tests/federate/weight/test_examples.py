import pytest

from harmonia.federate.weight import Examples


def test_shares_of_the_examples():
    part, n = Examples(), [1.0, 3.0]
    assert [part.unit(x, k) * part.scale(n, [5, 1]) for x, k in zip(n, [5, 1], strict=True)] == [0.25, 0.75]


def test_slots_count_by_all_that_they_visited():
    part = Examples()
    assert [part.unit(4, 1) * part.scale([4, 4], [1, 1])] * 2 == [0.5, 0.5]
    assert sum(part.unit(n, 1) for n in (2, 5, 7)) * part.scale([2, 5, 7], [1, 1, 1]) == pytest.approx(1)
