"""Tangent kernels against closed forms, against each other, and against the worked example in float64."""

import itertools

import pytest
import torch

from harmonia.maths.tangents import (
    along_difference,
    along_forward,
    along_reverse,
    feature_norm,
    gradient,
    inner,
    mean_gradient,
    norm,
    probe_kernel,
    pseudo_kernel,
    trace_kernel,
)

W = torch.tensor([[1.0, 0.0], [0.0, 2.0], [1.0, -1.0]], dtype=torch.float64)
THETA = {"A": torch.tensor([[0.5, -0.2], [0.1, 0.3]], dtype=torch.float64)}
D = torch.tensor([[1.0, 2.0], [0.0, 1.0], [-1.0, 0.5]], dtype=torch.float64)
C = torch.tensor([[3.0, -1.0], [0.2, 0.4], [1.0, 1.0], [-2.0, 0.0]], dtype=torch.float64)
PSEUDO = torch.tensor(
    [[1.1298, 4.5811, 12.5019, -4.5464], [-1.3957, 1.8960, 4.3010, 0.0], [-4.7366, 0.0, -1.7291, 4.3080]],
    dtype=torch.float64,
)
SCORES = torch.tensor([-1.6675, 2.1591, 5.0246, -0.0795], dtype=torch.float64)
TRACE_MEANS = torch.tensor([-6.4912, 2.5517, 5.4907, 1.0062], dtype=torch.float64)
SIGNS = torch.tensor(list(itertools.product([-1.0, 1.0], repeat=3)), dtype=torch.float64)


def outputs(theta, x, head=W):
    return head @ torch.tanh(theta["A"] @ x)


def summed(u, head=W):
    return lambda theta, batch: torch.tanh(batch @ theta["A"].T) @ head.T @ u


ONES = summed(torch.ones(3, dtype=torch.float64))


def test_worked_example():
    assert torch.allclose(pseudo_kernel(outputs, THETA, D, C), PSEUDO, atol=5e-5)
    means = pseudo_kernel(outputs, THETA, D, C).mean(dim=0)
    assert torch.allclose(means, SCORES, atol=5e-5)
    assert means.argsort(descending=True).tolist() == [2, 1, 3, 0]
    traces = trace_kernel(outputs, THETA, D, C).mean(dim=0)
    assert torch.allclose(traces, TRACE_MEANS, atol=5e-5)
    assert traces.argsort(descending=True).tolist() == [2, 1, 3, 0]


def test_the_mean_comes_first():
    (mean,) = mean_gradient([ONES], THETA, [D[:2], D[2:]], 3)
    dots = torch.stack([inner(gradient(ONES, THETA, x[None]), mean) for x in C])
    assert torch.allclose(dots, pseudo_kernel(outputs, THETA, D, C).mean(dim=0), atol=1e-10, rtol=0)


def test_forward_reverse_and_difference_agree():
    (mean,) = mean_gradient([ONES], THETA, [D], 3)
    exact = pseudo_kernel(outputs, THETA, D, C).mean(dim=0)
    assert torch.allclose(along_forward(ONES, THETA, mean, C), exact, atol=1e-10, rtol=0)
    assert torch.allclose(along_reverse([ONES], THETA, [mean], C.split(1)), exact, atol=1e-10, rtol=0)
    error = (along_difference(ONES, THETA, mean, C, 1e-4) - exact).abs().max()
    assert 1e-9 < error < 1e-6  # second order in the step, so not exact


def test_the_difference_is_of_second_order():
    (mean,) = mean_gradient([ONES], THETA, [D], 3)
    exact = along_forward(ONES, THETA, mean, C)
    coarse, fine = ((along_difference(ONES, THETA, mean, C, step) - exact).abs().max() for step in (2e-2, 1e-2))
    assert coarse / fine == pytest.approx(4.0, rel=1e-2)


def test_all_sign_vectors_together_give_the_trace():
    error = (probe_kernel(outputs, THETA, D, C, SIGNS) - trace_kernel(outputs, THETA, D, C)).abs().max()
    assert error < 1e-13


def test_head_parameters_give_v_times_the_inner_product():
    def linear(theta, x):
        return theta["W"] @ x

    x, y = torch.tensor([[1.0, 2.0]], dtype=torch.float64), torch.tensor([[3.0, -1.0]], dtype=torch.float64)
    for kernel in (pseudo_kernel, trace_kernel):
        assert kernel(linear, {"W": W}, x, y).item() == pytest.approx(3.0, abs=1e-12)


def test_one_output_makes_all_kernels_equal():
    def single(theta, x):
        return outputs(theta, x, W[:1])

    exact = trace_kernel(single, THETA, D, C)
    assert torch.allclose(pseudo_kernel(single, THETA, D, C), exact, atol=1e-12)
    assert torch.allclose(probe_kernel(single, THETA, D, C, -torch.ones(1, 1, dtype=torch.float64)), exact, atol=1e-12)


def test_centring_the_head_leaves_softmax_alone_and_kills_the_pseudo_kernel():
    centred = W - W.mean(dim=0)

    def gauge(theta, x):
        return outputs(theta, x, centred)

    for x in C:
        assert torch.allclose(outputs(THETA, x).softmax(0), gauge(THETA, x).softmax(0), atol=1e-12)
    assert pseudo_kernel(gauge, THETA, D, C).abs().max() < 1e-12
    # the trace loses exactly the component along the mean row: (pseudo kernel) / V
    lost = trace_kernel(outputs, THETA, D, C) - trace_kernel(gauge, THETA, D, C)
    assert torch.allclose(lost, pseudo_kernel(outputs, THETA, D, C) / 3, atol=1e-12)
    assert torch.allclose(probe_kernel(gauge, THETA, D, C, SIGNS), trace_kernel(gauge, THETA, D, C), atol=1e-12)


def test_scaling_outputs_scales_scores_by_the_square():
    (mean,) = mean_gradient([summed(torch.full((3,), 3.0, dtype=torch.float64))], THETA, [D], 3)
    scaled = along_forward(summed(torch.full((3,), 3.0, dtype=torch.float64)), THETA, mean, C)
    assert torch.allclose(scaled, 9 * pseudo_kernel(outputs, THETA, D, C).mean(dim=0), atol=1e-12)


def test_duplicated_targets_and_candidates_change_nothing():
    (once,) = mean_gradient([ONES], THETA, [D], 3)
    (twice,) = mean_gradient([ONES], THETA, [D, D], 6)
    assert torch.allclose(once["A"], twice["A"], atol=1e-14)
    scores = along_forward(ONES, THETA, once, torch.cat([C, C]))
    assert torch.equal(scores[:4], scores[4:])


def test_unit_targets_and_cosine():
    fs = [summed(u) for u in SIGNS[:2]]
    features = [[gradient(f, THETA, x[None]) for f in fs] for x in D]
    mean = mean_gradient(fs, THETA, D.split(1), 3, unit=True)
    for r in range(2):
        expected = sum(g[r]["A"] / feature_norm(g) for g in features) / 3
        assert torch.allclose(mean[r]["A"], expected, atol=1e-14)
    # the mean cosine of a target to itself alone is one
    own = mean_gradient(fs, THETA, [D[:1]], 1, unit=True)
    assert along_reverse(fs, THETA, own, [D[:1]], unit=True).item() == pytest.approx(1.0, abs=1e-12)


def test_parameters_that_do_nothing_have_zero_gradient():
    theta = {**THETA, "unused": torch.ones(2, dtype=torch.float64)}
    g = gradient(ONES, theta, C)
    assert norm({"unused": g["unused"]}) == 0 and norm(g) > 0
    assert norm(gradient(lambda theta, batch: batch.sum(dim=1), theta, C)) == 0
