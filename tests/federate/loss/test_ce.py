import torch

from harmonia.federate.loss import CE


def test_nothing_is_added():
    part, features = CE(), torch.randn(3, 4, 5)
    assert part.plain and part.server() is None and not part.needs.up
    extra = part.term(features, torch.zeros(3, 4).long(), torch.ones(3, 4).bool(), classes=2)
    assert extra.tolist() == [0, 0, 0]
