import torch
from tests.federate.stacks import stack_of

from harmonia.federate.drift import NoDrift


def test_the_gradient_stays_as_it_is():
    at = torch.randn(2, 3, dtype=torch.float64)
    correction = NoDrift().begin(stack_of(at))
    gradient = torch.randn(2, 3, dtype=torch.float64)
    assert correction.add(gradient, at) is gradient
    assert correction.end(at) == ({}, {}) and NoDrift().server(3) is None
