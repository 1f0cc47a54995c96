import torch

from harmonia.federate.head import FrozenRandom, LinearHead


def test_the_same_for_all_and_without_gradient():
    part = FrozenRandom()
    head = part.build(4, 6, seed=3)
    assert part.frozen and not part.private
    assert (head.initial() == LinearHead().build(4, 6, seed=3).initial()).all()
    weights = head.initial().repeat(2, 1).requires_grad_(True)
    features = torch.randn(2, 5, 6, requires_grad=True)
    logits = head.logits(weights, features, None, "local")
    torch.testing.assert_close(logits, LinearHead().build(4, 6, 3).logits(weights, features, None, "local"))
    to_weights, to_features = torch.autograd.grad(logits.exp().sum(), (weights, features), allow_unused=True)
    assert to_weights is None and (to_features != 0).any()
