"""Curves of accuracy: means over seeds are those of the records, and no seed speaks for another."""

import math

import numpy as np
import pytest
from made_up_training import history

from harmonia.federate.curve import curve
from harmonia.report import curves


def made(*accuracies, bytes_each=10):
    return [
        {"round": r, "averages": r, "bytes": bytes_each * r, "client_seconds": 0.5 * r, "accuracy": a}
        for r, a in enumerate(accuracies, 1)
    ]


def test_a_mean_over_seeds_is_that_of_each_round():
    each = [made(0.1, 0.5, 0.6), made(0.3, 0.3, 0.8)]
    places = curves._places("round", {"a": each})
    assert places.tolist() == [1, 2, 3]
    mean = np.mean([curves._at(places, one, "round") for one in each], axis=0)
    assert mean == pytest.approx([0.2, 0.4, 0.7])


def test_between_judged_rounds_a_curve_is_straight_and_outside_it_is_nothing():
    found = curves._at(np.array([5.0, 10, 15, 20, 25]), made(0.2, 0.4), "bytes")
    assert found[1:4] == pytest.approx([0.2, 0.3, 0.4])
    assert math.isnan(found[0]) and math.isnan(found[4])


def test_a_mean_ends_with_the_first_of_its_seeds():
    short, long = made(0.1, 0.2), made(0.1, 0.2, 0.9)
    assert curves._places("round", {"a": [short, long]}).tolist() == [1, 2]
    assert curves._places("round", {"a": [short, long], "b": [long]}).tolist() == [1, 2, 3]


def test_long_curves_are_thinned_and_keep_their_ends():
    many = {name: [made(*np.linspace(0, 1, 500), bytes_each=b)] for name, b in (("a", 10), ("b", 7))}
    places = curves._places("bytes", many)
    assert len(places) <= curves.POINTS + 2 and {5000.0, 3500.0} <= set(places) and places[0] == 7


def test_averages_stand_beside_rounds_only_where_they_differ():
    plain = {"fedavg": [curve(history())]}
    assert [words for words, _ in curves.accuracies(plain)] == ["rounds", "bytes sent, down and up", "client seconds"]
    both = curves.accuracies({**plain, "fedskip": [curve(history(period=3))]})
    assert [words for words, _ in both][1] == "averages"


def test_recipes_without_a_judged_round_are_left_out():
    assert curves.accuracies({"fedrep": [[], []]}) == []
    ((_, drawn), *_) = curves.accuracies({"fedrep": [[]], "fedavg": [made(0.1, 0.2)], "fedprox": [made(0.1, 0.3)]})
    assert "fedrep" not in drawn and "fedavg: 20.0 %" in drawn


def test_a_band_runs_from_the_lowest_to_the_highest_seed():
    several = {"a": [made(0.2, 0.2), made(0.4, 0.6)]}
    assert curves.banded(several)
    ((_, drawn), *_) = curves.accuracies(several)
    assert drawn.count('class="around') == 1
    assert not curves.banded({"a": [made(0.2, 0.2)]})
    assert not curves.banded({f"r{i}": several["a"] for i in range(curves.BANDS + 1)})
