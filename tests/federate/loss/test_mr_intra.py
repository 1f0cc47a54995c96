import pytest
import torch
from pydantic import ValidationError

from harmonia.federate.loss import CE, MRIntra
from harmonia.federate.needs import Needs
from harmonia.maths.class_decorrelation import class_decorrelation


def batch(clients=3, rows=12, width=5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(4, (clients, rows), generator=generator)
    valid = torch.arange(rows) < torch.tensor([rows, rows - 3, 4])[:clients, None]
    return torch.randn(clients, rows, width, generator=generator), labels, valid


@pytest.mark.parametrize("normalize", ["released", "correlation"])
def test_each_client_alone_and_without_its_padding(normalize):
    features, labels, valid = batch()
    part = MRIntra(mu=0.5, normalize=normalize)
    together = part.term(features, labels, valid, classes=4)
    for i in range(3):
        h, y = features[i][valid[i]], labels[i][valid[i]]
        members = y == torch.arange(4)[:, None]
        torch.testing.assert_close(together[i], 0.5 * class_decorrelation(h, members, normalize=normalize))
    changed = torch.where(valid[..., None], features, 100.0)
    torch.testing.assert_close(part.term(changed, labels, valid, classes=4), together)


def test_without_weight_nothing_is_added():
    features, labels, valid = batch()
    features.requires_grad_(True)
    extra = MRIntra(mu=0).term(features, labels, valid, classes=4)
    assert (extra == CE().term(features, labels, valid, classes=4)).all()
    assert (torch.autograd.grad(extra.sum(), features)[0] == 0).all()


def test_more_rows_may_be_asked_of_a_class():
    features, labels, valid = batch(clients=1, rows=3)
    labels = torch.tensor([[0, 0, 0]])
    assert MRIntra(min_samples=3).term(features, labels, valid, classes=4) > 0
    assert MRIntra(min_samples=4).term(features, labels, valid, classes=4) == 0


def test_nothing_extra_travels():
    assert MRIntra().needs == Needs() and MRIntra().server() is None
    assert MRIntra().mu == 0.01


@pytest.mark.parametrize("fields", [{"mu": -0.1}, {"min_samples": 1}, {"mu": float("nan")}])
def test_fields_have_bounds(fields):
    with pytest.raises(ValidationError, match=next(iter(fields))):
        MRIntra(**fields)
