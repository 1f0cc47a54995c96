import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harmonia.core.errors import InputError
from harmonia.maths.importance import frequencies, log_ratios


def test_the_weight_is_the_sum_over_ngrams():
    ratios = log_ratios(np.array([0.8, 0.2]), np.array([0.5, 0.5]))
    assert np.array([3, 1]) @ ratios == pytest.approx(0.493720, abs=5e-7)
    assert np.array([3, 1]) @ ratios == pytest.approx(3 * np.log(1.6) + np.log(0.4), abs=1e-6)


def test_an_ngram_that_the_target_never_shows_costs_eighteen_nats():
    ratios = log_ratios(frequencies(np.array([5, 0])), np.array([0.0, 1.0]))
    assert ratios[1] == pytest.approx(np.log(1e-8), abs=1e-6)
    smooth = log_ratios(frequencies(np.array([5, 0]), 1.0), np.array([0.5, 0.5]))
    assert smooth[1] == pytest.approx(np.log(2 / 7), abs=1e-6)


@given(st.lists(st.integers(0, 50), min_size=2, max_size=20).filter(any))
def test_target_equal_to_pool_gives_weight_zero(counts):
    assert (log_ratios(frequencies(np.array(counts)), frequencies(np.array(counts))) == 0).all()


def test_frequencies_sum_to_one_and_nothing_counted_is_an_error():
    assert frequencies(np.array([3, 0, 1]), 0.5).sum() == pytest.approx(1, abs=1e-15)
    with pytest.raises(InputError, match="texts are empty"):
        frequencies(np.zeros(4))
