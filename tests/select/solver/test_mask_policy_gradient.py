import numpy as np
import pytest
from pydantic import ValidationError

from harmonia.core.errors import InputError
from harmonia.select.context import Context
from harmonia.select.objective.pairwise import Pairwise
from harmonia.select.pool import Pool
from harmonia.select.set_function import Modular, WeightedSum
from harmonia.select.solver.frank_wolfe import FrankWolfe
from harmonia.select.solver.mask_policy_gradient import MaskPolicyGradient


class Recorder(Modular):
    """Remembers what it was asked to evaluate."""

    def __init__(self, scores, scale=1.0, shift=0.0):
        super().__init__("quality", scores)
        self.scale, self.shift, self.calls = scale, shift, []

    def evaluate(self, sets, rows=None):
        self.calls.append((sets.copy(), rows.copy()))
        return self.scale * super().evaluate(sets, rows) + self.shift


@pytest.mark.parametrize("log_prob", ["independent", "plackett_luce"])
def test_quality_alone_converges_to_the_top_scores(bench, log_prob):
    pool = Pool.from_arrays(quality=np.random.default_rng(0).permutation(40) / 40.0)
    picks = MaskPolicyGradient(steps=400, batch_fraction=1, log_prob=log_prob).solve(
        bench.problem(pool, bench.quality(pool), 8)
    )
    assert sorted(picks.rows) == sorted(np.argsort(-pool.quality["quality"])[:8])


def test_the_joint_objective_comes_close_to_the_certified_bound(bench):
    pool = bench.pool(300, d=16)
    f = bench.joint(pool)
    problem = bench.problem(pool, f, 30)
    exact = FrankWolfe().solve(problem).facts
    learned = MaskPolicyGradient(steps=500, batch_fraction=0.5, step=1.0).solve(problem)
    value = float(f.evaluate(learned.rows[None])[0])
    random = float(f.evaluate(np.arange(30)[None])[0])
    assert value <= exact["bound"] + 1e-9
    assert value > exact["value"] - 0.2 * (exact["value"] - random)


def test_a_step_asks_for_the_part_of_the_budget_of_its_active_documents(bench):
    pool = bench.pool(100)
    f = Recorder(pool.quality["quality"])
    MaskPolicyGradient(steps=3, masks=7, batch_fraction=0.2).solve(bench.problem(pool, f, 30))
    assert len(f.calls) == 3
    for sets, rows in f.calls:
        assert sets.shape == (7, 6) and len(np.unique(rows)) == 20
        assert all(len(set(s)) == 6 for s in sets.tolist())
    assert len({tuple(sorted(rows)) for _, rows in f.calls}) == 3


def test_logits_outside_the_active_part_keep_their_bits(bench):
    pool = bench.pool(50)
    f = Recorder(pool.quality["quality"])
    problem = bench.problem(pool, f, 25)
    start = np.log(pool.quality["quality"])
    solver = MaskPolicyGradient(steps=1, batch_fraction=0.2, init="quality")
    rows = np.arange(50)
    logits, _ = solver._learn(problem, rows, start.copy(), 25)
    active = np.isin(rows, f.calls[0][1])
    assert (logits[~active] == (start - start.mean())[~active]).all()
    assert (logits[active] != (start - start.mean())[active]).any()
    assert np.abs(logits - (start - start.mean())).max() == pytest.approx(0.3)


@pytest.mark.parametrize(("scale", "shift"), [(4.0, 0.0), (1.0, 8.0)])
def test_scale_and_shift_of_the_objective_do_not_matter(bench, scale, shift):
    pool = bench.pool(60)
    solver = MaskPolicyGradient(steps=30, masks=16, batch_fraction=0.5)
    plain, other = (
        solver._learn(bench.problem(pool, Recorder(pool.quality["quality"], *s), 10), np.arange(60), np.zeros(60), 10)[
            0
        ]
        for s in ((1.0, 0.0), (scale, shift))
    )
    np.testing.assert_allclose(plain, other, atol=1e-6)


def test_a_constant_objective_changes_nothing(bench):
    pool = bench.pool(40)
    logits, rewards = MaskPolicyGradient(steps=5, batch_fraction=1)._learn(
        bench.problem(pool, Modular("flat", np.full(40, 0.1)), 10), np.arange(40), np.zeros(40), 10
    )
    assert (logits == 0).all() and len(rewards) == 5


def test_logits_stay_within_the_clip(bench):
    pool = bench.pool(20)
    logits, _ = MaskPolicyGradient(steps=200, batch_fraction=1, step=5, clip=2)._learn(
        bench.problem(pool, bench.quality(pool), 5), np.arange(20), np.zeros(20), 5
    )
    assert np.abs(logits).max() == 2


def test_the_lowest_quality_is_never_picked(bench):
    pool = bench.pool(50)
    picks = MaskPolicyGradient(steps=5, keep=0.4, batch_fraction=0.5).solve(bench.problem(pool, bench.joint(pool), 15))
    assert set(picks.rows) <= set(np.argsort(-pool.quality["quality"])[:20])


def test_it_stops_when_the_reward_no_longer_grows(bench):
    pool = bench.pool(30)
    solver = MaskPolicyGradient(steps=500, batch_fraction=1, window=10, tolerance=1e-3)
    assert 20 <= solver.solve(bench.problem(pool, bench.quality(pool), 5)).facts["steps"] < 500


def test_a_sample_differs_from_the_top_and_follows_the_seed(bench):
    pool = bench.pool(60)
    solver = MaskPolicyGradient(steps=2, batch_fraction=1, final="sample")
    first, second = (set(solver.solve(bench.problem(pool, bench.quality(pool), 10, seed=s)).rows) for s in (0, 1))
    assert first != second


def test_documents_without_direction_are_left_out(bench):
    X = np.random.default_rng(0).normal(size=(20, 4))
    X[:8] = 0
    pool = Pool.from_arrays(X, quality=np.arange(20, 0, -1.0))
    f = WeightedSum([0.5, 0.5], [bench.quality(pool), Pairwise(zero="drop").fit(pool, Context(dtype=np.float64))])
    picks = MaskPolicyGradient(steps=10, batch_fraction=1).solve(bench.problem(pool, f, 6))
    assert picks.rows.min() >= 8


def test_bad_input_is_explained(bench):
    pool = bench.pool(40)
    problem = bench.problem(pool, bench.quality(pool), 30)
    with pytest.raises(InputError, match="30 documents, but only 20 remain among 20 documents left after pruning"):
        MaskPolicyGradient(keep=0.5).solve(problem)
    with pytest.raises(InputError, match=r"raise solver.batch_fraction to 0.5 or more"):
        MaskPolicyGradient(batch_fraction=0.05).solve(bench.problem(pool, bench.quality(pool), 2))
    with pytest.raises(InputError, match="cannot build on a selection"):
        MaskPolicyGradient().solve(bench.problem(pool, bench.quality(pool), 3, chosen=[1]))
    shifted = Pool.from_arrays(quality=np.array([1.0, 0, 2]), ids=["a", "b", "c"])
    with pytest.raises(InputError, match="document 'b' has quality 0; shift the scores above 0, use their ranks"):
        MaskPolicyGradient(init="quality").solve(bench.problem(shifted, bench.quality(shifted), 1))
    bare = Pool.from_arrays(np.ones((4, 2)))
    with pytest.raises(InputError, match="needs one quality column"):
        MaskPolicyGradient(keep=0.5).solve(bench.problem(bare, Modular("flat", np.zeros(4)), 1))
    with pytest.raises(ValidationError, match="greater than or equal to 2"):
        MaskPolicyGradient(masks=1)


def test_a_reward_that_is_not_a_number_is_named_with_its_mask_and_step(bench):
    class Broken(Recorder):
        def evaluate(self, sets, rows=None):
            values = super().evaluate(sets, rows)
            if len(self.calls) == 3:
                values[5] = np.nan
            return values

    pool = bench.pool(40)
    with pytest.raises(InputError, match="the objective is nan for mask 5 of step 3"):
        MaskPolicyGradient(batch_fraction=0.5).solve(bench.problem(pool, Broken(pool.quality["quality"]), 8))


def test_an_excluded_document_that_no_mask_ever_drew_is_not_picked_either(bench):
    """One step sees a tenth of the pool; the rest keeps its first logits, highest for what must not be picked."""
    X = np.random.default_rng(0).normal(size=(100, 4))
    X[:30] = 0
    pool = Pool.from_arrays(X, quality=np.arange(100, 0, -1.0))
    f = Pairwise(zero="drop").fit(pool, Context(dtype=np.float64))
    picks = MaskPolicyGradient(steps=1, batch_fraction=0.1, init="quality").solve(bench.problem(pool, f, 20))
    assert picks.rows.min() >= 30


def test_active_parts_are_drawn_from_what_may_be_picked(bench):
    """Half the pool is excluded and nearly all of the other half wanted: a step never runs short."""
    pool = bench.pool(100)
    scores = np.where(np.arange(100) < 50, -np.inf, pool.quality["quality"])
    picks = MaskPolicyGradient(steps=30, masks=4, batch_fraction=0.2).solve(
        bench.problem(pool, Modular("quality", scores), 48)
    )
    assert picks.rows.min() >= 50 and len(picks.rows) == 48
