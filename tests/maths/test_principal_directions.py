import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from harmonia.maths.principal_directions import principal_directions


@given(st.integers(0, 10**6), st.integers(1, 12))
def test_they_span_what_holds_most(seed, d):
    draw = np.random.default_rng(seed)
    rows = draw.normal(size=(20, d)) * draw.uniform(0.1, 3, d)
    values, vectors = principal_directions(rows.T @ rows)
    assert (np.diff(values) <= 1e-9).all()
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(d), atol=1e-12)
    # what the first k leave of the rows is what singular values say no k directions can do without
    singular = np.linalg.svd(rows, compute_uv=False)
    for k in range(d + 1):
        left = rows - rows @ vectors[:, :k] @ vectors[:, :k].T
        np.testing.assert_allclose((left**2).sum(), (singular[k:] ** 2).sum(), atol=1e-9)


def test_signs_do_not_depend_on_the_solver():
    _, vectors = principal_directions(np.array([[2.0, -1.0], [-1.0, 2.0]]))
    assert vectors[np.abs(vectors).argmax(axis=0), [0, 1]].min() > 0


def test_a_multiple_of_the_identity_changes_nothing():
    rows = np.random.default_rng(0).normal(size=(30, 6)) * np.arange(1, 7)
    gram = rows.T @ rows
    values, vectors = principal_directions(gram)
    damped, same = principal_directions(gram + 0.01 * np.trace(gram) / 6 * np.eye(6))
    np.testing.assert_allclose(same, vectors, atol=1e-9)
    np.testing.assert_allclose(damped - values, 0.01 * np.trace(gram) / 6)
