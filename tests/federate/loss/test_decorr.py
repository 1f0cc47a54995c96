import torch

from harmonia.federate.loss import Decorr, MRIntra


def test_the_released_formula_over_the_whole_batch():
    torch.manual_seed(0)
    features = torch.randn(20, 6).double()
    z = (features - features.mean(dim=0)) / (1e-8 + features.var(dim=0)).sqrt()
    off = (z.T @ z)[~torch.eye(6, dtype=torch.bool)]
    every = torch.ones(1, 20, dtype=torch.bool)
    labels = torch.arange(20)[None] % 3
    found = Decorr(beta=0.1).term(features[None], labels, every, classes=3)
    torch.testing.assert_close(found[0], 0.1 * off.square().mean() / 20)
    one_class = MRIntra(mu=0.1).term(features[None], torch.zeros_like(labels), every, classes=3)
    torch.testing.assert_close(found, one_class)
    # the paper: ||K||_F^2 / d^2 with K the correlations; its diagonal is 1
    paper = 0.1 * (z.T @ z / 19).square().sum() / 36
    scaled = Decorr(beta=0.1, normalize="correlation").term(features[None], labels, every, classes=3)[0]
    torch.testing.assert_close(scaled * 5 / 6 + 0.1 / 6, paper, rtol=1e-6, atol=0)


def test_padding_does_not_count():
    torch.manual_seed(0)
    features, valid = torch.randn(2, 10, 4), torch.arange(10) < torch.tensor([10, 6])[:, None]
    labels = torch.zeros(2, 10).long()
    alone = Decorr().term(features[1:, :6], labels[1:, :6], valid[1:, :6], classes=2)
    torch.testing.assert_close(Decorr().term(features, labels, valid, classes=2)[1:], alone)
