import numpy as np
import pytest
from scipy.stats import chisquare, kstest

from harmonia.maths.gumbel import gumbel_keys, standardise


def test_standardised_scores_have_mean_zero_and_deviation_one_and_keep_exclusions():
    scores = np.array([3.0, -np.inf, 7, 20, 4])
    z = standardise(scores)
    assert np.isneginf(z[1])
    finite = z[[0, 2, 3, 4]]
    assert finite.mean() == pytest.approx(0) and finite.std() == pytest.approx(1)


def test_equal_scores_become_zero_whatever_rounding_does():
    assert (standardise(np.full(7, 0.1)) == 0).all()
    assert standardise(np.array([-np.inf, -np.inf])).tolist() == [-np.inf, -np.inf]


def test_temperature_zero_is_the_score_itself():
    scores = np.array([1.0, -np.inf, 2])
    assert gumbel_keys(scores, np.array([9.0, 9, 9]), 0).tolist() == scores.tolist()


@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_the_largest_key_follows_the_tempered_softmax(temperature):
    scores, draws = np.array([0.0, 1, 2]), 20000
    noise = np.random.default_rng(3).gumbel(size=(draws, 3))
    first = np.array([np.argmax(gumbel_keys(scores, row, temperature)) for row in noise])
    p = np.exp(scores / temperature)
    assert chisquare(np.bincount(first, minlength=3), draws * p / p.sum()).pvalue > 1e-3


def test_the_order_tends_to_uniform_as_the_temperature_grows():
    noise = np.random.default_rng(0).gumbel(size=(4000, 10))
    best = [np.argmax(gumbel_keys(np.arange(10.0), row, 1e6)) for row in noise]
    assert kstest(np.array(best) + np.random.default_rng(1).random(4000), "uniform", (0, 10)).pvalue > 1e-3
