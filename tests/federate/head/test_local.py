import pytest
import torch

from harmonia.federate.head import LinearHead, Local


def phases(steps, **fields):
    """Return, per step, which of backbone and head one client trains."""
    part, count = Local(order="alternate", **fields), torch.tensor([steps])
    return [tuple(part.moves(step, count)[0].tolist()) for step in range(steps)]


BACKBONE, HEAD, BOTH = (True, False), (False, True), (True, True)


def test_joint_trains_everything_at_once():
    part = Local()
    assert part.private and part.personal and part.moves(0, torch.tensor([3])) is None


def test_alternate_trains_the_head_then_the_backbone():
    assert phases(4) == [HEAD, HEAD, BACKBONE, BACKBONE]
    assert phases(11, head_share=10 / 11) == [HEAD] * 10 + [BACKBONE]


@pytest.mark.parametrize("share", [0.01, 0.3, 0.99])
def test_each_has_at_least_one_step(share):
    for steps in range(2, 12):
        found = phases(steps, head_share=share)
        heads = found.count(HEAD)
        assert 1 <= heads <= steps - 1 and abs(heads - share * steps) <= 1
        assert found == [HEAD] * heads + [BACKBONE] * (steps - heads)
    assert phases(1, head_share=share) == [BOTH]


def test_each_client_by_its_own_steps():
    moves = Local(order="alternate").moves(2, torch.tensor([2, 4, 8]))
    assert moves.tolist() == [[True, False], [True, False], [False, True]]


def test_the_map_is_the_linear_one():
    weights, features = torch.randn(2, 28), torch.randn(2, 3, 6)
    found, linear = (
        part.build(4, 6, seed=0).logits(weights, features, None, "local") for part in (Local(), LinearHead())
    )
    assert (found == linear).all()
