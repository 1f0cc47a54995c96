import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from harmonia.core.errors import InputError
from harmonia.maths.sharpness import sharpness, step_of_length

numbers = st.floats(-1e3, 1e3).filter(lambda x: x == 0 or abs(x) > 1e-3)


@given(st.lists(st.lists(numbers, min_size=4, max_size=4), min_size=1, max_size=5), st.floats(0, 10))
def test_steps_have_their_length_and_direction_row_by_row(rows, rho):
    direction = torch.tensor(rows, dtype=torch.float64)
    step = step_of_length(direction, rho)
    for d, e in zip(direction, step, strict=True):
        if not d.any():
            assert not e.any()
            continue
        assert e.norm() == pytest.approx(rho, abs=1e-12)
        assert float(e @ d) == pytest.approx(rho * float(d.norm()), rel=1e-12)


def test_the_length_of_the_direction_does_not_matter():
    direction = torch.randn(3, 7, dtype=torch.float64)
    for scale in (1e-12, 3.0, 1e12):
        torch.testing.assert_close(step_of_length(scale * direction, 0.3), step_of_length(direction, 0.3))


def test_many_directions_in_one_pass():
    direction = torch.randn(4, 6)
    every = torch.func.vmap(lambda d: step_of_length(d, 0.1))(direction)
    torch.testing.assert_close(every, step_of_length(direction, 0.1))


class TestSharpness:
    def test_of_a_linear_loss_is_rho_times_its_slope(self):
        slope = torch.tensor([3.0, -4.0, 12.0], dtype=torch.float64)
        assert sharpness(lambda w: w @ slope, torch.zeros(3, dtype=torch.float64), 0.2) == pytest.approx(0.2 * 13)

    @given(st.floats(0.01, 2))
    def test_of_a_quadratic_has_a_closed_form(self, rho):
        curvature = torch.tensor([1.0, 4, 2], dtype=torch.float64)
        at = torch.tensor([1.0, 2, 3], dtype=torch.float64)
        found = sharpness(lambda w: (curvature * w.square()).sum() / 2, at, rho)
        g = curvature * at
        unit = g / g.norm()
        expected = rho * g.norm() + rho**2 / 2 * (curvature * unit.square()).sum()
        assert found == pytest.approx(float(expected), rel=1e-10)

    def test_along_the_curvature_of_a_sphere_it_is_the_worst_of_the_ball(self):
        at = torch.tensor([1.0, -2, 2], dtype=torch.float64)
        found = sharpness(lambda w: w.square().sum(), at, 0.5)
        ball = torch.randn(2000, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
        ball = 0.5 * ball / ball.norm(dim=1, keepdim=True)
        rises = (at + ball).square().sum(dim=1) - 9
        assert found == pytest.approx(3.5**2 - 9)
        assert float(rises.max()) <= found < float(rises.max()) + 0.01

    def test_at_a_flat_point_there_is_none(self):
        assert sharpness(lambda w: w.square().sum(), torch.zeros(3), 0.5) == 0

    def test_leaves_the_weights_alone(self):
        at = torch.randn(3)
        before = at.clone()
        sharpness(lambda w: w.exp().sum(), at, 0.5)
        assert (at == before).all() and not at.requires_grad

    def test_bad_input_is_named(self):
        at = torch.ones(2)
        with pytest.raises(InputError, match=r"rho=-1 is not a length; give one of at least 0"):
            sharpness(lambda w: w.sum(), at, -1)
        with pytest.raises(InputError, match="rho=nan is not a length"):
            sharpness(lambda w: w.sum(), at, math.nan)
        with pytest.raises(InputError, match="the gradient is not finite"):
            sharpness(lambda w: (w / 0).sum(), at, 0.1)
