"""Principal directions of rows, from the sum of their products."""

from __future__ import annotations

import numpy as np


def principal_directions(gram: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the eigenvalues of a symmetric matrix, descending, and its eigenvectors as columns: (d,), (d, d).

    The first k columns span the k dimensions that hold most of the squares of the rows. The largest entry of a column
    is positive, so that equal matrices give equal columns. Adding a multiple of the identity changes no direction.

    Args:
        gram: (d, d), sum of x x^T.

    >>> values, vectors = principal_directions(np.array([[1.0, 0.0], [0.0, 4.0]]))
    >>> values.tolist(), vectors.tolist()
    ([4.0, 1.0], [[0.0, 1.0], [1.0, 0.0]])
    """
    values, vectors = np.linalg.eigh(np.asarray(gram, np.float64))
    values, vectors = values[::-1], vectors[:, ::-1]
    largest = np.abs(vectors).argmax(axis=0)
    signs = np.where(vectors[largest, np.arange(len(values))] < 0, -1.0, 1.0)
    return values.copy(), vectors * signs
