import numpy as np
import pytest
import torch

from harmonia.merge.weights import Slerp


def test_by_hand(merge):
    assert merge(Slerp(t=0.5), [[1, 0], [0, 2]]) == pytest.approx([0.707107, 1.414214], abs=1e-6)
    assert merge(Slerp(t=0.25), [[1, 0], [1, 1]]) == pytest.approx([1.061594, 0.275899], abs=1e-6)


def test_both_ends_are_exact(merge):
    far = torch.randn(2, 1000, generator=torch.Generator().manual_seed(0)).numpy()
    near = np.stack([far[0], far[0] * np.float32(1.001) + np.float32(1e-4)])
    for u, v in (far, near):
        assert (merge(Slerp(t=0), [u, v]) == u).all()
        assert (merge(Slerp(t=1), [u, v]) == v).all()


@pytest.mark.parametrize("t", [0, 0.1, 0.3, 0.5, 0.77, 1])
def test_equal_models_come_out_unchanged(t, merge):
    u = torch.randn(1000, generator=torch.Generator().manual_seed(0)).numpy()
    assert (merge(Slerp(t=t), [u, u]) == u).all()


@pytest.mark.parametrize("t", [0.2, 0.5, 0.9])
def test_as_a_float64_reference_and_of_the_same_norm(t, merge):
    u, v = torch.randn(2, 3000, generator=torch.Generator().manual_seed(2)).double().numpy()
    u, v = u / np.linalg.norm(u), v / np.linalg.norm(v)
    found = merge(Slerp(t=t), [u, v])
    angle = np.arccos(u @ v)
    expected = (np.sin((1 - t) * angle) * u + np.sin(t * angle) * v) / np.sin(angle)
    np.testing.assert_allclose(found, expected, atol=1e-7)
    assert np.linalg.norm(found.astype(np.float64)) == pytest.approx(1, abs=1e-6)


def test_weights_say_how_far_unless_t_does(merge):
    pair = [[1, 0], [1, 1]]
    assert merge(Slerp(), pair, counts=[3, 1]) == pytest.approx([1.061594, 0.275899], abs=1e-6)
    assert merge(Slerp(t=0.25), pair, counts=[1, 5]) == pytest.approx([1.061594, 0.275899], abs=1e-6)
    assert (merge(Slerp(), pair) == merge(Slerp(t=0.5), pair)).all()


def test_nearly_collinear_models_go_along_the_chord(merge):
    assert merge(Slerp(t=0.25), [[1, 0], [2, 0.01]]) == pytest.approx([1.25, 0.0025])
    assert merge(Slerp(t=0.25), [[0, 0], [2, 4]]).tolist() == [0.5, 1]


def test_opposite_models_cancel_out_with_a_warning(merge):
    with pytest.warns(UserWarning, match="w: the two models point in opposite directions and cancel out"):
        assert merge(Slerp(t=0.5), [[1, 2], [-1, -2]]).tolist() == [0, 0]
