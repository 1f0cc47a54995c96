import math

import torch

from harmonia.maths.consensus import elected, keep_agreeing
from harmonia.maths.softmax_entropy import softmax_entropy


def test_limits_and_shift():
    assert abs(float(softmax_entropy(torch.zeros(7, dtype=torch.float64))) - math.log(7)) < 1e-12
    assert float(softmax_entropy(torch.tensor([1000.0, 0.0, 0.0]))) == 0
    logits = torch.randn(5, 3, 11, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    torch.testing.assert_close(softmax_entropy(logits), softmax_entropy(logits + 50))
    expected = torch.distributions.Categorical(logits=logits).entropy()
    torch.testing.assert_close(softmax_entropy(logits), expected)


def test_two_classes_in_closed_form():
    for p in (0.5, 0.9, 0.01):
        expected = -p * math.log(p) - (1 - p) * math.log(1 - p)
        found = softmax_entropy(torch.tensor([math.log(p), math.log(1 - p)], dtype=torch.float64))
        assert abs(float(found) - expected) < 1e-12


def test_gradient():
    logits = torch.randn(4, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(softmax_entropy, logits)


def test_the_sum_of_what_agrees_is_that_of_the_election():
    generator = torch.Generator().manual_seed(1)
    for weights in ((1, 1, 1), (0.5, 2.0, -1.0)):
        rows = torch.randn(3, 200, generator=generator).mul_(torch.rand(3, 200, generator=generator) > 0.4)
        kept = rows.clone()
        keep_agreeing(kept, weights)
        total = sum(w * row for w, row in zip(weights, kept, strict=True))
        torch.testing.assert_close(total, elected(rows.clone(), weights, normalize=False))
        assert ((kept == 0) | (kept == rows)).all()
