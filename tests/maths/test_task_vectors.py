import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from harmonia.maths.task_vectors import Disagreement


def measured(base, tasks, cuts=()):
    seen = Disagreement(len(tasks))
    for start, stop in zip((0, *cuts), (*cuts, len(base)), strict=True):
        seen.add(base[start:stop], tasks[:, start:stop])
    return seen


@given(seed=st.integers(0, 100), experts=st.integers(1, 4), cuts=st.sets(st.integers(0, 200)))
def test_agrees_with_whole_tensors_in_float64(seed, experts, cuts):
    generator = torch.Generator().manual_seed(seed)
    base, tasks = torch.randn(200, generator=generator), torch.randn(experts, 200, generator=generator)
    tasks[tasks.abs() < 0.3] = 0
    seen = measured(base, tasks, tuple(sorted(cuts)))
    tau = tasks.double().numpy()
    assert seen.size == 200 and seen.base == pytest.approx(float((base.double() ** 2).sum()))
    np.testing.assert_allclose(seen.gram, tau @ tau.T, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(seen.cosines, tau @ tau.T / np.outer(*2 * [np.linalg.norm(tau, axis=1)]))
    assert seen.sign_conflict == ((tau > 0).any(axis=0) & (tau < 0).any(axis=0)).mean()


def test_by_hand():
    seen = measured(torch.tensor([3.0, 4.0, 0.0]), torch.tensor([[1.0, 0.0, 2.0], [2.0, 0.0, -1.0], [0.0, 0.0, 0.0]]))
    assert seen.norms.tolist() == pytest.approx([5**0.5, 5**0.5, 0])
    assert seen.relative_norms.tolist() == pytest.approx([5**0.5 / 5, 5**0.5 / 5, 0])
    np.testing.assert_allclose(seen.cosines, np.diag([1.0, 1, 0]), atol=1e-12)
    assert seen.sign_conflict == pytest.approx(1 / 3)


def test_limits():
    tau = torch.randn(1, 50, generator=torch.Generator().manual_seed(0))
    same = measured(torch.ones(50), tau.expand(3, 50))
    np.testing.assert_allclose(same.cosines, np.ones((3, 3)))
    assert same.sign_conflict == 0
    opposed = measured(torch.ones(50), torch.cat([tau, -tau]))
    assert opposed.cosines[0, 1] == pytest.approx(-1) and opposed.sign_conflict == 1
    nothing = Disagreement(2)
    assert nothing.sign_conflict == 0 and nothing.relative_norms.tolist() == [0, 0]


def test_an_unrelated_model_is_sqrt_two_away():
    base, other = torch.randn(2, 40000, generator=torch.Generator().manual_seed(0))
    assert measured(base, (other - base)[None]).relative_norms[0] == pytest.approx(2**0.5, abs=0.02)


def test_adding_tensors_is_measuring_them_as_one():
    base, tasks = torch.randn(30), torch.randn(2, 30)
    whole, parts = measured(base, tasks), measured(base[:11], tasks[:, :11]) + measured(base[11:], tasks[:, 11:])
    np.testing.assert_allclose(parts.gram, whole.gram)
    assert (parts.size, parts.conflicts) == (whole.size, whole.conflicts) and parts.base == pytest.approx(whole.base)
