import numpy as np
import pytest
import torch

from harmonia.maths import kth_largest
from harmonia.maths.competition import competition, unit
from harmonia.merge.sources import InMemory
from harmonia.merge.weights import Pcb

TASKS = np.array([[0.8, 0.1, -0.3, 0.5, 0.02], [-0.6, 0.2, -0.4, 0.05, 0.3]], np.float32)


def reference(tasks, ratio):
    """Return tau_m of whole flat task vectors by sorting, in float64."""
    tasks = tasks.astype(np.float64)
    n, d = tasks.shape
    order = np.sort(np.abs(tasks), axis=1)
    low, high = order[:, int(d * 1e-4)], order[:, max(0, int(d * (1 - 1e-4) - 1))]
    a = np.clip(np.abs(tasks), low[:, None], high[:, None])
    u = (a - low[:, None]) / (high - low)[:, None]
    beta = np.exp(n * u**2) * np.tanh(tasks * tasks.sum(axis=0))
    floor = np.sort(beta, axis=1)[:, int(d * (1 - ratio))][:, None]
    clipped = np.maximum(beta, floor)
    scale = (clipped - floor) / (clipped.max(axis=1, keepdims=True) - floor)
    return (np.sign(tasks) * a * scale).sum(axis=0) / np.maximum(scale.sum(axis=0), 1e-12)


def test_by_hand(merge):
    assert merge(Pcb(ratio=0.6, scaling=1), TASKS, np.zeros(5)) == pytest.approx([0.5, 0, -0.4, 0.5, 0.3], abs=1e-6)
    assert merge(Pcb(ratio=0.6, scaling=2), TASKS + 1, np.ones(5)) == pytest.approx([2, 1, 0.2, 2, 1.6], abs=1e-6)


def test_scales_by_hand():
    model = [InMemory("w", tuple(torch.from_numpy(TASKS)), torch.zeros(5))]
    known = Pcb(ratio=0.6).survey(model, [1, 1], 0)
    beta = competition(torch.from_numpy(TASKS), known.low, known.high)
    scales = unit(beta, known.floor, known.top).numpy()
    np.testing.assert_allclose(scales, [[0.485225, 0, 0, 1, 0], [0, 0, 1, 0, 0.092742]], atol=1e-6)
    assert (scales[0, [1, 2, 4]] == 0).all() and (scales[1, [0, 1, 3]] == 0).all()


@pytest.mark.parametrize("ratio", [0.1, 0.5, 1])
def test_as_a_slow_reference_on_the_whole_model(ratio, merge_model):
    random = np.random.default_rng(0)
    tasks = random.standard_normal((3, 3000)).astype(np.float32)
    parts = np.split(tasks, [700, 1500], axis=1)
    tensors = {str(i): (np.zeros(part.shape[1]), part) for i, part in enumerate(parts)}
    found = np.concatenate(list(merge_model(Pcb(ratio=ratio, scaling=1), tensors).values()))
    np.testing.assert_allclose(found, reference(tasks, ratio), rtol=1e-4, atol=1e-5)


def test_large_models_take_the_histogram_and_give_the_same(merge_model, tangled, monkeypatch):
    held = merge_model(Pcb(), tangled)
    monkeypatch.setattr(kth_largest, "FEW", 10)
    streamed = merge_model(Pcb(), tangled, piece=64)
    for name in tangled:
        assert (held[name] == streamed[name]).all()


def test_a_weight_is_a_lambda_of_its_task(merge):
    half = merge(Pcb(ratio=0.6, scaling=1), TASKS, np.zeros(5), [0.5, 0.5])
    assert half == pytest.approx([0.25, 0, -0.2, 0.25, 0.15], abs=1e-6)
    first = merge(Pcb(ratio=0.6, scaling=1), TASKS, np.zeros(5), [1, 0])
    assert first == pytest.approx([0.5, 0, 0, 0.5, 0], abs=1e-6)
