"""Criteria: numbers by hand, closed forms, invariances, and what each of them refuses."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.compress.rows import W, X, drawn, seen, site

from harmonia.compress.criterion import (
    Fisher,
    GroupMagnitude,
    Ifv,
    Kcm,
    Magnitude,
    Obs,
    Random,
    TaylorElement,
    TaylorMix,
    TaylorSecond,
    TaylorVector,
    WandaSp,
    Wifn,
    Wifv,
)
from harmonia.compress.reconstruction import Bias, LeastSquares, Liar
from harmonia.compress.site import Moments, Seen
from harmonia.core.errors import InputError

ROWS = np.array([[1.0, 2], [3, 2], [5, 2]])
WEIGHT = np.array([[1.0, 10], [2, 0]])


def without(d, *gone):
    return np.setdiff1d(np.arange(d), gone)


def test_variances_by_hand():
    assert Ifv().score(site(WEIGHT), seen(ROWS), 0).ravel().tolist() == [4, 0]
    assert Wifv().score(site(WEIGHT), seen(ROWS), 0).ravel().tolist() == [20, 0]
    assert Bias().repair(WEIGHT, None, seen(ROWS), np.array([0])).error == pytest.approx(0, abs=1e-12)


def test_magnitudes_by_hand():
    assert Magnitude().score(site(WEIGHT), None, 0).tolist() == [pytest.approx(5**0.5), 10]
    assert Magnitude(norm="l1").score(site(WEIGHT), None, 0).tolist() == [3, 10]
    assert Magnitude(norm="l1").score(site(WEIGHT, run=2, kind="heads"), None, 0).tolist() == [13]


def test_activation_norms_by_hand():
    """Means of |W| are 1.5 and 5; sums of squares 35 and 12 over two sequences of three tokens."""
    seen_ = Seen(Moments(3, ROWS.mean(axis=0), ROWS.T @ ROWS, sequences=2))
    sizes = np.array([1.5, 5]) * np.sqrt([35, 12])
    np.testing.assert_allclose(WandaSp().score(site(WEIGHT), seen_, 0), sizes / 2**0.5)
    np.testing.assert_allclose(Wifn().score(site(WEIGHT), seen_, 0).ravel(), sizes / 3**0.5)
    heads = site(WEIGHT, run=2, kind="heads")
    np.testing.assert_allclose(WandaSp().score(heads, seen_, 0), [sizes.sum() / 2**0.5])
    np.testing.assert_allclose(Wifn().score(heads, seen_, 0), sizes[None] / 3**0.5)


@given(st.integers(0, 2**20), st.integers(0, 7))
def test_wifv_is_what_bias_leaves_of_one_neuron(seed, unit):
    rows, weight, bias = drawn(seed)
    score = Wifv().score(site(weight), seen(rows), 0)[unit, 0]
    left = Bias().repair(weight, bias, seen(rows), without(8, unit)).error
    assert left == pytest.approx((len(rows) - 1) * score, rel=1e-8)


def test_wifv_of_a_set_adds_up_only_where_inputs_are_uncorrelated():
    rows, weight, bias = drawn(0)
    kept = without(8, 2, 5)

    def parts(rows):
        score = Wifv().score(site(weight), seen(rows), 0).ravel()
        return Bias().repair(weight, bias, seen(rows), kept).error, (len(rows) - 1) * score[[2, 5]].sum()

    whole, added = parts(rows)
    assert abs(whole - added) > 0.01 * added
    apart = np.linalg.qr(rows - rows.mean(axis=0))[0] + 3
    assert parts(apart)[0] == pytest.approx(parts(apart)[1], rel=1e-9)


def test_obs_by_hand():
    scores = Obs(ridge=0).score(site(W), seen(X), 0)
    assert scores.round(6).tolist() == [0.176471, 0.394737, 0.666667]


@pytest.mark.parametrize(("intercept", "repair"), [(False, LeastSquares(ridge=0)), (True, Liar(ridge=0))])
@given(st.integers(0, 2**20), st.sampled_from([1, 2, 4]))
def test_obs_is_what_least_squares_leaves_of_one_unit(intercept, repair, seed, run):
    rows, weight, bias = drawn(seed)
    here = site(weight, run)
    scores = Obs(ridge=0, intercept=intercept).score(here, seen(rows), 0)
    for unit in range(here.units):
        kept = here.columns(without(here.units, unit))
        left = repair.repair(weight, bias, seen(rows), kept, run).error
        assert left == pytest.approx(scores[unit], rel=1e-6)
    if run == 1:
        assert (scores <= np.diag(rows.T @ rows) * (weight**2).sum(axis=0) * (1 + 1e-9)).all()


@pytest.mark.parametrize("order", ["single", "joint"])
@pytest.mark.parametrize("intercept", [False, True])
def test_obs_with_a_ridge_per_channel_does_not_see_units_of_measurement(order, intercept):
    rows, weight, _ = drawn(0)
    part, scale = Obs(order=order, intercept=intercept), np.geomspace(1e-3, 1e3, 8)
    plain = part.score(site(weight), seen(rows), 0)
    np.testing.assert_allclose(part.score(site(weight / scale), seen(rows * scale), 0), plain, rtol=1e-6)


def test_joint_obs_keeps_one_of_twins_and_rises_in_its_order():
    rows, weight, _ = drawn(0)
    rows, weight = rows[:, [0, 1, 2, 2, 4]], weight[:, [0, 1, 2, 2, 4]]
    single, joint = (Obs(order=order, ridge=1e-6).score(site(weight), seen(rows), 0) for order in ("single", "joint"))
    assert single[2] == pytest.approx(single[3], rel=1e-3) and single[2] < 0.01 * single[[0, 1, 4]].min()
    assert joint[3] < 0.01 * joint[2] and len(np.unique(joint)) == 5


def test_joint_obs_is_a_better_order_than_single_obs():
    gaps = []
    for seed in range(8):
        rows, weight, bias = drawn(seed, n=200, d=16)
        errors = []
        for order in ("single", "joint"):
            scores = Obs(order=order, ridge=0).score(site(weight), seen(rows), 0)
            kept = np.sort(np.argsort(-scores)[:8])
            errors.append(LeastSquares(ridge=0).repair(weight, bias, seen(rows), kept).error)
        gaps.append(errors[1] / errors[0])
    assert np.mean(gaps) < 1 and max(gaps) < 1.1


def test_a_constant_unit_is_free_where_a_bias_takes_it_up():
    rows, weight, _ = drawn(0)
    rows[:, 4] = 3
    for order in ("single", "joint"):
        scores = Obs(order=order, intercept=True, ridge=0).score(site(weight), seen(rows), 0)
        assert scores[4] == 0 and np.delete(scores, 4).min() > 0


def test_fisher_by_hand_and_batches_cancel():
    gradients = np.array([[1.0, 2], [-1, 2], [3, 0]])
    here = site(np.ones((1, 2)))
    assert Fisher().score(here, seen(ROWS, gradients=gradients), 0).tolist() == [11, 8]
    assert Fisher(batch=2).score(here, seen(ROWS, gradients=gradients), 0).tolist() == [9, 4]
    assert Fisher(batch=32).score(here, seen(ROWS, gradients=gradients), 0).tolist() == [1, pytest.approx(16 / 9)]


TAYLORS = {TaylorElement: "element1", TaylorVector: "vector", TaylorSecond: "taylor2", TaylorMix: "mix"}


@pytest.mark.parametrize("part", TAYLORS)
def test_taylor_reads_its_sums(part):
    slices = {name: np.full(2, float(place)) for place, name in enumerate(TAYLORS.values())}
    assert part().score(site(WEIGHT), seen(ROWS, slices=slices), 0).tolist() == slices[TAYLORS[part]].tolist()
    with pytest.raises(
        InputError, match=r"criterion taylor\S+ needs gradients of a loss by the weights of layers.0.down"
    ):
        part().score(site(WEIGHT), seen(ROWS), 0)


@pytest.mark.parametrize(
    ("aggregate", "expected"),
    [("sum", [4, 6]), ("mean", [2, 3]), ("max", [3, 5]), ("prod", [3, 5]), ("first", [1, 5])],
)
def test_norms_of_a_group_become_one(aggregate, expected):
    slices = {"l1:up": np.array([1.0, 5]), "l2:up": np.array([9.0, 9]), "l1:down": np.array([3.0, 1])}
    part = GroupMagnitude(norm="l1", aggregate=aggregate)
    assert part.score(site(WEIGHT), seen(ROWS, slices=slices), 0).tolist() == expected


def test_random_depends_on_seed_and_layer_alone():
    draw = Random().score(site(W), None, 0)
    assert (draw == Random().score(site(2 * W), seen(X), 0)).all()
    assert (draw != Random().score(site(W), None, 1)).all()
    assert (draw != Random().score(site(W, name="layers.1.down"), None, 0)).all()


def test_kcm_is_representatives_times_activation():
    """Two equal columns far from the third: R2 = 1/2, 1/2, 1; mean activations to 0..1."""
    weight, rows = np.array([[1.0, 1, 50]]), np.array([[2.0, 3, 4], [0, 1, 2]])
    part = Kcm(width=1, tolerance=1e-12, steps=500)
    np.testing.assert_allclose(part.score(site(weight), seen(rows), 0), [0, 0.25, 1], atol=1e-6)
    assert Kcm(width=1, tolerance=1e-12, steps=500).score(site(weight[:, :2], run=2), seen(rows[:, :2]), 0) == (
        pytest.approx(0.25, abs=1e-6)
    )


@pytest.mark.parametrize(
    ("normalise", "expected"),
    [
        ("max-min", [0, 0.5, 1]),
        ("z-score", [-(1.5**0.5), 0, 1.5**0.5]),
        ("log", [-np.log(2), 0, np.log(2)]),
        ("l2", [-(0.5**0.5), 0, 0.5**0.5]),
    ],
)
def test_kcm_normalises_mean_activations(normalise, expected):
    rows, weight = np.array([[-1.0, 0, 1]]), np.diag([1.0, 100, 10000])
    part = Kcm(normalise=normalise, width=1, tolerance=1e-12, steps=500)
    np.testing.assert_allclose(part.score(site(weight), seen(rows), 0), expected, atol=1e-6)


def test_kcm_of_low_rank_is_near_the_exact_one():
    rows, weight, _ = drawn(0, d=40)
    exact = Kcm(steps=30).score(site(weight), seen(rows), 0)
    np.testing.assert_allclose(
        Kcm(steps=30, exact_up_to=1, rank=40).score(site(weight), seen(rows), 0), exact, rtol=1e-3
    )


def test_permuting_units_permutes_scores():
    rows, weight, _ = drawn(0)
    order = np.random.default_rng(0).permutation(8)
    for part in (Magnitude(), WandaSp(), Ifv(), Wifv(), Wifn(), Obs(), Obs(order="joint"), Kcm()):
        before = part.score(site(weight), seen(rows), 0)
        after = part.score(site(weight[:, order]), seen(rows[:, order]), 0)
        np.testing.assert_allclose(after, before[order], rtol=1e-7, err_msg=part.kind)


READERS = [WandaSp(), Ifv(), Wifv(), Wifn(), Obs(), Kcm()]


@pytest.mark.parametrize("part", READERS, ids=lambda part: part.kind)
def test_what_reads_inputs_needs_them_and_of_the_right_width(part):
    assert part.reads == ("moments",)
    with pytest.raises(InputError, match=f"criterion {part.kind} scores by the inputs of layers.0.down"):
        part.score(site(W), None, 0)
    with pytest.raises(InputError, match="layers.0.down takes 3 inputs, and the statistics are of 2"):
        part.score(site(W), seen(ROWS), 0)


def test_bad_input_is_named():
    with pytest.raises(
        InputError, match="criterion fisher needs gradients .* layers.0.down; give a calibration with lab"
    ):
        Fisher().score(site(W), seen(X), 0)
    with pytest.raises(InputError, match=r"layers.0.down: gradients of shape \(1, 2\), and it has 3 units"):
        Fisher().score(site(W), seen(X, gradients=np.ones((1, 2))), 0)
    with pytest.raises(InputError, match="criterion group-magnitude needs the norms of all weights .* layers.0.down"):
        GroupMagnitude().score(site(W), None, 0)
    with pytest.raises(InputError, match="layers.0.down: scores are not finite"):
        Magnitude().score(site(np.array([[1.0, np.nan]])), None, 0)
    with pytest.raises(
        InputError, match="layers.0.down: its inputs depend on each other over 2 tokens; raise criterion.r"
    ):
        Obs(ridge=0).score(site(W), seen(X[:2]), 0)
    here = site(W)
    with pytest.raises(InputError, match="layers.0.down is on the meta device and holds no numbers"):
        Magnitude().score(type(here)(**{**vars(here), "weight": here.weight.to("meta")}), None, 0)
