import numpy as np
import pytest

from harmonia.maths.random_mask import bernoulli, draws, mask_key


def test_any_run_is_the_same_run():
    key = mask_key(3, "a", 1)
    whole = draws(key, 0, 200)
    for start in range(0, 40, 3):
        for count in (0, 1, 7, 8, 9, 100):
            assert (draws(key, start, count) == whole[start : start + count]).all()


def test_far_elements_can_be_drawn():
    key = mask_key(0)
    assert (draws(key, 2**40 + 5, 10) == draws(key, 2**40, 20)[5:15]).all()
    assert (draws(key, 2**40, 16) != draws(key, 0, 16)).any()


def test_known_bits():
    """The generator is defined by its algorithm: the same bits on every machine and in every version."""
    assert draws(np.array([1, 2], np.uint64), 0, 4).tolist() == [3042142985, 1328497427, 564130602, 1533115363]


def test_keys_differ_by_seed_and_words():
    keys = [mask_key(seed, *words) for seed in (0, 1) for words in (("a", 0), ("a", 1), ("b", 0))]
    assert len({key.tobytes() for key in keys}) == 6
    masks = np.array([bernoulli(key, 0, 4000, 0.5) for key in keys], float) - 0.5
    correlation = 4 * masks @ masks.T / 4000
    assert (abs(correlation - np.eye(6)) < 5 / 4000**0.5).all()


@pytest.mark.parametrize("probability", [0, 0.01, 0.5, 0.93, 1])
def test_how_often(probability):
    n = 200_000
    spread = 4 * (probability * (1 - probability) / n) ** 0.5
    one = bernoulli(mask_key(0), 3, n, probability)
    assert abs(one.mean() - probability) <= spread
    each = bernoulli(mask_key(0), 3, n, np.full(n, probability, np.float64))
    assert (one == each).mean() > 0.99999
