# ruff: noqa: E402
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("tokenizers")

from harmonia.core.errors import InputError
from harmonia.select.budget import Budget
from harmonia.select.context import Context
from harmonia.select.pool import Pool
from harmonia.select.set_function import Modular, SetFunction
from harmonia.select.solver.base import Problem
from harmonia.select.solver.mirror_weights import MirrorWeights, _Mixture

TINY = MirrorWeights(
    steps=30, vocab_size=300, width=16, layers=1, heads=1, context=16, learning_rate=0.01, device="cpu"
)


def pool_of():
    random = np.random.default_rng(0)
    easy = ["the same line again and again. "] * 60
    hard = [" ".join(random.choice(["ox", "elm", "sky", "tin", "ash", "bay", "cut", "dim"], 12)) for _ in range(60)]
    return Pool.from_arrays(texts=easy + hard, sources=["easy"] * 60 + ["hard"] * 60, ids=[f"d{i}" for i in range(120)])


def problem(pool=None, budget=None, scores=None):
    pool = pool or pool_of()
    return Problem(pool, Modular("constant", np.zeros(len(pool)) if scores is None else scores), budget or Budget(20))


@pytest.fixture(scope="module")
def learned():
    return TINY.solve(problem())


def counts(picks, pool):
    return np.bincount(pool.sources[picks.rows], minlength=len(pool.source_names)).tolist()


def test_weights_form_a_simplex_and_the_budget_follows_them(learned):
    weights = np.array([learned.facts["weight/easy"], learned.facts["weight/hard"]])
    assert weights.sum() == pytest.approx(1) and (weights > 0).all()
    assert len(set(learned.rows)) == 20
    assert np.abs(np.array(counts(learned, pool_of())) - 20 * weights).max() <= 1


def test_same_seed_same_picks_and_nothing_kept_twice(learned):
    np.testing.assert_array_equal(TINY.solve(problem()).rows, learned.rows)
    kept = {}

    def keep(name, make):
        return kept.setdefault(name, None) or kept.__setitem__(name, make()) or kept[name]

    first = TINY.solve(replace(problem(), context=Context(keep=keep)))
    assert kept["mirror-weights"]["path"].shape == (30, 2)
    np.testing.assert_allclose(kept["mirror-weights"]["path"].mean(0), kept["mirror-weights"]["weights"])
    kept["mirror-weights"]["weights"] = np.array([1.0, 0.0])
    assert counts(TINY.solve(replace(problem(), context=Context(keep=keep))), pool_of()) == [20, 0]
    np.testing.assert_array_equal(first.rows, learned.rows)


def test_order_of_documents_does_not_matter(learned):
    pool = pool_of()
    texts = [t for _, block in pool.texts() for t in block]
    turned = Pool.from_arrays(
        texts=texts[::-1], sources=(["easy"] * 60 + ["hard"] * 60)[::-1], ids=[f"d{i}" for i in range(120)][::-1]
    )
    np.testing.assert_array_equal(119 - TINY.solve(problem(turned)).rows, learned.rows)


def test_a_source_that_the_proxy_is_behind_on_gains_weight():
    """A reference that saw source "hard" almost alone is ahead there; the weights move to it, and back when swapped."""
    pool = pool_of()
    for favoured, sizes in ((1, [1, 10**6]), (0, [10**6, 1])):
        tokens = np.array([sizes[s] for s in pool.sources], np.int64)
        found = TINY._weights(replace(pool, tokens=tokens), seed=0)["weights"]
        assert found[favoured] > 0.55


@pytest.mark.parametrize("limit", [{"eta": 0.0}, {"smoothing": 1.0}])
def test_limits_are_equal_quotas(limit):
    solver = TINY.model_copy(update={"steps": 2, **limit})
    assert counts(solver.solve(problem()), pool_of()) == [10, 10]
    assert counts(solver.solve(problem(budget=Budget(120))), pool_of()) == [60, 60]
    assert counts(solver.solve(problem(budget=Budget(100, floors={"hard": 0.6}))), pool_of()) == [40, 60]


def test_full_source_passes_its_share_on_and_excluded_documents_stay_out():
    scores = np.zeros(120)
    scores[5:60] = -np.inf
    picks = TINY.model_copy(update={"steps": 2, "eta": 0.0}).solve(problem(scores=scores, budget=Budget(30)))
    assert counts(picks, pool_of()) == [5, 25]
    assert set(picks.rows[pool_of().sources[picks.rows] == 0]) == set(range(5))


def test_a_source_without_candidates_and_documents_already_chosen_are_left_out():
    solver = TINY.model_copy(update={"steps": 2, "eta": 0.0})
    scores = np.zeros(120)
    scores[60:] = -np.inf
    assert counts(solver.solve(problem(scores=scores, budget=Budget(8))), pool_of()) == [8, 0]
    chosen = np.arange(50)
    picks = solver.solve(replace(problem(budget=Budget(30)), chosen=chosen))
    assert counts(picks, pool_of()) == [10, 20] and not np.intersect1d(picks.rows, chosen).size


def test_within_a_source_sharp_scores_decide():
    scores = np.arange(120.0) * 1e3
    picks = TINY.model_copy(update={"steps": 2, "eta": 0.0}).solve(problem(scores=scores, budget=Budget(6)))
    assert sorted(picks.rows) == [57, 58, 59, 117, 118, 119]
    np.testing.assert_array_equal(picks.scores, scores[picks.rows])


def test_token_budget_is_split_in_tokens():
    pool = pool_of()
    budget = Budget(200, "tokens")
    picks = TINY.model_copy(update={"steps": 2, "eta": 0.0}).solve(problem(budget=budget))
    tokens = pool.tokens[picks.rows]
    assert 0 <= tokens.sum() - 200 < tokens.max()
    for source in (0, 1):
        assert abs(tokens[pool.sources[picks.rows] == source].sum() - 100) < tokens.max()


def test_mixture_takes_each_window_of_a_source_once_and_keeps_the_shares():
    class Counting:
        def __init__(self, base):
            self.base = base

        def take(self, first, count):
            return np.arange(self.base + first, self.base + first + count)[:, None]

    mixture = _Mixture([Counting(0), Counting(10**6)], np.array([0.25, 0.75]), 200, 8, seed=0)
    taken = np.concatenate([mixture.batch(step) for step in range(200)]).ravel()
    assert all(len(mixture.batch(step)) == 8 for step in range(5))
    law = np.sort(taken[taken < 10**6])
    np.testing.assert_array_equal(law, np.arange(len(law)))
    assert len(np.unique(taken)) == 1600
    assert len(law) / 1600 == pytest.approx(0.25, abs=4 * np.sqrt(0.25 * 0.75 / 1600))


def test_bad_input_is_named():
    class Pairs(SetFunction):
        names = ("pairs",)
        n = 120

        def climb(self, rows, size):
            raise NotImplementedError

    with pytest.raises(InputError, match="pairs judges whole sets"):
        TINY.solve(replace(problem(), function=Pairs()))
    pool = pool_of()
    blank = Pool.from_arrays(texts=["words here"] * 4 + [""] * 4, sources=["a"] * 4 + ["blank"] * 4)
    with pytest.raises(InputError, match="source 'blank' has no text"):
        TINY.solve(problem(blank, Budget(2)))
    with pytest.raises(InputError, match="needs the documents' texts"):
        TINY.solve(problem(replace(pool, texts=None)))
