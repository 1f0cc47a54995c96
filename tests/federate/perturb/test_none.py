import torch
from tests.federate.stacks import Counted, stack_of

from harmonia.federate.perturb import NoPerturb


def test_the_gradient_is_taken_where_it_is_asked_for_once():
    gradient, at = Counted([1.0, 4]), torch.tensor([[1.0, 2], [3, 4]], dtype=torch.float64)
    perturbation = NoPerturb().begin(stack_of(at))
    assert perturbation.gradient(at, gradient).tolist() == [[1, 8], [3, 16]]
    assert gradient.calls == 1 and perturbation.constant is None
    assert perturbation.end(at) == ({}, {})
