import numpy as np
import torch

from harmonia.merge.weights import Linear, TaskArithmetic


def test_by_hand(merge):
    assert merge(Linear(), [[1, 2], [3, 8]]).tolist() == [2, 5]
    assert merge(Linear(), [[1, 2], [3, 8]], counts=[1, 3]).tolist() == [2.5, 6.5]
    assert merge(Linear(normalize=False), [[1, 2], [3, 8]], counts=[1, 0.5]).tolist() == [2.5, 6]


def test_equals_the_plain_expression_bit_for_bit(merge):
    a, b, c = torch.randn(3, 10_007, generator=torch.Generator().manual_seed(0))
    assert (merge(Linear(), [a, b, c]) == ((a + b + c) / 3).numpy()).all()


def test_sixteen_bits_in_and_out_round_once(merge):
    """Error of at most half a unit in the last place of bfloat16 (8 bits), but for float32's own rounding."""
    rows = torch.randn(3, 5000, generator=torch.Generator().manual_seed(1)).bfloat16()
    merged = torch.from_numpy(merge(Linear(), rows.float())).bfloat16().double()
    exact = rows.double().mean(dim=0)
    half = torch.exp2(torch.floor(torch.log2(exact.abs()))) * 2**-8
    assert ((merged - exact).abs() <= half * (1 + 1e-4) + 1e-7).all()
    assert ((merged - exact).abs() > 0.9 * half).any()


def test_task_arithmetic_by_hand(merge):
    experts, base = [[2, 1], [1, 4]], [1, 1]
    assert merge(TaskArithmetic(), experts, base).tolist() == [2, 4]
    assert merge(TaskArithmetic(scaling=0.5), experts, base, [2, 1]).tolist() == [2, 2.5]
    assert merge(TaskArithmetic(scaling="1/n"), experts, base).tolist() == [1.5, 2.5]
    assert merge(TaskArithmetic(normalize=True), experts, base, [1, 3]).tolist() == [1.25, 3.25]


def test_averaged_task_vectors_are_averaged_experts(merge, tangled):
    base, experts = tangled["a.weight"]
    linear = merge(Linear(), experts, counts=[1, 2, 0.5])
    np.testing.assert_allclose(
        merge(TaskArithmetic(normalize=True), experts, base, [1, 2, 0.5]), linear, rtol=0, atol=1e-6
    )
    np.testing.assert_allclose(
        merge(TaskArithmetic(scaling="1/n"), experts, base), merge(Linear(), experts), rtol=0, atol=1e-6
    )
