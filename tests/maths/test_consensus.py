import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from harmonia.maths.consensus import elected, weighted_sum

ROWS = torch.tensor([[0.8, 0, 0, 0.5], [-0.6, 0, -0.4, 0], [0.7, 0, 0, -0.45]])


def test_elected_by_hand():
    assert elected(ROWS.clone(), [1, 1, 1]).tolist() == pytest.approx([0.75, 0, -0.4, 0.5])
    assert elected(ROWS.clone(), [1, 1, 1], normalize=False).tolist() == pytest.approx([1.5, 0, -0.4, 0.5])
    # weights 1, 3: the second outvotes the first
    assert elected(ROWS[:2].clone(), [1, 3]).tolist() == pytest.approx([-0.6, 0, -0.4, 0.5])
    votes = torch.tensor([-1.0, 1, 1, -1])
    assert elected(ROWS.clone(), [1, 1, 1], votes=votes).tolist() == pytest.approx([-0.6, 0, 0, -0.45])


@pytest.mark.parametrize(("undecided", "expected"), [(1, 2.0), (-1, -2.0), (0, 0.0)])
def test_votes_that_cancel_out(undecided, expected):
    assert elected(torch.tensor([[2.0], [-2.0]]), [1, 1], undecided=undecided).item() == expected


@given(seed=st.integers(0, 10**6), rows=st.integers(1, 5), columns=st.integers(1, 40))
def test_columns_are_by_themselves(seed, rows, columns):
    x = torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed))
    weights = np.random.default_rng(seed).random(rows).tolist()
    for rule in (weighted_sum, lambda r, w: weighted_sum(r, w, True), elected, lambda r, w: elected(r, w, False)):
        whole = rule(x.clone(), weights)
        alone = torch.cat([rule(x[:, i : i + 1].clone(), weights) for i in range(columns)])
        assert (whole == alone).all()


@given(seed=st.integers(0, 10**6), rows=st.integers(1, 5))
def test_turning_all_signs_turns_the_result(seed, rows):
    x = torch.randn(rows, 30, generator=torch.Generator().manual_seed(seed))
    assert (elected(-x, [1.0] * rows) == -elected(x.clone(), [1.0] * rows)).all()
    bounds = x.abs().amax(dim=0)
    assert (elected(x.clone(), [1.0] * rows).abs() <= bounds * (1 + 1e-6)).all()
