import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harmonia.maths.truncated_product import truncated_matrix, truncated_product


def drawn(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 12), st.integers(1, 12), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_the_factors_give_what_the_whole_matrix_gives(out, into, k, rank, seed):
    b, a = drawn(seed, out, k), drawn(seed + 1, k, into)
    found, whole = truncated_product(b, a, rank), truncated_matrix(b @ a, rank)
    torch.testing.assert_close(found.left @ found.right, whole.left @ whole.right, atol=1e-9, rtol=1e-9)
    assert found.lost == pytest.approx(whole.lost, abs=1e-9)
    cut = float((b @ a - found.left @ found.right).square().sum())
    assert found.lost == pytest.approx(cut, abs=1e-9)
    assert found.whole == pytest.approx(float((b @ a).square().sum()))
    assert found.left.shape[1] == min(rank, out, into, k)


def test_no_matrix_of_the_rank_is_nearer():
    matrix = drawn(0, 8, 6)
    found = truncated_matrix(matrix, 2)
    for seed in range(20):
        left, right = found.left + 0.1 * drawn(seed, 8, 2), found.right + 0.1 * drawn(seed + 50, 2, 6)
        assert float((matrix - left @ right).square().sum()) > found.lost


def test_known_singular_values_are_shared_alike():
    values = torch.tensor([5.0, 3.0, 1.0], dtype=torch.float64)
    u, _ = torch.linalg.qr(drawn(1, 9, 3))
    v, _ = torch.linalg.qr(drawn(2, 7, 3))
    found = truncated_product(u * values, v.T, 2)
    assert found.lost == pytest.approx(1) and found.whole == pytest.approx(35)
    for factor in (found.left.T, found.right):
        np.testing.assert_allclose(factor @ factor.T, torch.diag(values[:2]), atol=1e-12)
