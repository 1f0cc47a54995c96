import numpy as np
import pytest

from harmonia.core.errors import InputError
from harmonia.merge.weights import Linear, RegMean

GRAMS = [[[2, 1], [1, 2]], [[1, 0], [0, 3]]]


def regression(random, experts=3, rows=150, width=8, outputs=70):
    inputs = random.standard_normal((experts, rows, width)) @ random.standard_normal((experts, width, width))
    layers = random.standard_normal((experts, outputs, width)).astype(np.float32)
    return inputs, layers, [x.T @ x / rows for x in inputs]


def test_by_hand(merge):
    layers, seen = [[[1, 0]], [[0, 1]]], {"gram": GRAMS}
    assert merge(RegMean(alpha=1), layers, statistics=seen)[0] == pytest.approx([0.428571, 0.714286], abs=2e-6)
    assert merge(RegMean(), layers, statistics=seen)[0] == pytest.approx([0.457364, 0.697674], abs=2e-6)


def test_equal_grams_are_the_average(merge):
    random = np.random.default_rng(0)
    _, layers, grams = regression(random)
    found = merge(RegMean(), layers, counts=[1, 2, 1], statistics={"gram": grams[:1] * 3})
    np.testing.assert_allclose(found, merge(Linear(), layers, counts=[1, 2, 1]), atol=2e-6)


def test_equal_layers_come_out_as_they_are(merge):
    random = np.random.default_rng(1)
    _, layers, grams = regression(random)
    singular = [np.ones((8, 8)), np.zeros((8, 8)), grams[0]]
    for seen in (grams, singular):
        np.testing.assert_allclose(
            merge(RegMean(), layers[:1].repeat(3, 0), statistics={"gram": seen}), layers[0], atol=1e-6
        )


def test_inputs_that_nobody_saw_are_averaged(merge):
    found = merge(RegMean(), [[[1, 2]], [[3, 6]]], statistics={"gram": [np.zeros((2, 2))] * 2})
    assert found[0] == pytest.approx([2, 4])
    only_first = [np.diag([1.0, 0]), np.diag([3.0, 0])]
    assert merge(RegMean(), [[[1, 2]], [[3, 6]]], statistics={"gram": only_first})[0] == pytest.approx(
        [2.5, 4], abs=1e-5
    )


def test_it_minimises_the_distance_to_all_outputs(merge):
    random = np.random.default_rng(2)
    inputs, layers, grams = regression(random, outputs=5)

    def loss(layer):
        return sum(np.sum((x @ (w - layer).T) ** 2) for x, w in zip(inputs, layers.astype(np.float64), strict=True))

    found = merge(RegMean(alpha=1), layers, statistics={"gram": grams}).astype(np.float64)
    normal = sum(w.astype(np.float64) @ g for w, g in zip(layers, grams, strict=True)) @ np.linalg.inv(sum(grams))
    np.testing.assert_allclose(found, normal, atol=1e-4)
    for _ in range(20):
        assert loss(found + 0.01 * random.standard_normal(found.shape)) > loss(found)
    assert loss(found) < loss(layers.mean(axis=0))


def test_what_is_no_linear_layer_is_averaged(merge_model):
    tensors = {"w": (None, [[[1, 0]], [[0, 1]]]), "b": (None, [[1.0], [4.0]])}
    merged = merge_model(RegMean(), tensors, statistics={"gram": {"w": GRAMS}})
    assert merged["b"].tolist() == [2.5]


def test_a_gram_matrix_of_another_layer_is_refused(merge):
    with pytest.raises(InputError, match=r"w: a Gram matrix of shape \(2, 2\) does not fit a weight of shape \(1, 3\)"):
        merge(RegMean(), [[[1, 0, 0]], [[0, 1, 0]]], statistics={"gram": GRAMS})


def test_without_any_statistic_it_is_refused(merge):
    with pytest.raises(
        InputError, match="weights=regmean reads the statistic 'gram' of every expert, and none was given"
    ):
        merge(RegMean(), [[[1.0]], [[5.0]]])
