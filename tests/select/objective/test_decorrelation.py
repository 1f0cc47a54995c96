"""The decorrelation objective on a pool: values, gains, statistics of the whole pool, warnings and bad input."""

import numpy as np
import pytest
from pydantic import ValidationError

from harmonia.core.errors import InputError
from harmonia.maths.decorrelation import correlation_energy, covariance_energy, inverse_participation, moment_energy
from harmonia.maths.greedy import Lazy, Scan, ascend
from harmonia.maths.ledger import Ledger
from harmonia.select.context import Context
from harmonia.select.objective.decorrelation import Decorrelation
from harmonia.select.pool import Pool

EVERY = ["per_set", "pool_unit", "covariance", "participation"]


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def fit(X, *, warnings=None, dtype=np.float64, ids=None, **fields):
    said = [] if warnings is None else warnings
    return Decorrelation(**fields).fit(Pool.from_arrays(X, ids=ids), Context(dtype=dtype, warn=said.append))


def climbed(climb, k, first=None, search=Scan):
    ledger = Ledger(np.ones(climb.size, bool), k)
    return ascend(climb, ledger, search(climb, ledger), first=first)


def unit(X):
    U = X - X.mean(axis=0)
    return U / np.linalg.norm(U, axis=1)[:, None]


@pytest.mark.parametrize("normalise", EVERY)
def test_values_by_definition_and_gains_that_add_up_to_them(rng, normalise):
    X = rng.normal(size=(60, 6)) @ rng.normal(size=(6, 6)) + 2
    f = fit(X, normalise=normalise)
    whole = covariance_energy(X)
    definition = {
        "per_set": lambda S: -correlation_energy(X[S]) / 30,
        "pool_unit": lambda S: -moment_energy(unit(X)[S]) / len(S) ** 2,
        "covariance": lambda S: -covariance_energy(X[S]) / whole,
        "participation": lambda S: -inverse_participation(X[S]),
    }[normalise]
    found = climbed(f.climb(None, 9), 9, first=4)
    sets = np.stack([found.rows, *(rng.choice(60, 9, replace=False) for _ in range(4))])
    values = f.evaluate(sets)
    np.testing.assert_allclose(values, [definition(S) for S in sets], rtol=1e-9)
    assert found.gains.sum() == pytest.approx(values[0], abs=1e-9)
    assert values[0] > values[1:].max() or normalise == "per_set"


@pytest.mark.parametrize("normalise", ["pool_unit", "covariance", "participation"])
def test_the_whole_pool_is_worth_its_bound(rng, normalise):
    X = rng.normal(size=(200, 4))
    value = fit(X, normalise=normalise).evaluate(np.arange(200)[None])[0]
    assert -1 - 1e-9 <= value <= (-1 + 1e-9 if normalise == "covariance" else -1 / 4)


@pytest.mark.parametrize("normalise", EVERY)
def test_a_climb_over_rows_is_that_of_the_same_rows_with_the_statistics_of_the_pool(rng, normalise):
    X = rng.normal(size=(80, 5)) + np.arange(5)
    f = fit(X, normalise=normalise)
    rows = rng.choice(80, 30, replace=False)
    part = climbed(f.climb(rows, 6), 6, first=2)
    np.testing.assert_allclose(part.gains.sum(), f.evaluate(rows[part.rows][None]), atol=1e-9)
    np.testing.assert_allclose(f.evaluate(part.rows[None], rows), f.evaluate(rows[part.rows][None]), rtol=1e-12)


def test_evaluate_with_the_cached_gram_equals_the_moment(rng):
    X = rng.normal(size=(400, 40))
    f, rows = fit(X), rng.choice(400, 120, replace=False)
    sets = np.array([rng.choice(120, 30, replace=False) for _ in range(50)])
    slow = [-moment_energy(unit(X)[rows[S]]) / 900 for S in sets]
    np.testing.assert_allclose(f.evaluate(sets, rows), slow, rtol=1e-9)


def test_float16_pool_gives_nearly_the_same_picks_as_float64(rng):
    X = rng.normal(size=(300, 16)).astype(np.float16)
    half, full = fit(X, dtype=np.float32), fit(X.astype(float))
    a, b = climbed(half.climb(None, 20), 20, 0), climbed(full.climb(None, 20), 20, 0, Lazy)
    assert a.gains.sum() == pytest.approx(b.gains.sum(), rel=1e-4)


def test_standardise_ignores_the_scale_of_columns(rng):
    X = rng.normal(size=(100, 5))
    scale = np.array([1, 10, 0.1, 3, 50])
    for normalise in ("pool_unit", "covariance", "participation"):
        rows = [
            climbed(fit(Y, normalise=normalise, standardise=True).climb(None, 10), 10, 0).rows.tolist()
            for Y in (X, X * scale)
        ]
        assert rows[0] == rows[1]
        assert climbed(fit(X * scale, normalise=normalise).climb(None, 10), 10, 0).rows.tolist() != rows[0]


def test_standardise_survives_a_dead_column(rng):
    X = rng.normal(size=(40, 3))
    dead = np.column_stack([X, np.full(40, 0.1)])
    rows = [climbed(fit(Y, standardise=True).climb(None, 8), 8, 0).rows.tolist() for Y in (X, dead)]
    assert rows[0] == rows[1]


def test_relaxation_is_the_value_on_sets(rng):
    X = rng.normal(size=(50, 6))
    f, mask = fit(X), np.zeros(50)
    mask[[3, 8, 40]] = 1
    assert f.relax(3).value(mask) == pytest.approx(f.evaluate(np.array([[3, 8, 40]]))[0], rel=1e-10)
    with pytest.raises(InputError, match="no concave relaxation"):
        fit(X, normalise="participation").relax(3)


def test_statistics_are_kept_and_read_back(rng):
    kept, X = {}, rng.normal(size=(30, 4))

    def keep(name, make):
        return kept.setdefault(name, make())

    pool = Pool.from_arrays(X)
    first = Decorrelation().fit(pool, Context(keep=keep)).vectors[:]
    kept["vectors-norms-centred"]["norms"] = kept["vectors-norms-centred"]["norms"] * 2
    np.testing.assert_allclose(Decorrelation().fit(pool, Context(keep=keep)).vectors[:], first / 2, rtol=1e-6)


def test_per_set_warns_of_duplicates_dead_columns_and_the_second_pick(rng):
    X = np.column_stack([rng.normal(size=(50, 3)), np.full((50, 2), 0.1)])
    X[[7, 9, 30]] = X[2]
    said = []
    fit(X, normalise="per_set", warnings=said)
    assert "2 of 5 feature columns are constant" in said[0]
    assert "3 of 50 feature vectors are exact duplicates" in said[1]
    assert "second pick" in said[2] and "second=farthest" in said[2]
    said.clear()
    fit(rng.normal(size=(50, 3)), normalise="per_set", second="farthest", warnings=said)
    fit(X, warnings=said)
    assert said == []


def test_integers_are_taken_with_a_warning(rng):
    said = []
    X = rng.integers(0, 9, (40, 5))
    assert (fit(X, warnings=said).vectors[:] == fit(X.astype(float)).vectors[:]).all()
    assert "int64" in said[0]


@pytest.mark.parametrize("normalise", EVERY)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_name_the_document(rng, normalise, bad):
    X = rng.normal(size=(12, 3))
    X[8, 1] = bad
    with pytest.raises(InputError, match=r"document 'doc-8' hold NaN or an infinity"):
        fit(X, normalise=normalise, ids=[f"doc-{i}" for i in range(12)])


@pytest.mark.parametrize("normalise", EVERY)
def test_constant_features_are_refused(normalise):
    with pytest.raises(InputError, match="all 3 feature columns are constant"):
        fit(np.full((10, 3), 0.1), normalise=normalise)


def test_one_column_is_refused_by_per_set(rng):
    with pytest.raises(InputError, match="at least 2 feature columns"):
        fit(rng.normal(size=(10, 1)), normalise="per_set")
    fit(rng.normal(size=(10, 1)))


def test_rows_at_the_pool_mean_are_named_or_dropped(rng):
    X = rng.normal(size=(21, 4))
    X[5] = 0
    X[:] -= X.sum(axis=0) / 20 * (np.arange(21) != 5)[:, None]
    with pytest.raises(InputError, match=r"features of 1 document \('5'\) equal the pool mean.*zero=drop"):
        fit(X)
    f = fit(X, zero="drop")
    assert climbed(f.climb(None, 21), 21).rows.tolist().count(5) == 0
    assert len(climbed(f.climb(None, 21), 21).rows) == 20
    assert f.climb(np.array([4, 5, 6]), 2).gains().tolist()[1] == -np.inf
    assert np.isneginf(f.evaluate(np.array([[1, 2], [5, 2]]))).tolist() == [False, True]
    assert np.isneginf(f.relax(3).gradient(np.ones(21))).nonzero()[0].tolist() == [5]


def test_no_features_says_how_to_get_some():
    with pytest.raises(InputError, match="needs feature vectors"):
        Decorrelation().fit(Pool.from_arrays(ids=["a", "b"]), Context())


@pytest.mark.parametrize(
    "fields",
    [
        {"second": "farthest"},
        {"eps": 1e-3},
        {"normalise": "per_set", "standardise": True},
        {"normalise": "covariance", "zero": "drop"},
        {"eps": 0},
        {"normalise": "none"},
    ],
)
def test_settings_without_a_meaning_are_refused(fields):
    with pytest.raises(ValidationError):
        Decorrelation(**fields)
