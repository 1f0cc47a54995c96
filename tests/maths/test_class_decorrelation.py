import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harmonia.core.errors import InputError
from harmonia.maths.class_decorrelation import EPS, class_decorrelation
from harmonia.maths.class_means import class_members

ROWS = torch.tensor([[1.0, 2], [3, 1], [2, 4], [0, 1], [1, 0]])
LABELS = torch.tensor([0, 0, 0, 1, 1])


def by_class(features, labels, normalize="released", min_samples=2):
    """The definition, one class after the other, with its d x d product."""
    width, total, rows = features.shape[1], features.new_zeros(()), 0
    for c in labels.unique():
        own = features[labels == c]
        n = len(own)
        if n < min_samples:
            continue
        z = (own - own.mean(dim=0)) / (EPS + own.var(dim=0)).sqrt()
        product = z.T @ z
        if normalize == "correlation":
            product = product / (n - 1)
        off = product.square().sum() - product.diagonal().square().sum()
        total = total + (n if normalize == "correlation" else 1) * off / (width * (width - 1))
        rows += n
    return total / max(rows, 1)


def loss(features, labels, classes=None, valid=None, **how):
    return class_decorrelation(features, class_members(labels, classes or int(labels.max()) + 1, valid), **how)


def graded(value, *features):
    return torch.autograd.grad(value, features)[0]


class TestNumbers:
    def test_one_class(self):
        h = ROWS[:3].clone().requires_grad_(True)
        value = class_decorrelation(h)
        assert value.item() == pytest.approx(0.142857149, abs=1e-7)
        wanted = [[0.238095, 0.306122], [0.238095, -0.204082], [-0.476190, -0.102041]]
        torch.testing.assert_close(graded(value, h), torch.tensor(wanted), rtol=0, atol=2e-6)

    def test_two_classes(self):
        h = ROWS.clone().requires_grad_(True)
        value = loss(h, LABELS)
        assert value.item() == pytest.approx(0.285714269, abs=1e-7)
        gradient = graded(value, h)
        torch.testing.assert_close(gradient[0], torch.tensor([0.142857, 0.183673]), rtol=0, atol=2e-6)
        assert (gradient[3:] == 0).all()

    @pytest.mark.parametrize("n, d, value", [(4, 3, 2.25), (10, 5, 8.1)])
    def test_a_collapsed_class(self, n, d, value):
        h = torch.arange(1.0, n + 1)[:, None] * torch.arange(1.0, d + 1)
        assert class_decorrelation(h).item() == pytest.approx(value, rel=1e-5)
        assert class_decorrelation(h, normalize="correlation").item() == pytest.approx(1, rel=1e-5)

    def test_an_orthogonal_design(self):
        assert class_decorrelation(torch.tensor([[1.0, 1], [1, -1], [-1, 1], [-1, -1]])) == 0

    @pytest.mark.parametrize("n, d", [(6, 512), (4, 40), (9, 9)])
    def test_more_dimensions_than_rows_cannot_be_uncorrelated(self, n, d):
        torch.manual_seed(0)
        found, r = class_decorrelation(torch.randn(n, d).double()).item(), min(d, n - 1)
        assert (n - 1) ** 2 * (d - r) / (r * (d - 1) * n) <= found <= (n - 1) ** 2 / n
        if (n, d) == (6, 512):
            assert found >= 0.827 and found <= 4.167


def drawn(seed, rows=24, width=5, classes=4, clients=()):
    """Return rows and labels; no two rows are close in any dimension, so that no variance is near eps."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(classes, (*clients, rows), generator=generator)
    place, jitter = torch.rand(2, *clients, rows, width, generator=generator, dtype=torch.float64)
    return place.argsort(dim=-2) + 0.5 * jitter, labels


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    rows=st.integers(2, 40),
    width=st.integers(2, 8),
    classes=st.sampled_from([1, 2, 7, 60]),
    normalize=st.sampled_from(["released", "correlation"]),
    min_samples=st.integers(2, 4),
)
def test_equal_to_the_definition(seed, rows, width, classes, normalize, min_samples):
    """Covers both products, and more classes than rows."""
    features, labels = drawn(seed, rows, width, classes)
    h, g = features.clone().requires_grad_(True), features.clone().requires_grad_(True)
    found = loss(h, labels, classes, normalize=normalize, min_samples=min_samples)
    wanted = by_class(g, labels, normalize, min_samples)
    torch.testing.assert_close(found, wanted, rtol=1e-6, atol=1e-9)  # a class of two counts as if eps were 0
    if wanted.requires_grad:
        own = (labels[:, None] == labels).sum(dim=1) > 2  # rows of pairs have no gradient, but for eps
        torch.testing.assert_close(graded(found, h)[own], graded(wanted, g)[own], rtol=1e-6, atol=1e-9)


def test_equal_to_the_definition_in_single_precision():
    torch.manual_seed(0)
    features, labels = torch.randn(64, 84), torch.arange(64) % 10
    assert loss(features, labels).item() == pytest.approx(by_class(features, labels).item(), rel=1e-6)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31))
def test_what_it_does_not_see(seed):
    features, labels = drawn(seed)
    value = loss(features, labels)
    generator = torch.Generator().manual_seed(seed + 1)
    stretch = (0.3 + torch.rand(5, generator=generator).double()) * torch.tensor([1, -1, 1, -1, 1])
    moved = features * stretch + 3 * torch.randn(4, 5, generator=generator).double()[labels]
    torch.testing.assert_close(loss(moved, labels), value, rtol=1e-5, atol=1e-9)
    rows, dimensions = torch.randperm(24, generator=generator), torch.randperm(5, generator=generator)
    torch.testing.assert_close(loss(features[rows][:, dimensions], labels[rows]), value)
    torch.testing.assert_close(loss(features, (labels + 1) % 4), value)


def test_clients_side_by_side_padding_and_vmap():
    features, labels = drawn(0, clients=(3,))
    valid = torch.arange(24) < torch.tensor([24, 17, 3])[:, None]
    together = loss(features, labels, 4, valid)
    each = torch.stack([by_class(features[i][valid[i]], labels[i][valid[i]]) for i in range(3)])
    torch.testing.assert_close(together, each, rtol=1e-6, atol=1e-12)
    mapped = torch.func.vmap(lambda h, y, v: loss(h, y, 4, v))(features, labels, valid)
    torch.testing.assert_close(mapped, together)


@pytest.mark.parametrize("rows", [6, 40])
def test_one_group_by_either_product(rows):
    """With fewer dimensions than rows the d x d product is taken."""
    features, _ = drawn(1, rows, 7)
    torch.testing.assert_close(class_decorrelation(features), by_class(features, torch.zeros(rows)), rtol=1e-6, atol=0)


def test_single_rows_leave_a_zero_that_has_a_graph():
    h = ROWS.clone().requires_grad_(True)
    value = loss(h, torch.arange(5))
    assert value == 0 and (graded(value, h) == 0).all()


def test_dead_dimensions_are_left_out_of_value_and_gradient():
    torch.manual_seed(0)
    features = torch.cat([torch.randn(12, 4), torch.zeros(12, 2), 1e-4 * torch.randn(12, 1)], dim=1)
    h = features.clone().requires_grad_(True)
    value = class_decorrelation(h)
    expected = by_class(features[:, :4], torch.zeros(12)) * (4 * 3) / (7 * 6)  # pairs of all seven dimensions
    torch.testing.assert_close(value.detach(), expected, rtol=1e-5, atol=0)
    gradient = graded(value, h)
    assert (gradient[:, 4:] == 0).all() and gradient[:, :4].abs().max() < 10


def test_a_step_down_the_gradient_decorrelates():
    torch.manual_seed(0)
    h = (torch.randn(32, 1) + 0.1 * torch.randn(32, 6)).requires_grad_(True)
    value = class_decorrelation(h, normalize="correlation")
    after = class_decorrelation(h - 0.1 * graded(value, h), normalize="correlation")
    assert value > 0.9 and after < value


@pytest.mark.parametrize("features", [torch.ones(5, 1), torch.ones(5)])
def test_bad_input_is_named(features):
    with pytest.raises(
        InputError, match=r"features of shape \(5.*: decorrelation needs \(batch, d\) with d at least 2"
    ):
        class_decorrelation(features)
