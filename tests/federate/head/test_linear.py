import pytest
import torch

from harmonia.core.errors import InputError
from harmonia.federate.head import LinearHead


def test_is_a_linear_layer_per_client():
    head = LinearHead().build(4, 6, seed=0)
    assert head.size == 6 * 4 + 4 and head.vectors is None
    torch.manual_seed(0)
    weights, features = torch.randn(3, head.size), torch.randn(3, 5, 6)
    logits = head.logits(weights, features, None, "global")
    for i in range(3):
        layer = torch.nn.Linear(6, 4)
        layer.load_state_dict({"weight": weights[i, :24].view(4, 6), "bias": weights[i, 24:]})
        torch.testing.assert_close(logits[i], layer(features[i]))


def test_first_weights_follow_the_seed_and_the_width():
    first = LinearHead().build(10, 64, seed=1).initial()
    assert (first == LinearHead().build(10, 64, seed=1).initial()).all()
    assert (first != LinearHead().build(10, 64, seed=2).initial()).any()
    assert 0.12 < first.abs().max() <= 0.125  # 1 / sqrt(64)


def test_bad_input_is_named():
    with pytest.raises(InputError, match="a head of 1 classes: give at least 2"):
        LinearHead().build(1, 6, seed=0)
    head = LinearHead().build(4, 6, seed=0)
    for shape in [(3, 6), (1, 3, 5)]:
        with pytest.raises(InputError, match=r"features of shape .*: the head takes \(clients, batch, 6\)"):
            head.logits(torch.zeros(1, head.size), torch.ones(shape), None, "global")
