"""Votes as an objective: the worked example, the order of ties, limits of the two stages, and bad settings."""

from dataclasses import replace

import numpy as np
import pytest

from harmonia.core.errors import InputError
from harmonia.select.budget import Budget
from harmonia.select.context import Context
from harmonia.select.objective.knn_vote import KnnVote
from harmonia.select.objective.mean_alignment import MeanAlignment
from harmonia.select.pool import Pool
from harmonia.select.solver.base import Problem
from harmonia.select.solver.top_n import TopN
from harmonia.select.solver.two_stage import TwoStage
from harmonia.select.subset import Deferred

POOL = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [-1.0, 0.0], [2.0, 1.0]])
TARGETS = np.array([[1.0, 0.1], [0.2, 1.0], [1.0, 0.9]])


def pool_of(features=POOL, targets=TARGETS):
    return replace(Pool.from_arrays(features), encoder=lambda: lambda texts: targets[[int(t) for t in texts]])


def vote(k, features=POOL, names=("0", "1", "2")):
    return KnnVote(target_texts=names, neighbours=k).fit(pool_of(features), Context(dtype=np.float64)).scores()


def test_worked_example():
    scores = vote(2)
    assert np.floor(scores).tolist() == [1, 1, 2, 0, 2]
    # 2 before 4: both have two votes, and (1,1) has the larger mean cosine
    cosines = (TARGETS / np.linalg.norm(TARGETS, axis=1)[:, None]) @ (POOL / np.linalg.norm(POOL, axis=1)[:, None]).T
    np.testing.assert_allclose(scores, [1, 1, 2, 0, 2] + (1 + cosines.mean(axis=0)) / 4, atol=1e-12)
    assert np.argsort(-scores, kind="stable").tolist() == [2, 4, 0, 1, 3]


def test_votes_add_up():
    random = np.random.default_rng(0)
    scores = vote(7, random.normal(size=(50, 2)))
    assert np.floor(scores).sum() == 3 * 7


def test_everyone_a_neighbour():
    assert np.floor(vote(5)).tolist() == [3] * 5
    assert np.floor(vote("100%")).tolist() == [3] * 5


def test_equal_documents_tie():
    scores = vote(4, np.concatenate([POOL[:2], POOL[:2]]))
    assert scores[0] == scores[2] and scores[1] == scores[3]


def problem(budget):
    context = Context(dtype=np.float64)
    objective = MeanAlignment(target_texts=("0", "1", "2"))
    pool = pool_of(np.random.default_rng(1).normal(size=(40, 2)))
    return Problem(pool, Deferred(objective, pool, context), Budget(budget), context)


def solve(keep, budget):
    prefilter = KnnVote(target_texts=("0", "1", "2"), neighbours=10)
    return TwoStage(prefilter=prefilter, keep=keep, solver=TopN()).solve(problem(budget)).rows


def test_keeping_everything_makes_the_first_stage_a_no_op():
    assert solve(40, 6).tolist() == TopN().solve(problem(6)).rows.tolist()


def test_picking_all_survivors_makes_the_second_stage_a_no_op():
    first = KnnVote(target_texts=("0", "1", "2"), neighbours=10)
    voted = first.fit(problem(1).pool, Context(dtype=np.float64)).scores()
    assert set(solve(8, 8)) == set(np.argsort(-voted, kind="stable")[:8])


def test_two_stages_differ_from_one():
    assert set(solve(8, 6)) != set(solve(40, 6))


@pytest.mark.parametrize(
    ("k", "message"),
    [
        (0, r"knn-vote\.neighbours: 0 is no documents; give at least 1"),
        (6, r"knn-vote\.neighbours: 6 is 6 documents, but the pool has only 5"),
        ("1Mtok", r"knn-vote\.neighbours is '1Mtok'; give a share or a number of documents"),
        ("many", r"knn-vote\.neighbours: 'many' is not a budget"),
    ],
)
def test_bad_numbers_of_neighbours(k, message):
    with pytest.raises(InputError, match=message):
        vote(k)


def test_no_target():
    with pytest.raises(InputError, match=r"knn-vote\.target is empty"):
        vote(2, names=())


def test_a_vector_that_is_not_finite_names_the_document():
    spoiled = POOL.copy()
    spoiled[3, 1] = np.nan
    with pytest.raises(InputError, match="the vector of document '3' is not finite"):
        vote(2, spoiled)


def test_other_dimension():
    with pytest.raises(InputError, match="the target's vectors have 2 dimensions and the pool's 3"):
        vote(2, np.ones((4, 3)))
