import numpy as np
import pytest

from harmonia.core.errors import InputError
from harmonia.merge.weights import MultiSlerp, Slerp


def karcher(rows, weights, steps=200):
    """Return the Karcher mean of unit directions by many small steps on the vectors themselves, in float64."""
    directions = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    mean = weights @ directions
    mean /= np.linalg.norm(mean)
    for _ in range(steps):
        cos = np.clip(directions @ mean, -1, 1)
        logs = directions - cos[:, None] * mean
        logs *= (np.arccos(cos) / np.maximum(np.linalg.norm(logs, axis=1), 1e-300))[:, None]
        step = 0.5 * weights @ logs
        size = np.linalg.norm(step)
        if size == 0:
            break
        mean = np.cos(size) * mean + np.sin(size) / size * step
    return mean * (weights @ np.linalg.norm(rows, axis=1))


@pytest.mark.parametrize("counts", [[1, 1, 1], [1, 2, 0.5]])
def test_as_the_mean_found_on_the_vectors_themselves(counts, merge):
    rows = np.random.default_rng(0).standard_normal((3, 50)) + 0.5
    share = np.array(counts) / sum(counts)
    np.testing.assert_allclose(
        merge(MultiSlerp(iterations=50, tolerance=1e-9), rows, counts=counts), karcher(rows, share), atol=2e-6
    )


@pytest.mark.parametrize("t", [0.25, 0.5])
def test_two_models_of_one_norm_are_slerped(t, merge):
    rows = [[3, 4, 0], [0, 0, 5]]
    found = merge(MultiSlerp(), rows, counts=[1 - t, t])
    np.testing.assert_allclose(found, merge(Slerp(t=t), rows), atol=2e-4)


def test_an_orthogonal_frame_meets_in_the_middle(merge):
    assert merge(MultiSlerp(), 2 * np.eye(4)) == pytest.approx([1] * 4, abs=1e-6)


def test_a_zero_has_no_direction_but_a_norm(merge):
    assert merge(MultiSlerp(), [[0, 4], [0, 0]]) == pytest.approx([0, 2])
    assert merge(MultiSlerp(), [[0, 0], [0, 0]]).tolist() == [0, 0]
    assert merge(MultiSlerp(), [[0, 4], [3, 0]], counts=[1, 0]) == pytest.approx([0, 4])


def test_opposite_models_have_no_mean(merge):
    with pytest.raises(InputError, match="w: the models point in opposite directions, which have no mean"):
        merge(MultiSlerp(), [[1, 0], [-1, 0]])
