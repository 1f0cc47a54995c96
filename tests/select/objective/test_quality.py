import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from harmonia.core.errors import InputError
from harmonia.select.context import Context
from harmonia.select.objective.constant import Constant
from harmonia.select.objective.quality import Quality, scaled
from harmonia.select.pool import Pool


def fit(pool, part, **context):
    return part.fit(pool, Context(**context)).scores()


def test_constant_prefers_nothing():
    function = Constant().fit(Pool.from_arrays(np.eye(4)), Context())
    assert function.scores().tolist() == [0, 0, 0, 0]
    assert function.evaluate(np.array([[0, 1], [2, 3]])).tolist() == [0, 0]


def test_the_only_column_needs_no_name():
    assert fit(Pool.from_arrays(quality=np.array([0.3, 0.1])), Quality()).tolist() == [0.3, 0.1]


def test_columns_are_scaled_one_by_one_then_summed():
    pool = Pool.from_arrays(quality={"edu": np.array([1.0, 2, 3]), "web": np.array([30.0, 10, 20])})
    part = Quality(weights={"edu": 1.0, "web": 0.5}, scale="rank")
    assert fit(pool, part).tolist() == [0 + 0.5, 0.5 + 0, 1 + 0.25]
    assert fit(pool, Quality(weights={"edu": 1.0, "web": 0.1})).tolist() == [4, 3, 5]


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=30), st.floats(0.1, 10), st.floats(-100, 100))
def test_z_and_rank_forget_the_unit_and_keep_the_order(values, slope, shift):
    values = np.round(np.array(values), 3)
    order = np.lexsort((np.arange(len(values)), values))
    rank = scaled(values, "rank")
    assert (np.diff(rank[order]) >= 0).all()
    assert rank.mean() == pytest.approx(0.5)
    z = scaled(values, "z")
    if np.ptp(values) > 1:
        np.testing.assert_allclose(scaled(values * slope + shift, "z"), z, atol=1e-6)
        assert z.std() == pytest.approx(1)
        assert z.mean() == pytest.approx(0, abs=1e-9)


def test_equal_scores_share_their_rank():
    assert scaled(np.array([5.0, 5, 1, 9]), "rank").tolist() == [0.5, 0.5, 0, 1]
    assert scaled(np.array([7.0]), "rank").tolist() == [0.5]
    assert scaled(np.array([7.0, 7.0]), "z").tolist() == [0, 0]
    with pytest.raises(InputError, match="no scale 'log'"):
        scaled(np.array([1.0]), "log")


def test_a_constant_column_is_told():
    said = []
    fit(Pool.from_arrays(quality={"edu": np.full(3, 2.5)}), Quality(scale="z"), warn=said.append)
    assert said == ["quality column 'edu' is 2.5 for every document: it tells none from another"]


@pytest.mark.parametrize(
    ("pool", "part", "message"),
    [
        (
            Pool.from_arrays(quality={"a": np.ones(2), "b": np.ones(2)}),
            Quality(),
            "one quality column.*there are: a, b",
        ),
        (Pool.from_arrays(quality={"edu": np.ones(2)}), Quality(column="edv"), "column 'edv'; did you mean 'edu'"),
        (Pool.from_arrays(quality={"edu": np.array([1, np.nan])}), Quality(), "'edu' is not finite at document '1'"),
        (Pool.from_arrays(np.eye(2)), Quality(), "needs one quality column; name it with --quality-column"),
    ],
)
def test_bad_columns_are_named(pool, part, message):
    with pytest.raises(InputError, match=message):
        fit(pool, part)


def test_column_and_weights_exclude_each_other():
    with pytest.raises(ValidationError, match="either column or weights"):
        Quality(column="a", weights={"b": 1.0})
