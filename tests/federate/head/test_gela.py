import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harmonia.core.errors import InputError
from harmonia.federate.head import Etf, Gela
from harmonia.federate.head.gela import AdaptedHead, check_counts, class_scales

TRIANGLE = torch.tensor([[1, -0.5, -0.5], [0, 0.75**0.5, -(0.75**0.5)]], dtype=torch.float64)
NOTHING = torch.zeros(1, 0)


def graded(counts, f=(1.0, 0.0), label=0, scale=1.0, mask=False):
    """Return logits, loss and gradient of one example at one client."""
    f = torch.tensor([[f]], dtype=torch.float64, requires_grad=True)
    head = AdaptedHead(TRIANGLE, scale=scale, feature_norm="none", mask_missing=mask)
    logits = head.logits(NOTHING, f, torch.tensor([counts], dtype=torch.float64), "local")
    value = torch.nn.functional.cross_entropy(logits[0], torch.tensor([label]))
    return logits.flatten().tolist(), value.item(), torch.autograd.grad(value, f)[0].flatten().tolist()


def test_one_example_by_hand():
    logits, value, gradient = graded((30, 10, 0))
    assert logits == pytest.approx([2.25, -0.375, 0])
    assert value == pytest.approx(0.16368139, abs=1e-8)
    assert gradient == pytest.approx([-0.36278526, 0.03994689], abs=1e-8)


def test_two_of_three_classes_by_hand():
    logits, value, _ = graded((7, 7, 0))
    assert logits == pytest.approx([1.5, -0.75, 0])
    assert value == pytest.approx(0.284072605, abs=1e-9)
    assert torch.tensor(logits).softmax(0).tolist() == pytest.approx([0.75271201, 0.07933526, 0.16795276], abs=1e-7)


@settings(deadline=None)
@given(st.lists(st.integers(0, 50), min_size=2, max_size=9).filter(any), st.floats(0, 20))
def test_scales_sum_to_the_classes(counts, smoothing):
    found = class_scales(torch.tensor(counts).double(), smoothing)
    assert found.sum().item() == pytest.approx(len(counts))
    assert (found[torch.tensor(counts) == 0] == 0).all() or smoothing > 0


def test_scales():
    assert class_scales(torch.tensor([30.0, 10, 0])).tolist() == [2.25, 0.75, 0]
    assert class_scales(torch.tensor([3.0, 1, 0]), 4).tolist() == pytest.approx([21 / 16, 15 / 16, 12 / 16])
    assert class_scales(torch.tensor([3.0, 1, 0]), 1e9).tolist() == pytest.approx([1, 1, 1])


@pytest.mark.parametrize("mode", ["local", "global"])
def test_a_balanced_client_and_the_global_model_have_the_plain_head(mode):
    f = torch.randn(2, 6, 8, generator=torch.Generator().manual_seed(0), requires_grad=True)
    counts = torch.full((2, 5), 3.0) if mode == "local" else torch.tensor([[9.0, 0, 0, 0, 1], [1, 2, 3, 4, 5]])
    found, plain = (part.build(5, 8, seed=4).logits(NOTHING, f, counts, mode) for part in (Gela(scale=5), Etf(scale=5)))
    assert (found == plain).all()
    assert (torch.autograd.grad(found.exp().sum(), f)[0] == torch.autograd.grad(plain.exp().sum(), f)[0]).all()


def test_each_client_by_its_own_counts():
    counts = torch.tensor([[30.0, 10, 0], [1, 1, 2]])
    f = torch.randn(2, 4, 2, generator=torch.Generator().manual_seed(0))
    head = Gela(scale=2).build(3, 2, seed=0)
    together = head.logits(NOTHING, f, counts, "local")
    for i in range(2):
        weights = 2 * head.vectors @ torch.diag(3 * counts[i] / counts[i].sum())  # s W diag(phi)
        expected = torch.nn.functional.normalize(f[i], dim=-1) @ weights
        torch.testing.assert_close(together[i], expected, rtol=1e-5, atol=1e-6)
    run = torch.func.vmap(lambda f, n: head.logits(NOTHING, f[None], n[None], "local")[0])
    torch.testing.assert_close(run(f, counts), together)


def best_angle(scale):
    """Return the angle in degrees between the features that fit two classes best; the third is missing, phi = 1.5."""
    at = np.linspace(-np.pi / 2, np.pi / 2, 200_001)
    f = np.stack([np.cos(at), np.sin(at)], axis=1)
    logits = scale * 1.5 * f @ TRIANGLE.numpy()[:, :2]
    losses = np.log(np.exp(logits - logits[:, :1]).sum(axis=1) + np.exp(-logits[:, 0]))
    return 120 - 2 * np.degrees(at[losses.argmin()])  # by symmetry about 60 degrees


@pytest.mark.parametrize("scale, angle", [(1e-4, 158.213), (1, 143.256), (10, 120.05)])
def test_the_angle_between_present_classes_opens_only_at_moderate_scales(scale, angle):
    assert best_angle(scale) == pytest.approx(angle, abs=0.01)


def test_the_gradient_points_to_the_best_angle_at_small_scales():
    """-dL/df ~ phi_0 w_0 - mean_j phi_j w_j = (1.25, -0.4330127), at -19.1066 degrees."""
    _, _, gradient = graded((7, 7, 0), f=(0.0, 0.0))
    assert [-x for x in gradient] == pytest.approx([1.25, -0.4330127], abs=1e-7)
    assert np.degrees(np.arctan2(-gradient[1], -gradient[0])) == pytest.approx(-19.1066, abs=1e-4)


def test_a_client_of_one_class_still_learns():
    f, s = (0.6, 0.8), 2.0
    _, value, gradient = graded((4, 0, 0), f, scale=s)
    e = np.exp(s * 3 * 0.6)  # w_0 . f = 0.6
    assert value == pytest.approx(-np.log(e / (e + 2)))
    assert gradient[0] < 0 and gradient[1] == pytest.approx(0, abs=1e-12)


def test_masking_takes_missing_classes_out():
    logits, value, _ = graded((7, 7, 0), mask=True)
    assert value == pytest.approx(np.log(1 + np.exp(-2.25)))
    assert np.isfinite(logits[2]) and logits[2] < -1e30
    assert graded((4, 0, 0), mask=True)[1:] == (0, [0, 0])
    assert 0 * graded((4, 0, 0), label=2, mask=True)[1] == 0  # so a padded row of a missing class weighs nothing


def test_bad_input_is_named():
    head, f = Gela().build(5, 8, seed=0), torch.ones(2, 3, 8)
    with pytest.raises(InputError, match="head=gela adapts to a client's classes: give counts"):
        head.logits(NOTHING, f, None, "local")
    with pytest.raises(InputError, match=r"counts of shape \(2, 4\): head=gela needs \(2, 5\)"):
        head.logits(NOTHING, f, torch.ones(2, 4), "local")
    with pytest.raises(InputError, match="at least 9 features"):
        Gela().build(10, 8, seed=0)


@pytest.mark.parametrize(
    "counts, said",
    [
        ([[1, 2]], "counts of 2 classes, but the head has 3"),
        ([[1, -2, 4]], "counts are negative: -2"),
        ([[1, 2, 3], [0, 0, 0]], "client 1 of the counts has no example of any class"),
    ],
)
def test_counts_from_outside_are_checked(counts, said):
    with pytest.raises(InputError, match=said):
        check_counts(torch.tensor(counts), 3)
    check_counts(torch.tensor([[1, 2, 0]]), 3)
