"""Repairs: one example by hand, their order, limits, invariances, curves, and what they refuse."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tests.compress.rows import B, W, X, drawn, measured, moments, seen

from harmonia.compress.reconstruction import Bias, LeastSquares, Liar, NoReconstruction, Scale
from harmonia.compress.reconstruction.base import OutputError, squared_error
from harmonia.compress.reconstruction.levels import Levels
from harmonia.compress.reconstruction.ls import GRID, too_few
from harmonia.compress.site import Moments, Seen
from harmonia.core.errors import InputError
from harmonia.maths.interpolation import residual

KEPT = np.array([0, 1])
EVERY = [NoReconstruction(), Bias(), Scale(ridge=0, bound=1e9), LeastSquares(ridge=0), Liar(ridge=0)]
subsets = st.sets(st.integers(0, 7), min_size=1, max_size=7).map(lambda kept: np.array(sorted(kept)))
seeds = st.integers(0, 2**20)


@pytest.mark.parametrize(
    ("part", "weight", "bias", "error"),
    [
        (NoReconstruction(), [[1, 2], [0, 1]], [0.5, -0.5], 78),
        (Bias(), [[1, 2], [0, 1]], [3.25, -3.25], 17.5),
        (LeastSquares(ridge=0), [[2.333333, 4], [-1.333333, -1]], [0.5, -0.5], 0.666667),
        (Liar(ridge=0), [[2.5, 4.333333], [-1.5, -1.333333]], [0, 0], 0.333333),
    ],
    ids=lambda value: getattr(value, "kind", None),
)
def test_one_example_by_hand(part, weight, bias, error):
    found = part.repair(W, B, seen(X), KEPT)
    np.testing.assert_allclose(found.weight, weight, atol=1e-6)
    np.testing.assert_allclose(found.bias, bias, atol=1e-6)
    assert found.error == pytest.approx(error, abs=1e-6) == measured(X, W, B, KEPT, found)


def test_levels_by_hand():
    levels = Levels.of(W, B, seen(X), KEPT, ridge=0)
    assert [levels.none, levels.bias, levels.ls, levels.affine] == pytest.approx([78, 17.5, 2 / 3, 1 / 3])
    assert levels.r2 == pytest.approx(1 - 1 / 52.5)
    assert Levels.of(W, B, seen(X), np.arange(3), ridge=0).r2 == 1


@given(seeds, subsets)
def test_errors_are_ordered_measured_and_what_equation_four_says(seed, kept):
    rows, weight, bias = drawn(seed)
    found = {part.kind: part.repair(weight, bias, seen(rows), kept) for part in EVERY}
    for repaired in found.values():
        assert repaired.error == pytest.approx(measured(rows, weight, bias, kept, repaired), rel=1e-8, abs=1e-9)
    error = {kind: repaired.error for kind, repaired in found.items()}
    slack = 1 + 1e-9
    assert error["liar"] <= error["ls"] * slack and error["ls"] <= error["scale"] * slack
    assert error["scale"] <= error["none"] * slack
    assert error["liar"] <= error["bias"] * slack and error["bias"] <= error["none"] * slack
    assert error["ls"] == pytest.approx(residual(moments(rows).gram, weight, kept), rel=1e-8, abs=1e-8)
    assert error["liar"] == pytest.approx(residual(moments(rows).centred, weight, kept), rel=1e-8, abs=1e-8)


@given(seeds, subsets)
def test_liar_is_the_best_of_all_affine_maps(seed, kept):
    """Least squares of the output on the kept inputs and a column of ones."""
    rows, weight, bias = drawn(seed)
    ones = np.column_stack([rows[:, kept], np.ones(len(rows))])
    best = np.linalg.lstsq(ones, rows @ weight.T + bias)[0]
    found = Liar(ridge=0).repair(weight, bias, seen(rows), kept)
    np.testing.assert_allclose(found.weight, best[:-1].T, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found.bias, best[-1], rtol=1e-5, atol=1e-6)


@given(seeds, subsets, st.integers(0, 7))
def test_more_kept_inputs_leave_no_more_error(seed, kept, more):
    rows, weight, bias = drawn(seed)
    for part in (LeastSquares(ridge=0), Liar(ridge=0)):
        fewer, wider = (part.repair(weight, bias, seen(rows), s).error for s in (kept, np.union1d(kept, [more])))
        assert wider <= fewer * (1 + 1e-9) + 1e-9


@given(seeds, subsets)
def test_a_huge_ridge_leaves_the_bias_alone_and_ls_a_slice(seed, kept):
    rows, weight, bias = drawn(seed)
    for relative_to in ("nothing", "channel", "layer"):
        # 10 is the most that is admitted; units of measurement make it huge where it is absolute
        small = rows * (1e-7 if relative_to == "nothing" else 1)
        liar, ls = (
            part(ridge=10, relative_to=relative_to).repair(weight, bias, seen(small), kept)
            for part in (Liar, LeastSquares)
        )
        if relative_to == "nothing":
            plain = Bias().repair(weight, bias, seen(small), kept)
            np.testing.assert_allclose(liar.weight, weight[:, kept], rtol=1e-9, atol=1e-11)
            np.testing.assert_allclose(liar.bias, plain.bias, rtol=1e-9, atol=1e-12)
            np.testing.assert_allclose(ls.weight, weight[:, kept], rtol=1e-9, atol=1e-11)
        else:
            free = Liar(ridge=0).repair(weight, bias, seen(small), kept)
            away = np.linalg.norm(free.weight - weight[:, kept])
            assert np.linalg.norm(liar.weight - weight[:, kept]) <= away + 1e-9


def test_without_means_and_correlations_there_is_nothing_to_repair():
    rows, weight, bias = drawn(0)
    rows = np.linalg.qr(rows - rows.mean(axis=0))[0]
    kept = np.array([1, 2, 6])
    found = Liar(ridge=0).repair(weight, bias, seen(rows), kept)
    np.testing.assert_allclose(found.weight, weight[:, kept], atol=1e-12)
    np.testing.assert_allclose(found.bias, bias, atol=1e-12)


@pytest.mark.parametrize("part", [*EVERY, Liar(), LeastSquares(), Scale()], ids=lambda part: part.kind)
@pytest.mark.parametrize("with_bias", [True, False])
def test_nothing_removed_returns_the_layer_bit_for_bit(part, with_bias):
    rows, weight, bias = drawn(0)
    found = part.repair(weight, bias if with_bias else None, seen(rows), np.arange(8))
    assert (found.weight == weight).all() and found.error == pytest.approx(0, abs=1e-20)
    assert (found.bias == bias).all() if with_bias else found.bias is None


@pytest.mark.parametrize("part", [LeastSquares(ridge=0), Liar(ridge=0)], ids=lambda part: part.kind)
def test_a_removed_twin_is_added_to_the_one_that_stays(part):
    rows, weight, bias = drawn(0)
    rows[:, 6] = rows[:, 2]
    kept = np.delete(np.arange(8), 6)
    found = part.repair(weight, bias, seen(rows), kept)
    expected = weight[:, kept].copy()
    expected[:, 2] += weight[:, 6]
    np.testing.assert_allclose(found.weight, expected, rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(found.bias, bias, atol=1e-9)
    assert found.error == pytest.approx(0, abs=1e-9)


def test_a_constant_input_goes_into_the_bias_and_one_that_stays_does_no_harm():
    rows, weight, bias = drawn(0)
    rows[:, 3] = 5
    for part in (Bias(), Liar(ridge=0)):
        found = part.repair(weight, bias, seen(rows), np.delete(np.arange(8), 3))
        assert found.error == pytest.approx(0, abs=1e-9)
        np.testing.assert_allclose(found.bias, bias + 5 * weight[:, 3], rtol=1e-9)
    found = Liar(ridge=0).repair(weight, bias, seen(rows), np.arange(5))
    assert (found.weight[:, 3] == weight[:, 3]).all()
    gone = Liar(ridge=0).repair(weight, bias, seen(rows), np.array([0, 1, 2, 4]))
    assert found.error == pytest.approx(gone.error, rel=1e-9)


@given(seeds, subsets, st.sampled_from([0.0, 0.1]))
def test_order_and_units_of_measurement_of_inputs_do_not_matter(seed, kept, ridge):
    rows, weight, bias = drawn(seed)
    random = np.random.default_rng(seed)
    order, scale = random.permutation(8), np.exp(random.normal(size=8))
    inside = np.flatnonzero(np.isin(order, kept))
    for part in (LeastSquares(ridge=ridge), Liar(ridge=ridge)):
        plain = part.repair(weight, bias, seen(rows), kept)
        other = part.repair((weight / scale)[:, order], bias, seen((rows * scale)[:, order]), inside)
        outputs = [
            r[:, k] @ f.weight.T + f.bias
            for r, k, f in ((rows, kept, plain), ((rows * scale)[:, order], inside, other))
        ]
        np.testing.assert_allclose(*outputs, rtol=1e-5, atol=1e-6)


def test_turning_the_outputs_turns_the_repair():
    rows, weight, bias = drawn(0)
    turn, kept = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0], np.array([0, 3, 4])
    for part in (Bias(), LeastSquares(ridge=0.1), Liar(ridge=0.1)):
        plain, turned = (
            part.repair(weight, bias, seen(rows), kept),
            part.repair(turn @ weight, turn @ bias, seen(rows), kept),
        )
        np.testing.assert_allclose(turned.weight, turn @ plain.weight, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(turned.bias, turn @ plain.bias, rtol=1e-9, atol=1e-12)


def test_more_inputs_removed_than_outputs_needs_no_map_between_inputs():
    rows, weight, bias = drawn(0, n=200, d=30, out=2)
    kept = np.arange(5)
    gram, penalty = moments(rows).centred, 0.1 * np.diag(moments(rows).centred)
    A = np.linalg.solve(gram[:5, :5] + np.diag(penalty[:5]), gram[:5, 5:])
    found = Liar(ridge=0.1).repair(weight, bias, seen(rows), kept)
    np.testing.assert_allclose(found.weight, weight[:, :5] + weight[:, 5:] @ A.T, rtol=1e-9)
    c = rows.mean(axis=0)[5:] - A.T @ rows.mean(axis=0)[:5]
    np.testing.assert_allclose(found.bias, bias + weight[:, 5:] @ c, rtol=1e-9)


def test_a_whole_layer_with_zeros_does_what_the_sliced_one_does():
    rows, weight, bias = drawn(0)
    kept = np.array([1, 4, 7])
    found = Liar(ridge=0.1).repair(weight, bias, seen(rows), kept)
    masked = np.zeros((3, 8), np.float32)
    masked[:, kept] = found.weight
    sliced = rows[:, kept].astype(np.float32) @ found.weight.T.astype(np.float32)
    np.testing.assert_allclose(rows.astype(np.float32) @ masked.T, sliced, atol=1e-5)


@pytest.mark.parametrize("part", [Liar(), LeastSquares(), Liar(ridge=0), LeastSquares(ridge=0.01, relative_to="layer")])
@pytest.mark.parametrize("hold", [True, False])
def test_a_curve_is_as_good_as_separate_repairs(part, hold):
    rows, weight, bias = drawn(0, n=400, d=40, out=6)
    held = drawn(1, n=80, d=40)[0] if hold else None
    order = np.random.default_rng(0).permutation(40)
    sets = [np.sort(order[: 40 - int(ratio * 40)]) for ratio in (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6)]
    for place, (kept, together) in enumerate(zip(sets, part.curve(weight, bias, seen(rows, held), sets), strict=True)):
        alone = part.repair(weight, bias, seen(rows, held), kept)
        np.testing.assert_allclose(together.weight, alone.weight, rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(together.bias, alone.bias, rtol=1e-6, atol=1e-9)
        assert together.ridge == alone.ridge and (together.ridge is None) == (place == 0)
        assert together.error == pytest.approx(alone.error, rel=1e-6)


def test_a_curve_of_sets_that_are_not_in_one_another():
    rows, weight, bias = drawn(0)
    sets = [np.array([0, 1]), np.array([2, 3, 4]), np.arange(8)]
    for part in EVERY:
        for kept, together in zip(sets, part.curve(weight, bias, seen(rows), sets), strict=True):
            alone = part.repair(weight, bias, seen(rows), kept)
            assert (together.weight == alone.weight).all() and together.error == alone.error


def test_auto_takes_the_ridge_with_the_least_error_on_what_was_held_out():
    rows, weight, bias = drawn(0, n=540, d=20)
    rows, held, kept = rows[:40], rows[40:], np.arange(14)
    errors = []
    for ridge in GRID:
        found = Liar(ridge=ridge).repair(weight, bias, seen(rows), kept)
        errors.append(measured(held, weight, bias, kept, found))
    auto = Liar().repair(weight, bias, seen(rows, held), kept)
    assert auto.ridge == GRID[int(np.argmin(errors))] and 0 < np.argmin(errors) < len(GRID) - 1
    direct = Liar(ridge=auto.ridge).repair(weight, bias, seen(rows), kept)
    np.testing.assert_allclose(auto.weight, direct.weight, rtol=1e-9)


@pytest.mark.parametrize(("tokens", "noise"), [(25, 3.0), (60, 1.0), (200, 0.3), (5000, 0.0)])
def test_downhill_leads_to_the_best_ridge_above_and_below_where_it_begins(tokens, noise):
    random = np.random.default_rng(0)
    rows, weight, bias = drawn(0, n=tokens + 500, d=20)
    rows = rows + noise * random.normal(size=rows.shape)
    fit, held = rows[:tokens], rows[tokens:]
    sets = [np.arange(s) for s in (6, 10, 14, 17)]
    judge = OutputError(weight, bias, moments(held))
    for kept, auto in zip(sets, Liar().curve(weight, bias, seen(fit, held), sets), strict=True):
        tried = [Liar(ridge=ridge).repair(weight, bias, seen(fit), kept) for ridge in GRID]
        assert auto.ridge == GRID[int(np.argmin([judge(kept, each.weight, each.bias) for each in tried]))]


@pytest.mark.parametrize(("tokens", "ridge"), [(31, 0.1), (32, 0.01), (127, 0.01), (128, 1e-4)])
def test_auto_goes_by_the_number_of_tokens_where_none_are_held_out(tokens, ridge):
    rows, weight, bias = drawn(0, n=tokens)
    assert Liar().repair(weight, bias, seen(rows), KEPT).ridge == ridge


def test_the_grid_of_ridges():
    assert pytest.approx([1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1, 3]) == GRID


def test_few_tokens_are_warned_of():
    few, enough = moments(drawn(0, n=63)[0]), moments(drawn(0, n=64)[0])
    assert too_few("layers.0.down", enough.count, 8) is None
    assert "layers.0.down: 63 calibration tokens for 8 kept inputs; least squares may overfit below 64" in (
        too_few("layers.0.down", few.count, 8) or ""
    )


def paired(pruned, outputs):
    both = moments(np.hstack([pruned, outputs]))
    return Moments.paired(both.count, both.mean, both.gram, both.sequences, pruned.shape[1])


@given(seeds, subsets)
def test_inside_a_pruned_prefix_the_dense_output_is_the_aim(seed, kept):
    dense, weight, bias = drawn(seed)
    pruned = dense @ (np.eye(8) + 0.3 * np.random.default_rng(seed).normal(size=(8, 8))) + 0.5
    known = Seen(paired(pruned, dense @ weight.T))
    output = dense @ weight.T + bias
    ones = np.column_stack([pruned[:, kept], np.ones(len(pruned))])
    best = np.linalg.lstsq(ones, output)[0]
    errors = []
    for part in (NoReconstruction(), Bias(), Liar(ridge=0)):
        found = part.repair(weight, bias, known, kept)
        errors.append(((output - pruned[:, kept] @ found.weight.T - found.bias) ** 2).sum())
        assert found.error == pytest.approx(errors[-1], rel=1e-7, abs=1e-7)
    np.testing.assert_allclose(found.weight, best[:-1].T, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found.bias, best[-1], rtol=1e-5, atol=1e-6)
    assert errors[2] <= errors[1] * (1 + 1e-9) <= errors[0] * (1 + 1e-8)
    tuned = Scale(ridge=0, bound=1e9).repair(weight, bias, known, kept).error
    assert tuned <= errors[0] * (1 + 1e-9)


@pytest.mark.parametrize("part", [Bias(), Scale(), LeastSquares(ridge=0.1), Liar(ridge=0.1)], ids=lambda p: p.kind)
def test_a_prefix_that_was_not_pruned_changes_nothing(part):
    rows, weight, bias = drawn(0)
    kept = np.array([0, 2, 5])
    plain, prefixed = (part.repair(weight, bias, s, kept) for s in (seen(rows), Seen(paired(rows, rows @ weight.T))))
    np.testing.assert_allclose(prefixed.weight, plain.weight, rtol=1e-9)
    np.testing.assert_allclose(prefixed.bias, plain.bias, rtol=1e-9)


def test_scale_by_twins_and_with_everything_kept():
    rows, weight, _ = drawn(0)
    rows[:, 6], weight[:, 6] = rows[:, 2], weight[:, 2]
    kept = np.delete(np.arange(8), 6)
    factors = Scale(ridge=0).factors(weight, moments(rows), kept, 1)
    np.testing.assert_allclose(factors, np.where(kept == 2, 2, 1), atol=1e-8)
    for part in (Scale(ridge=0), Scale(ridge=0.5), Scale(solver="damped")):
        np.testing.assert_allclose(part.factors(weight, moments(rows), np.arange(8), 1), np.ones(8), atol=1e-8)


@pytest.mark.parametrize("run", [1, 2])
def test_scale_is_least_squares_on_the_outputs_of_units(run):
    """The normal equations from moments equal those of the matrix with a row per token and output."""
    rows, weight, _ = drawn(0)
    kept = np.array([0, 1, 4, 5, 6, 7])
    units = kept.reshape(-1, run)
    A = np.stack([(rows[:, u] @ weight[:, u].T).ravel() for u in units], axis=1)
    target = (rows @ weight.T).ravel()
    np.testing.assert_allclose(
        Scale(ridge=0).factors(weight, moments(rows), kept, run), np.linalg.lstsq(A, target)[0], rtol=1e-8
    )
    gram = (weight.T @ weight) * (rows.T @ rows)
    summed = gram[np.ix_(kept, kept)].reshape(len(units), run, len(units), run).sum(axis=(1, 3))
    np.testing.assert_allclose(A.T @ A, summed, rtol=1e-10)
    ridge = 0.3 * np.trace(A.T @ A) / len(units)
    pulled = 1 + np.linalg.solve(A.T @ A + ridge * np.eye(len(units)), A.T @ target - (A.T @ A).sum(axis=1))
    np.testing.assert_allclose(Scale(ridge=0.3).factors(weight, moments(rows), kept, run), pulled, rtol=1e-9)


@pytest.mark.parametrize("run", [1, 2])
def test_the_published_solver_is_the_limit_of_lsmr(run):
    from scipy.sparse.linalg import lsmr

    rows, weight, _ = drawn(0)
    kept = np.array([0, 1, 4, 5, 6, 7])
    A = np.stack([(rows[:, u] @ weight[:, u].T).ravel() for u in kept.reshape(-1, run)], axis=1)
    if run > 1:
        A = np.column_stack([A, np.ones(len(A))])
    start = np.ones(A.shape[1])
    start[len(kept) // run :] = 0
    target = A.T @ (rows @ weight.T).ravel() - A.T @ A @ start
    expected = (
        1 + lsmr(A.T @ A, target, damp=1, atol=1e-14, btol=1e-14, conlim=1e14, maxiter=5000)[0][: len(kept) // run]
    )
    np.testing.assert_allclose(Scale(solver="damped").factors(weight, moments(rows), kept, run), expected, rtol=1e-6)


def test_factors_out_of_bounds_leave_a_slice():
    rows, weight, bias = drawn(0)
    rows[:, 6] = 30 * rows[:, 2]
    weight[:, 6] = weight[:, 2]
    kept = np.delete(np.arange(8), 6)
    assert (Scale(ridge=0).repair(weight, bias, seen(rows), kept).weight == weight[:, kept]).all()
    assert (Scale(ridge=0, bound=40).repair(weight, bias, seen(rows), kept).weight[:, 2] != weight[:, 2]).any()


@given(seeds, subsets, st.booleans())
def test_errors_from_moments_are_those_of_the_rows(seed, kept, with_bias):
    rows, weight, bias = drawn(seed)
    random = np.random.default_rng(seed + 1)
    new, shift = random.normal(size=(3, len(kept))), random.normal(size=3)
    old = bias if with_bias else None
    expected = ((rows @ weight.T + (0 if old is None else old) - rows[:, kept] @ new.T - shift) ** 2).sum()
    assert squared_error(weight, old, moments(rows), kept, new, shift) == pytest.approx(expected, rel=1e-9)
    assert OutputError(weight, old, moments(rows))(kept, new, shift) == pytest.approx(expected, rel=1e-9)
    assert OutputError(weight, None, moments(rows))(kept, new, None) == pytest.approx(
        ((rows @ weight.T - rows[:, kept] @ new.T) ** 2).sum(), rel=1e-9
    )


def test_moments_of_pieces_are_those_of_the_whole():
    torch = pytest.importorskip("torch")
    from harmonia.maths.streaming_moments import StreamingMoments

    rows, weight, bias = drawn(0, n=500)
    pieces, whole = StreamingMoments(), moments(rows)
    for piece in np.array_split(np.random.default_rng(0).permutation(rows), 100):
        pieces.add(torch.from_numpy(piece))
    np.testing.assert_allclose(pieces.gram(), whole.gram, rtol=1e-12, atol=1e-12 * np.abs(whole.gram).max())
    streamed = Moments(pieces.count, pieces.mean(), pieces.gram(), 1)
    repairs = [Liar(ridge=0.01).repair(weight, bias, Seen(m), np.arange(4)) for m in (whole, streamed)]
    np.testing.assert_allclose(repairs[0].weight, repairs[1].weight, rtol=1e-9)


def test_variance_and_constants():
    rows = np.column_stack([np.arange(5.0), np.full(5, 1e6), np.zeros(5)])
    assert moments(rows).varies.tolist() == [True, False, False]
    assert moments(rows).variance.tolist() == [2.5, 0, 0]
    assert moments(rows).centred.tolist() == [[10, 0, 0], [0, 0, 0], [0, 0, 0]]


@pytest.mark.parametrize("part", EVERY, ids=lambda part: part.kind)
def test_bad_input_is_named(part):
    rows, weight, bias = drawn(0)
    known = seen(rows)

    def refused(match, weight=weight, bias=bias, known=known, kept=KEPT, run=1):
        with pytest.raises(InputError, match=match):
            part.repair(weight, bias, known, np.asarray(kept, np.int64), run)

    refused("no input of the layer is kept; .* depth pruning", kept=[])
    for kept in ([-1, 2], [0, 8], [1, 1], [2, 1]):
        refused("kept columns must be ascending, each once, from 0 to 7", kept=kept)
    refused("unit 1 is kept in part; heads and key-value groups of 2 columns go whole", kept=[0, 1, 3], run=2)
    refused("the layer takes 8 inputs, and the statistics are of 3", known=seen(X))
    refused("the layer takes 8 inputs, and the statistics are of 3", known=seen(rows, X))
    refused("no token was seen", known=Seen(Moments(0, np.zeros(8), np.zeros((8, 8)), 0)))
    refused("statistics of the inputs are not finite", known=seen(np.where(rows > 1, np.nan, rows)))
    refused("weights of the layer are not finite", weight=np.where(weight > 0, np.inf, weight))
    refused("weights of the layer are not finite", bias=bias * np.nan)
    if part.reads:
        refused(f"reconstruction {part.kind} is fitted on a calibration; give one, or take", known=None)
    else:
        assert part.repair(weight, bias, None, KEPT).error is None


@pytest.mark.parametrize("part", [LeastSquares, Liar])
def test_weights_that_are_not_determined_are_refused(part):
    rows, weight, bias = drawn(0, n=4)
    with pytest.raises(InputError, match="4 calibration tokens do not determine the weights of 5 kept inputs; raise"):
        part(ridge=0).repair(weight, bias, seen(rows), np.arange(5))
    assert np.isfinite(part(ridge=0.1).repair(weight, bias, seen(rows), np.arange(5)).weight).all()
    rows = drawn(0)[0]
    rows[:, 1] = rows[:, 0]
    with pytest.raises(InputError, match="with ridge=0 the 2 kept inputs depend on each other over 60 tokens"):
        part(ridge=0).repair(weight, bias, seen(rows), KEPT)


@given(seeds, subsets)
def test_a_smaller_ridge_is_never_worse_on_the_data_it_was_fitted_on(seed, kept):
    rows, weight, bias = drawn(seed)
    assume(len(kept) < 8)
    errors = [Liar(ridge=ridge).repair(weight, bias, seen(rows), kept).error for ridge in (0, 0.05, 0.1, 1)]
    assert (np.diff(errors) >= -1e-9 * errors[-1]).all()
