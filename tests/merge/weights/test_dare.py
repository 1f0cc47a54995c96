import numpy as np
import pytest

from harmonia.maths.random_mask import bernoulli, mask_key
from harmonia.merge.weights import DareLinear, DareTies, TaskArithmetic, Ties

TASK = np.array([0.4, -0.2, 0.6, 0.1], np.float32)


def seed_of(mask):
    """Return the seed that draws a mask for the first expert of a tensor ``w``."""
    return next(s for s in range(1000) if (bernoulli(mask_key(s, "drop", 0, "w"), 0, 4, 0.5) == mask).all())


def test_by_hand(merge):
    seed = seed_of([1, 0, 1, 0])
    assert merge(DareLinear(), [TASK], np.zeros(4), seed=seed) == pytest.approx([0.8, 0, 1.2, 0])
    assert merge(DareLinear(rescale="none"), [TASK], np.zeros(4), seed=seed) == pytest.approx([0.4, 0, 0.6, 0])
    l1 = merge(DareLinear(rescale="l1"), [TASK], np.zeros(4), seed=seed)
    assert l1 == pytest.approx([0.52, 0, 0.78, 0]) and abs(l1).sum() == pytest.approx(abs(TASK).sum())


def test_nothing_kept_is_not_divided_by(merge):
    assert merge(DareLinear(rescale="l1"), [TASK], np.ones(4), seed=seed_of([0, 0, 0, 0])).tolist() == [1, 1, 1, 1]


def test_unbiased(merge):
    """The mean over 2000 seeds is the task vector within 4 standard errors, sd = |tau| sqrt((1 - q) / q)."""
    rule, q, n = DareLinear(density=0.3), 0.3, 2000
    mean = np.mean([merge(rule, [TASK], np.zeros(4), seed=seed) for seed in range(n)], axis=0)
    assert (abs(mean - TASK) <= 4 * abs(TASK) * np.sqrt((1 - q) / q / n)).all()


@pytest.mark.parametrize("rescale", ["unbiased", "l1", "none"])
def test_everything_kept_is_the_rule_without_dropping(rescale, merge, tangled):
    base, experts = tangled["a.weight"]
    weights = [0.5, 1, 2]
    dare = merge(DareLinear(density=1, rescale=rescale, scaling=0.3), experts, base, weights)
    assert (dare == merge(TaskArithmetic(scaling=0.3), experts, base, weights)).all()
    elected = merge(DareTies(density=1, rescale=rescale, normalize=True), experts, base, weights)
    assert (elected == merge(Ties(density=1), experts, base, weights)).all()
    added = merge(DareTies(density=1, rescale=rescale), experts, base, weights)
    assert (added == merge(Ties(density=1, normalize=False), experts, base, weights)).all()


def test_masks_belong_to_seed_expert_and_tensor(merge_model):
    row = np.ones(2000)
    tensors = {name: (0 * row, [row, row]) for name in ("a", "b")}
    rule = DareLinear()
    both = merge_model(rule, tensors, [1, 0])
    other_expert = merge_model(rule, tensors, [0, 1])
    assert 0.4 < (both["a"] == both["b"]).mean() < 0.6
    assert 0.4 < (both["a"] == other_expert["a"]).mean() < 0.6
    assert 0.4 < (both["a"] == merge_model(rule, tensors, [1, 0], seed=1)["a"]).mean() < 0.6
    alone = merge_model(rule, {"b": (0 * row, [row])})
    assert (alone["b"] == both["b"]).all()


def test_as_a_float64_reference_on_the_same_masks(merge, tangled):
    base, experts = tangled["a.weight"]
    density, weights = 0.4, [1, 0.5, 2]
    masks = [bernoulli(mask_key(5, "drop", i, "w"), 0, base.size, density).reshape(base.shape) for i in range(3)]
    tasks = [m * (e.astype(np.float64) - base) / density for m, e in zip(masks, experts, strict=True)]
    expected = base + 0.7 * sum(w * task for w, task in zip(weights, tasks, strict=True))
    found = merge(DareLinear(density=density, scaling=0.7), experts, base, weights, seed=5)
    np.testing.assert_allclose(found, expected, atol=2e-6)
