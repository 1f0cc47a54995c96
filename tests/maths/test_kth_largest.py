import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harmonia.maths import kth_largest as module
from harmonia.maths.kth_largest import Cut, kth_largest, magnitude, magnitude_keys, number, number_keys


def blocks_of(keys, length):
    """Return blocks of keys, and a list of the steps with which they were asked for."""
    steps = []

    def blocks(step):
        steps.append(step)
        for start in range(0, keys.shape[1], length):
            yield keys[:, start : start + length][:, ::step]

    return blocks, steps


def slow(row, rank, keys):
    """Return the cut by a stable sort."""
    order = np.argsort(-row.astype(np.float64), kind="stable")[:rank]
    key = keys[order[-1]]
    return int(key), max(place for place in order if keys[place] == key)


@pytest.mark.parametrize("few", [0, 10**9])
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), size=st.integers(1, 300), length=st.integers(1, 80), coarse=st.booleans())
def test_as_a_stable_sort(few, seed, size, length, coarse):
    random = np.random.default_rng(seed)
    rows = random.standard_normal((3, size)) * 10.0 ** random.integers(-30, 30, (3, 1))
    rows = (np.round(random.standard_normal((3, size)) * 2) if coarse else rows).astype(np.float32) + np.float32(0)
    ranks = random.integers(1, size + 1, (3, 2))
    for make, values in ((number_keys, rows), (magnitude_keys, np.abs(rows))):
        keys = make(rows)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "FEW", few)
            cuts = kth_largest(blocks_of(keys, length)[0], ranks.tolist(), size)
        for row in range(3):
            for cut, rank in zip(cuts[row], ranks[row], strict=True):
                key, last = slow(values[row], rank, keys[row])
                assert cut.key == key
                if key:
                    # where all equals are in, any place from the last of them on is right
                    kept = cut.kept(keys[row], 0)
                    assert kept.sum() == rank and kept[last]
                    assert set(np.flatnonzero(kept)) == set(np.argsort(-values[row], kind="stable")[:rank])


def test_many_numbers_take_two_passes_the_first_over_few():
    size = module.FEW + 1
    rows = np.random.default_rng(0).standard_normal((1, size), np.float32)
    blocks, steps = blocks_of(magnitude_keys(rows), 50_000)
    [[a, b]] = kth_largest(blocks, [[size // 5, size // 10]], size)
    assert steps == [17, 1]
    ascending = np.sort(np.abs(rows[0]))
    assert (magnitude(a.key), magnitude(b.key)) == (ascending[-(size // 5)], ascending[-(size // 10)])


@pytest.mark.parametrize("hidden", [0.0, 5.0])
def test_a_bracket_that_was_wrong_is_noticed(hidden, monkeypatch):
    """What one in seventeen does not see is larger, or smaller, than all it sees."""
    monkeypatch.setattr(module, "FEW", 1000)
    rows = np.full((1, 17_000), hidden, np.float32)
    rows[0, ::17] = 1 + np.arange(1000) / 1000
    blocks, steps = blocks_of(magnitude_keys(rows), 1700)
    [[cut]] = kth_largest(blocks, [[8500]], 17_000)
    assert magnitude(cut.key) == hidden and steps[:3] == [17, 1, 1]
    assert cut.kept(magnitude_keys(rows[0]), 0).sum() == (8500 if hidden else 17_000)


def test_keys_of_numbers_there_and_back():
    numbers = np.array([[-np.inf, -2.5, -1e-40, 0, 1e-40, 3, np.inf]], np.float32)
    keys = number_keys(numbers)[0]
    assert (np.diff(keys.astype(np.int64)) > 0).all()
    assert [number(int(key)) for key in keys] == numbers[0].tolist()
    assert [magnitude(int(key)) for key in magnitude_keys(numbers)[0]] == np.abs(numbers[0]).tolist()


def test_a_cut_is_the_same_in_pieces():
    keys = np.array([5, 7, 5, 5, 9, 5], np.uint32)
    cut = Cut(5, 2)
    assert cut.kept(keys, 0).tolist() == [True, True, True, False, True, False]
    for split in range(7):
        parts = [cut.kept(keys[:split], 0), cut.kept(keys[split:], split)]
        assert (np.concatenate(parts) == cut.kept(keys, 0)).all()
