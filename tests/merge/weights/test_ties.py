import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harmonia.maths import kth_largest
from harmonia.merge.sources import InMemory
from harmonia.merge.weights import Linear, TaskArithmetic, Ties

TASKS = np.array([[0.8, 0.1, -0.3, 0.5], [-0.6, 0.2, -0.4, 0.05], [0.7, -0.3, 0.1, -0.45]])
ZERO = np.zeros(4)


def reference(tasks, weights, kept, normalize=True, undecided=1, official=False):
    """Return tau_m of whole flat task vectors, in float64 and by sorting."""
    tasks, weights = np.asarray(tasks, np.float64), np.asarray(weights, np.float64)[:, None]
    trimmed = np.zeros_like(tasks)
    for row, out in zip(tasks, trimmed, strict=True):
        order = np.argsort(-np.abs(row), kind="stable")[:kept]
        if official:
            order = np.abs(row) >= np.abs(row[order[-1]])
        out[order] = row[order]
    sign = np.sign((weights * trimmed).sum(axis=0))
    sign[sign == 0] = np.sign(sign.sum()) if undecided == "majority" else 1
    agree = (trimmed * sign > 0) * weights
    total = (agree * trimmed).sum(axis=0)
    return total / np.maximum(agree.sum(axis=0), 1e-300) if normalize else total


def test_by_hand(merge):
    rule = Ties(density=0.5)
    assert merge(rule, TASKS, ZERO) == pytest.approx([0.75, 0, -0.4, 0.5])
    assert merge(rule, TASKS, ZERO, piece=1) == pytest.approx([0.75, 0, -0.4, 0.5])


def test_the_official_threshold_keeps_one_more(merge):
    rule = Ties(density=0.5, official_threshold=True)
    assert merge(rule, TASKS, ZERO) == pytest.approx([0.75, -0.3, -0.35, 0.5])
    assert (
        merge(rule.model_copy(update={"density": 1.0}), TASKS, ZERO).tolist()
        == merge(Ties(density=1), TASKS, ZERO).tolist()
    )


def test_votes_that_cancel_out(merge):
    tasks = [[0.5, -0.25, -1, 0], [-0.5, -0.25, -1, 0]]
    assert merge(Ties(density=1), tasks, ZERO).tolist() == [0.5, -0.25, -1, 0]
    assert merge(Ties(density=1, undecided="majority"), tasks, ZERO).tolist() == [-0.5, -0.25, -1, 0]
    even = [[0.5, -0.25, 1, 0], [-0.5, -0.25, 1, 0]]
    assert merge(Ties(density=1, undecided="majority"), even, ZERO).tolist() == [0, -0.25, 1, 0]


def test_the_majority_is_that_of_the_scope(merge_model):
    tensors = {"a": ([0, 0], [[0.5, -1], [-0.5, -1]]), "b": ([0, 0, 0], [[0.5, 1, 1], [-0.5, 1, 1]])}
    of_model = merge_model(Ties(density=1, undecided="majority"), tensors)
    of_tensor = merge_model(Ties(density=1, undecided="majority", scope="tensor"), tensors)
    assert of_model["a"].tolist() == [0.5, -1] and of_tensor["a"].tolist() == [-0.5, -1]
    assert of_model["b"].tolist() == of_tensor["b"].tolist() == [0.5, 1, 1]


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=4),
    experts=st.integers(1, 5),
    density=st.sampled_from([0.01, 0.2, 0.5, 0.77, 1]),
    official=st.booleans(),
    undecided=st.sampled_from(["plus", "majority"]),
    normalize=st.booleans(),
    piece=st.sampled_from([1, 5, 64]),
)
def test_one_threshold_for_the_model(seed, sizes, experts, density, official, undecided, normalize, piece):
    """As a slow float64 reference on the whole model laid end to end, with many equal magnitudes."""
    random = np.random.default_rng(seed)
    tasks = np.round(random.standard_normal((experts, sum(sizes))) * 4) / 8  # exact in float32, also their sums
    weights = random.choice([0.5, 1.0, 2.0], experts).tolist()
    rule = Ties(density=density, official_threshold=official, undecided=undecided, normalize=normalize)
    ends = np.cumsum(sizes)[:-1]
    import torch

    model = [
        InMemory(str(i), tuple(torch.tensor(part, dtype=torch.float32)), torch.zeros(part.shape[1]), piece)
        for i, part in enumerate(np.split(tasks, ends, axis=1))
    ]
    known = rule.survey(model, weights, 0)
    merged = np.concatenate([torch.cat(list(rule.merge(tensor, weights, 0, known))).numpy() for tensor in model])
    kept = min(max(1, int(density * tasks.shape[1])) + official, tasks.shape[1])
    expected = reference(tasks, weights, kept, normalize, undecided, official)
    np.testing.assert_allclose(merged, expected, rtol=1e-6, atol=1e-7)


def test_a_threshold_of_each_tensor(merge_model, tangled):
    merged = merge_model(Ties(scope="tensor", density=0.3), tangled)
    for name, (base, experts) in tangled.items():
        tasks = np.array([expert - base for expert in experts], np.float32).reshape(3, -1)
        expected = reference(tasks, [1, 1, 1], int(0.3 * base.size)).reshape(base.shape)
        np.testing.assert_allclose(merged[name] - base, expected, atol=1e-6)


def test_large_models_take_the_histogram_and_give_the_same(merge_model, tangled, monkeypatch):
    held = merge_model(Ties(), tangled, [0.5, 1, 1])
    monkeypatch.setattr(kth_largest, "FEW", 100)
    streamed = merge_model(Ties(), tangled, [0.5, 1, 1], piece=256)
    for name in tangled:
        assert (held[name] == streamed[name]).all()


def test_everything_kept_and_signs_equal_is_the_average(merge, tangled):
    base, experts = tangled["a.weight"]
    experts = [base + abs(expert - base) for expert in experts]
    experts = [np.where(expert == base, base + 0.5, expert) for expert in experts]  # a zero would not be counted
    np.testing.assert_allclose(
        merge(Ties(density=1), experts, base, [1, 2, 1]), merge(Linear(), experts, counts=[1, 2, 1]), atol=1e-6
    )


def test_sums_of_what_agrees(merge):
    """MergeME's TIES: without the mean, with lambda = 1 / n; all signs equal, it is task arithmetic."""
    rule = Ties(density=0.5, normalize=False, scaling="1/n")
    assert merge(rule, TASKS, ZERO) == pytest.approx([0.5, 0, -0.4 / 3, 0.5 / 3])
    rows = np.abs(TASKS)
    assert merge(Ties(density=1, normalize=False, scaling="1/n"), rows, ZERO) == pytest.approx(
        merge(TaskArithmetic(scaling="1/n"), rows, ZERO)
    )


def test_a_negative_weight_turns_an_expert_round(merge):
    turned = TASKS * np.array([[1], [-1], [1]])
    assert merge(Ties(density=0.5), TASKS, ZERO, [1, -2, 1.5]) == pytest.approx(
        merge(Ties(density=0.5), turned, ZERO, [1, 2, 1.5])
    )


def test_at_least_one_element_stays(merge):
    assert merge(Ties(density=0.01), [[1, 3, 2]], [0, 0, 0]).tolist() == [0, 3, 0]
    assert merge(Ties(density=0.4), [[2, 2, 2]], [0, 0, 0]).tolist() == [2, 0, 0]
