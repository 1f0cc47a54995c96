import pytest
import torch

from harmonia.maths.ghost_products import ghost_product, ghost_square


@pytest.mark.parametrize(("length", "into", "out"), [(3, 5, 7), (20, 3, 4), (1, 2, 2)])
def test_agree_with_gradients_of_each_row(length, into, out):
    draw = torch.Generator().manual_seed(length)
    x = torch.randn(4, length, into, generator=draw, dtype=torch.float64)
    weight = torch.randn(out, into, generator=draw, dtype=torch.float64, requires_grad=True)
    direction = torch.randn(out, into, generator=draw, dtype=torch.float64)
    y = x @ weight.T
    deltas = torch.autograd.grad(y.pow(3).sum(), y, retain_graph=True)[0]
    for row in range(4):
        gradient = torch.autograd.grad(y[row].pow(3).sum(), weight, retain_graph=True)[0]
        torch.testing.assert_close(ghost_product(x, deltas, direction)[row], (gradient * direction).sum())
        torch.testing.assert_close(ghost_square(x, deltas)[row], gradient.square().sum())
