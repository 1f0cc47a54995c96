import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harmonia.federate.batches import Batches, order_of, steps_of
from harmonia.federate.training import Training


@given(n=st.integers(1, 60), batch=st.integers(1, 20) | st.none(), epochs=st.integers(1, 4), seed=st.integers(0, 99))
def test_every_epoch_sees_every_example_once(n, batch, epochs, seed):
    rows, training = np.arange(100, 100 + n), Training(epochs=epochs, batch=batch)
    steps = order_of(rows, training, seed, 1, 0)
    assert len(steps) == steps_of(n, training)
    per_epoch = len(steps) // epochs
    for epoch in range(epochs):
        seen = np.concatenate(steps[epoch * per_epoch : (epoch + 1) * per_epoch])
        assert sorted(seen) == rows.tolist()


def test_a_number_of_steps_takes_the_place_of_epochs():
    training = Training(steps=7, batch=4)
    assert [len(step) for step in order_of(np.arange(10), training, 0, 1, 0)] == [4, 4, 2, 4, 4, 2, 4]
    assert steps_of(10, training) == 7


def test_the_order_depends_on_seed_round_and_client_alone():
    rows, training = np.arange(50), Training(batch=8)

    def first(*path):
        return order_of(rows, training, *path)[0].tolist()

    assert first(0, 1, 2) == first(0, 1, 2)
    assert len({tuple(first(*path)) for path in ((0, 1, 2), (1, 1, 2), (0, 2, 2), (0, 1, 3))}) == 4


def test_clients_of_unequal_size_are_padded():
    batches = Batches.of([[np.array([1, 2]), np.array([3])], [np.array([4, 5, 6])]])
    assert batches.rows.shape == (2, 2, 3) and batches.steps.tolist() == [2, 1]
    assert batches.valid.sum(axis=(1, 2)).tolist() == [3, 3]
    assert batches.rows[batches.valid].tolist() == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("round", [1, 4])
def test_the_learning_rate_decays_by_round(round):
    assert Training(learning_rate=0.5, decay=0.9).rate(round) == pytest.approx(0.5 * 0.9 ** (round - 1))
