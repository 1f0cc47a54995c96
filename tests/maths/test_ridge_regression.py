import numpy as np
import pytest
import torch

from harmonia.core.errors import InputError
from harmonia.maths.ridge_regression import RidgeRegression


def rows(count, width, seed=0):
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed))


def test_pieces_give_what_all_rows_give_in_float64():
    x, y = rows(60, 5), rows(60, 3, seed=1)
    seen = RidgeRegression(5, 3)
    for start in range(0, 60, 7):
        seen.add(x[start : start + 7], y[start : start + 7])
    X, Y = x.double().numpy(), y.double().numpy()
    lam = 0.1 * np.diag(X.T @ X).mean()
    np.testing.assert_allclose(seen.solve(0.1), np.linalg.solve(X.T @ X + lam * np.eye(5), X.T @ Y), rtol=1e-10)


def test_a_class_that_comes_later_is_as_if_it_had_been_there():
    parts = [rows(30, 4, seed) for seed in range(3)]
    at_once, grown = RidgeRegression(4, 3), RidgeRegression(4, 2)
    for number, part in enumerate(parts):
        at_once.add(part, torch.eye(3)[number].expand(30, 3))
        grown.add_class(part, number)
    np.testing.assert_allclose(grown.solve(0.5), at_once.solve(0.5), rtol=1e-12)


def test_without_ridge_it_is_least_squares_of_the_smallest_norm():
    x = rows(20, 6)
    x[:, 5] = x[:, 4]
    y = rows(20, 2, seed=1)
    seen = RidgeRegression(6, 2)
    seen.add(x, y)
    np.testing.assert_allclose(
        seen.solve(0.0), np.linalg.lstsq(x.double().numpy(), y.double().numpy(), rcond=1e-9)[0], atol=1e-7
    )


def test_states_that_are_not_finite_are_refused():
    seen = RidgeRegression(2, 1)
    seen.add_class(torch.tensor([[1.0, float("nan")]]), 0)
    with pytest.raises(InputError, match="states that are not finite cannot be regressed on"):
        seen.solve(0.1)
